from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCKS = [*sorted((ROOT / "locks").glob("*.txt")), ROOT / "tests" / "experiments" / "fuzz.txt"]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(text: str) -> list[tuple[str, str]]:
    """Name and version of every package a lock pins; one may be there twice, for different Pythons."""
    return [(name.lower().replace("_", "-"), version) for name, version in _PIN.findall(text)]


def vulnerable(text: str) -> list[str]:
    """What a lock pins that is older than the first version without a known fault."""
    known: dict[str, dict[str, str]] = tomllib.loads((ROOT / "tests" / "advisories.toml").read_text())[
        "fixed"
    ]
    return [
        f"{name} {version}: {fault}, mended in {fixed}"
        for name, version in pins(text)
        for fault, fixed in known.get(name, {}).items()
        if Version(version) < Version(fixed)
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_no_pin_is_known_to_be_vulnerable(lock: Path) -> None:
    """No lock pins a version with a fault of the list we keep (it is dated, and not complete)."""
    text = lock.read_text("utf-8")
    assert pins(text)
    assert vulnerable(text) == []


def test_a_vulnerable_pin_is_found() -> None:
    """A version before the mended one is told with its fault, whatever its markers."""
    text = "urllib3==2.6.2 ; python_version < '4' \\\n    --hash=sha256:00\nh11==0.16.0 \\\n"
    assert vulnerable(text) == ["urllib3 2.6.2: CVE-2026-21441, mended in 2.6.3"]


def test_the_list_is_about_what_we_pin() -> None:
    """An entry about a package that no lock has any more is to be taken out."""
    pinned = {name for lock in LOCKS for name, _ in pins(lock.read_text("utf-8"))}
    known = tomllib.loads((ROOT / "tests" / "advisories.toml").read_text())["fixed"]
    assert set(known) <= pinned


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_pin_has_hashes(lock: Path) -> None:
    """Each package is exact and proved by hash: nothing else can be slipped in."""
    blocks = re.split(r"\n(?=\S)", lock.read_text("utf-8").strip())
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
