from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rekt.cli._screen import Look, line, page, state_of
from rekt.stats.coverage import Traits
from tests.cli.book import Result

NOW = 1_784_203_200_000  # 2026-07-16T12:00Z
STATUS: dict[str, Any] = {
    "recording": True,
    "connections": [
        {"venue": "binance", "url": "wss://x", "last_canary": "2026-07-16T11:59:59.500000Z"},
        {"venue": "binance", "url": "wss://x", "last_canary": None},
    ],
    "ledger": {"last_trade_time": "2026-07-16T11:40:00.000Z"},
}
HOUR: dict[str, Any] = {
    "count": 12_345, "total_usd": "987654321.000000", "coverage": 0.7,
    "long": {"count": 9000, "total_usd": "800000000.000000"},
    "largest": {"symbol": "1000000MOGUSDT_260925", "notional_usd": "12345678.900000"},
}  # fmt: skip
EVENT: dict[str, Any] = {
    "trade_time": "2026-07-16T11:59:58.123Z", "symbol": "1000000MOGUSDT_260925", "side": "long",
    "notional_usd": "12345678.900000", "filled_quantity": "123456789.123", "average_price": "0.000012345678",
    "price": "0.00001", "venue": "binance",
}  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (110, 34), (200, 50), (60, 16)])
def test_the_screen_is_never_more_than_the_terminal(size: tuple[int, int]) -> None:
    """State, four cards side by side and the tape fit in width and height, whatever the figures are."""
    width, height = size
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    tape = deque([EVENT] * 200)
    cards = dict.fromkeys(("1h", "4h", "12h", "24h"), HOUR)
    lines = console.render_lines(page(tape, cards, Look([], cards, "binance ● live", True), width, height))
    texts = ["".join(part.text for part in line) for line in lines]
    assert len(texts) <= height
    assert all(len(text) <= width for text in texts)
    assert all(name in texts[1] for name in cards)
    assert "70 % rec" in "".join(texts)
    assert "█" in texts[3]
    assert "▒" in texts[3]
    assert sum("11:59:58" in text for text in texts) == height - 9


def test_a_dead_feed_does_not_read_like_a_quiet_market() -> None:
    """Alive and quiet, alive no more, and nobody recording are three different lines."""
    quiet, good = state_of(STATUS, NOW, {})
    assert good
    assert quiet == "binance ● live 0.5 s · last liquidation 20 min ago"
    dead, good = state_of(STATUS, NOW + 120_000, {})
    assert not good
    assert "dead feed: no sign of life for 2 min" in dead
    gone, good = state_of({**STATUS, "recording": False}, NOW, {})
    assert not good
    assert gone.startswith("✗ nothing is recording")


def test_several_feeds() -> None:
    """Each is judged by its own time-out, the dead ones come first; one in parts lives while all of them do."""
    lives = [
        {"venue": name, "url": "wss://x", "last_canary": f"2026-07-16T11:59:{second}.000000Z"}
        for name, second in (("binance", 59), ("bybit", 30), ("okx", 45), ("kraken", 59))
    ]
    whole = {"venue": "kraken", "url": "all parts together", "last_canary": "2026-07-16T11:50:00.000000Z"}
    status = {**STATUS, "connections": [*lives, whole]}
    told, good = state_of(status, NOW, {"okx": Traits(canary_ms=15_000)})
    assert not good
    assert told == (
        "bybit ✗ dead feed: no sign of life for 30 s · kraken ✗ dead feed: no sign of life for 10 min"
        " · 2 of 4 ● live: binance, okx"
    )
    assert state_of(status, NOW, {}, "binance")[0].startswith("binance ● live 1.0 s")


def test_a_line_of_the_tape() -> None:
    """Where there is only the order's price it is shown; nothing is ever "at None"; among several each names its venue."""
    console = Console(width=120, file=io.StringIO(), color_system=None)

    def shown(several: bool = False, **changes: object) -> str:
        with console.capture() as capture:
            console.print(line({**EVENT, **changes}, several=several))
        return capture.get()

    assert "123456789.123 at 0.00001\n" in shown(average_price=None)
    assert "None" not in shown(average_price=None, price=None, filled_quantity=None)
    assert "  binance  1000000MOG" in shown(several=True)
    assert "binance" not in shown()


def test_watch_shows_the_tape_of_the_ledger(ledger: Path, rekt: Callable[..., Result]) -> None:
    """Without a server it reads the ledger itself, and off a terminal it prints a line each."""
    done = rekt("watch", "--seconds", "0")
    assert done.code == 0
    assert re.search(r"^\d\d:\d\d:\d\d  \S+ +(long|short) +\$", done.out, re.MULTILINE)
