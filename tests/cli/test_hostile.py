"""What a symbol may hold in the worst case, all the way from a frame to what people and programs are given."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.book import Result

Rekt = Callable[..., Result]

SYMBOLS = [
    "'; DROP TABLE liquidation; --", '"); DELETE FROM bucket; --', "a' OR '1'='1", "%_*?[]", "$(touch owned)",
    "`touch owned`", "; touch owned", "../../../owned", "/owned", "C:\\owned", "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>', "{0.__class__}", "a\nb\r\nc", "a\x00b", "\x1b[2J\x1b]0;owned\x07", "\u202eTDSU", "a,b;c\td",
]  # fmt: skip
AT = "2026-07-16T12"


@pytest.fixture
def told(rekt: Rekt, path: Path) -> Path:
    """A ledger that was filled by replaying a frame for each symbol; the biggest first."""
    time_ms = 1_784_203_201_000  # 2026-07-16T12:00:01Z
    frames = []
    for number, symbol in enumerate(SYMBOLS):
        order = {
            "s": symbol, "S": "SELL", "X": "FILLED", "p": "1", "ap": "2", "q": "5", "z": str(50 - number),
            "T": time_ms + number, "st": 1,
        }  # fmt: skip
        frames.append(json.dumps({"e": "forceOrder", "E": time_ms + 100 + number, "o": order}))
    file = path.parent.parent / "frames.jsonl"
    file.write_text("\n".join(frames) + "\n")
    environ = {
        "REKT_BINANCE_UM_REST_URL": "http://127.0.0.1:9",
        "REKT_BINANCE_CM_REST_URL": "http://127.0.0.1:9",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        done: Result = rekt("replay", str(file))
    assert done.code == 0
    return path


def test_a_hostile_symbol_stays_data(rekt: Rekt, told: Path) -> None:
    """Each is stored as it came, found by its name alone, and written as JSON and CSV; no file is made by a name."""
    before = {entry for entry in told.parent.parent.rglob("*") if entry != told.parent}
    window = ["--from", f"{AT}:00", "--to", f"{AT}:59"]
    found = rekt("liquidations", *window, "--json").objects
    assert [one["symbol"] for one in found] == SYMBOLS
    for symbol in SYMBOLS:
        if "\x00" not in symbol:  # no argument of a program can hold it
            only = rekt("liquidations", *window, "--json", "--symbol", symbol).objects
            assert [one["symbol"] for one in only] == [symbol]
    (hour,) = rekt("summary", "--hour", AT, "--json").objects
    assert {one["symbol"] for one in hour["by_symbol"]} == set(SYMBOLS)
    out = told.parent.parent / "out.csv"
    assert rekt("export", str(out), *window).code == 0
    with out.open(newline="", encoding="utf-8") as file:
        assert [row["symbol"] for row in csv.DictReader(file)] == SYMBOLS
    made = {entry for entry in told.parent.parent.rglob("*") if entry != told.parent} - before
    assert {entry.name for entry in made if entry.parent != told.parent} == {"out.csv"}
    assert not any("owned" in entry.name for entry in made)


def test_a_hostile_symbol_is_harmless_on_a_terminal(rekt: Rekt, told: Path) -> None:
    """For people each event stays one line without anything a terminal would act on; a post holds none of it either."""
    window = ["--from", f"{AT}:00", "--to", f"{AT}:59"]
    for command in (
        ["liquidations", *window],
        ["summary", "--hour", AT],
        ["tweet", "--hour", AT, "--dry-run"],
    ):
        done = rekt(*command)
        assert done.code == 0, done.err
        assert not {"\x1b", "\x07", "\x00", "\u202e", "\r"} & set(done.out + done.err)
    rows = rekt("liquidations", *window).out.splitlines()
    assert len(rows) == len(SYMBOLS) + 1
