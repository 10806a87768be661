"""A command line of its own for each test: no file, folder or variable of the developer's is seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rekt.cli.main import main
from tests.cli.book import Result, fill


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's ledger is, or would be."""
    for name in [name for name in os.environ if name.startswith(("REKT_", "XDG_")) or name == "NO_COLOR"]:
        monkeypatch.delenv(name)
    (tmp_path / "empty.ini").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REKT_CONFIG", str(tmp_path / "empty.ini"))
    monkeypatch.setenv("REKT_DATABASE_PATH", str(tmp_path / "data" / "test.db"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "test.db"


@pytest.fixture
def rekt(path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process."""

    def run(*args: str) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(args)
        code = ended.value.code
        out, err = capfd.readouterr()
        return Result(code if isinstance(code, int) else 0, out, err)

    return run


@pytest.fixture
def ledger(path: Path) -> Path:
    """A ledger with a little in it."""
    fill(path)
    return path
