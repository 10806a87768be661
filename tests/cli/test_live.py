"""The lines and the status line of a running recorder."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from rekt.cli._live import AMBER, GREEN, RED, Live, describe
from rekt.model import Feed
from tests.cli.book import event

NOW = 1_784_203_200_000_000  # µs


def test_a_line_tells_the_price_there_is() -> None:
    """Where there is only an order's or a bankruptcy price that one stands; several venues are named."""
    one = event(1, "BTCUSDT", "long", 2_500_000_000)
    live, several = (Live(terminal=False, colour=False, several=flag) for flag in (False, True))
    assert live.event(one) == "12:00:01  BTCUSDT            long      $2.5 k  5 at 1.00"
    order = one._replace(feed=Feed("bybit", "linear", "bankruptcy", "all"), average_price=None)
    assert several.event(order) == "12:00:01  bybit    BTCUSDT            long      $2.5 k  5 at 1.10"
    bare = one._replace(average_price=None, price=None, filled_quantity=None)
    assert "None" not in live.event(bare)
    for shown in (live, several):
        shown.close()


def recorder(name: str, parts: list[str], alive: list[str], *, last: int = 0, trouble: str = "") -> Any:
    """What the status line asks of a venue's recorder: the parts it has, and those that are proved."""

    def link(part: str) -> Any:
        proved, ended = asyncio.Event(), asyncio.Event()
        if part in alive:
            proved.set()
        life = SimpleNamespace(
            last_canary_us=NOW - 500_000, connection=SimpleNamespace(opened_us=NOW - 60_000_000)
        )
        return SimpleNamespace(part=part, proved=proved, ended=ended, life=life)

    return SimpleNamespace(
        venue=SimpleNamespace(name=name), parts=parts, links=[link(part) for part in parts] if not trouble else [],
        last_event_us=last, reach_trouble=trouble,
    )  # fmt: skip


def told(*recorders: Any) -> tuple[str, str]:
    """The status line and its colour."""
    service: Any = SimpleNamespace(recorders=recorders, progress=SimpleNamespace(events=12, trouble=""))
    return describe(service, NOW)


def test_one_feed() -> None:
    """A single feed tells its canary, since when it is connected, and the last liquidation."""
    words = "12 events · binance ● live · canary 0.5 s ago · connected 1 min · "
    assert told(recorder("binance", ["a"], ["a"])) == (f"{words}quiet market, none yet", GREEN)
    late = recorder("binance", ["a"], ["a"], last=NOW - 3_000_000)
    assert told(late) == (f"{words}last liquidation 3.0 s ago", GREEN)


def test_several_feeds() -> None:
    """Those in trouble come first, each with what is wrong; the others by name; the worst gives the colour."""
    well = [
        recorder("binance", ["a"], ["a"]),
        recorder("bybit", ["a", "b"], ["a", "b"], last=NOW - 2_000_000),
    ]
    assert told(*well) == ("12 events · 2 of 2 ● live: binance, bybit · last liquidation 2.0 s ago", GREEN)
    partly = recorder("okx", ["a", "b"], ["b"])
    line, colour = told(*well, partly)
    assert line.startswith("12 events · okx ◐ 1 of 2 parts live · 2 of 3 ● live: binance, bybit")
    assert colour == AMBER
    line, colour = told(*well, partly, recorder("htx", ["a"], [], trouble="refused"))
    assert "htx ✗ not connected: refused" in line
    assert colour == RED
