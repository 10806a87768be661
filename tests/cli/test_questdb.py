from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from rekt import app, shipping
from rekt.pipeline.shipper import BATCH
from rekt.stores.questdb.sql import Place, Sql
from tests.cli.book import fill
from tests.stores.questdb import place


@pytest.fixture
def where(path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A ledger, and an empty QuestDB that the settings lead to."""
    found = place()
    fill(path)
    for name, value in (
        ("ENGINE", "questdb"),
        ("URL", found.url + "/"),  # a slash at the end does no harm
        ("USER", found.user),
        ("PASSWORD", found.password),
        ("NAME", found.table),
    ):
        monkeypatch.setenv(f"REKT_DATABASE_{name}", value)
    return found


def resync(*options: str) -> tuple[int, str, str]:
    """`rekt questdb resync` with a terminal for standard error: exit code, output, what the terminal got."""
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "rekt", "questdb", "resync", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        text=True,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(terminal, 4096):
                shown += part
        except OSError:  # how Linux tells that the other end is closed
            pass
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(terminal)
    return process.returncode, out, shown.decode()


def test_resync_fills_an_empty_server_and_shows_how_far_it_is(where: Place) -> None:
    """Every event of the ledger arrives; a terminal sees a bar with so many of so many; done again it adds nothing."""
    for _ in range(2):
        code, out, shown = resync()
        assert (code, out.split(" events")[0]) == (0, "6"), shown
        assert "sending" in shown
        assert "6/6" in shown
        sql = Sql(where)
        assert sql.applied(where.table, f"{where.table}_other", timeout_s=30)
        assert sql.one(f"SELECT count() FROM {where.table}") == [4]
        assert sql.one(f"SELECT count() FROM {where.table}_other") == [2]
        sql.close()


def test_resync_from_a_time_on(where: Place) -> None:
    """`--from` sends what was traded since."""
    code, out, _ = resync("--from", "2026-07-16T12")
    assert (code, out.split(" events")[0]) == (0, "5")


@pytest.mark.parametrize(
    ("configured", "used"), [("50", BATCH), ("1000", BATCH), ("1500", 1500), ("1000000", BATCH)]
)
def test_the_originals_batch_size_slows_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, configured: str, used: int
) -> None:
    """`batch_size` caps a request only where it is above 1,000."""
    monkeypatch.setenv("REKT_DATABASE_BATCH_SIZE", configured)
    assert shipping.batch(app.settings()) == used
