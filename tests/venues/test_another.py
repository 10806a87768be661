"""A made-up twelfth venue, added as docs/adding-a-venue.md says: one file and its samples, in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from rekt import registry
from rekt.errors import LedgerError
from rekt.fields import money
from rekt.stores.sqlite import Reader
from tests.venues.toyex_server import EVENTS, toyex
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("src", "tests/contracts", "tests/venues", "tests/wire", "tests/conftest.py", "pyproject.toml")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is, with the page's two files in it and nothing else changed."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder / name)
    page = (ROOT / "docs" / "adding-a-venue.md").read_text("utf-8")
    venue, samples = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for name, text in (("src/rekt/venues/toyex.py", venue), ("tests/venues/samples_toyex.py", samples)):
        assert not (folder / name).exists()
        (folder / name).write_text(text, "utf-8")
    return folder


def run(copy: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A program of the copy's as a process of its own, with nothing of the developer's."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("REKT_", "XDG_", "PYTEST"))
    }
    config = copy / "empty.ini"
    config.touch()
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=copy,
        env={**kept, "PYTHONPATH": str(copy / "src"), "REKT_CONFIG": str(config), "HOME": str(copy), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def told(copy: Path, *arguments: str, **environment: str) -> str:
    """What such a program prints; it must end well."""
    process = run(copy, *arguments, **environment)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)
    return out


def test_it_keeps_the_contract(copy: Path) -> None:
    """The contract of venues runs over its samples as over any other's."""
    out = told(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/contracts/test_venue.py", "-k", "toyex")
    assert re.search(r"\b[1-9]\d* passed", out), out
    assert "failed" not in out


def test_it_is_recorded(copy: Path, tmp_path: Path) -> None:
    """`rekt run` records it over a cut and repeats: each event once, valued, its coverage and gap as any venue's."""
    ledger = tmp_path / "toyex.db"
    with toyex() as exchange:
        given = {
            "REKT_DATABASE_PATH": str(ledger),
            "REKT_TOYEX_WS_URL": f"ws://127.0.0.1:{exchange.port}/v1",
            "REKT_TOYEX_REST_URL": f"http://127.0.0.1:{exchange.port}",
            "REKT_TOYEX_CONNECTIONS": "1",
        }
        process = run(copy, "rekt", "run", "--venues", "toyex", **given)
        try:
            assert until(lambda: _valued(ledger) >= EVENTS, 40), process.poll()
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        expected = dict(exchange.told)
    assert exchange.subscriptions == [b'{"op":"subscribe","args":["heartbeat","liquidations"]}'] * 2
    assert exchange.documents >= 1
    events = [
        json.loads(line)
        for line in told(copy, "rekt", "liquidations", "--from", "-1h", "--json", **given).splitlines()
    ]
    assert len(events) == EVENTS
    assert {event["uid"]: _told(event) for event in events} == {
        _uid(number): (*position_coins_price, _worth(*position_coins_price[1:]))
        for number, position_coins_price in expected.items()
    }
    (hour,) = [
        json.loads(line)
        for line in told(copy, "rekt", "summary", "--last", "1h", "--json", **given).splitlines()
    ]
    (venue,) = hour["by_venue"]
    assert (venue["venue"], venue["count"]) == ("toyex", EVENTS)
    assert (venue["sampling"], venue["price_kind"]) == ("all", "bankruptcy")
    assert 0 < venue["coverage"] < 1
    assert [gap["venue"] for gap in hour["gaps"]].count("toyex") == len(hour["gaps"])
    assert "cut" in {gap["cause"] for gap in hour["gaps"]}


def test_the_others_are_as_before(copy: Path) -> None:
    """It stands in the list by itself; the default is still the one venue, and its settings are known and checked."""
    listed = [json.loads(line) for line in told(copy, "rekt", "venues", "--json").splitlines()]
    assert [one["venue"] for one in listed] == sorted([*registry.names("rekt.venues"), "toyex"])
    assert [one["venue"] for one in listed if one["enabled"]] == ["binance"]
    folder = copy / "made"
    folder.mkdir()
    told(copy, "rekt", "init", "--dir", str(folder))
    made = (folder / "credentials.ini").read_text("utf-8")
    assert "[TOYEX]" in made
    assert "wss://stream.toyex.example/v1" in made
    refused = run(copy, "rekt", "status", REKT_TOYEX_WS_ULR="x")
    _, err = refused.communicate(timeout=60)
    assert refused.returncode == 2
    assert "REKT_TOYEX_WS_URL" in err


def _valued(ledger: Path) -> int:
    try:
        with Reader(ledger) as reader:
            return sum(event.notional is not None for event in reader.liquidations())
    except LedgerError:  # being made
        return 0


def _told(event: dict[str, Any]) -> tuple[str, str, str, str]:
    return event["side"], event["quantity"], event["price"], event["notional_usd"]


def _uid(number: str) -> str:
    digest = blake2b(f"toyex\x1flinear\x1f{number}".encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _worth(coins: str, price: str) -> str:
    thousandths, tenths = round(float(coins) * 1000), round(float(price) * 10)
    return money(thousandths * tenths * 100)
