from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from rekt.simulator import Options
from rekt.simulator.scene import load
from rekt.simulator.source import source_of
from rekt.simulator.truth import Counts

START_MS = 1_795_000_000_000


def played(seconds: int, step_ms: int = 5, **options: Any) -> tuple[list[dict[str, Any]], Counts]:
    """The events of a scene, as a stream would carry them."""
    settings = Options(**options)
    scene, counts = load(settings), Counts()
    source = source_of(settings, scene, START_MS, counts)
    events = []
    for now_ms in range(START_MS, START_MS + seconds * 1000, step_ms):
        for publication in source.due(now_ms, 0, paused=False):
            assert publication.event_time_ms <= now_ms
            events.append(msgspec.json.decode(publication.payload))
    return events, counts


def test_same_seed_same_market() -> None:
    """The bytes depend on seed and start alone, not on when the market is asked; another seed differs."""
    first, _ = played(60, scene="cascade", seed=7)
    again, _ = played(60, step_ms=250, scene="cascade", seed=7)
    other, _ = played(60, scene="cascade", seed=8)
    assert len(first) > 100
    assert first[: len(again)] == again[: len(first)]
    assert abs(len(first) - len(again)) < 60
    assert other != first


def test_largest_per_symbol_and_second() -> None:
    """A symbol has at most one event in 1000 ms, held for the window; event times never go back, trade times do."""
    events, counts = played(120, scene="cascade", seed=1, late_share=0.02)
    by_symbol = defaultdict(list)
    for event in events:
        by_symbol[event["o"]["s"]].append(event["E"])
    assert counts.orders > 1.5 * len(events)
    for times in by_symbol.values():
        assert all(later - earlier >= 1000 for earlier, later in pairwise(times))
    event_times = [event["E"] for event in events]
    trade_times = [event["o"]["T"] for event in events]
    assert event_times == sorted(event_times)
    assert trade_times != sorted(trade_times)
    lags = sorted(e - t for e, t in zip(event_times, trade_times, strict=True))
    assert lags[0] < 900
    assert 1000 <= lags[len(lags) // 2] <= 1015 or lags[len(lags) // 2] < 1000
    assert lags[-1] <= 3000


def test_quiet_symbols_come_after_1008_ms() -> None:
    """An order that is alone in its window comes 1004 to 1012 ms after the trade."""
    events, counts = played(300, scene="calm", seed=3, late_share=0.0)
    lags = [event["E"] - event["o"]["T"] for event in events]
    assert 40 < counts.orders < 120
    assert 1004 <= sorted(lags)[len(lags) // 2] <= 1012


def test_without_throttle_every_order_is_published() -> None:
    """A rate gives that many orders, evenly spaced; without the throttle all are sent, none twice alike."""
    events, counts = played(5, rate=2000, hold_ms=0, seed=1)
    assert counts.orders == pytest.approx(10_000, abs=12)
    assert len(events) >= counts.orders - 30 or len(events) > 9_900
    keys = {tuple(event["o"][name] for name in ("s", "T", "S", "p", "ap", "z")) for event in events}
    assert len(keys) == len(events)


def test_fields_stand_as_the_venue_writes_them() -> None:
    """A forced sale fills above its limit, a purchase below; filled is whole; digits are the instrument's own."""
    events, _ = played(60, rate=200, seed=2)
    digits = {i.symbol: i for i in load(Options()).instruments}
    seen = set()
    for event in events:
        order = event["o"]
        instrument = digits[order["s"]]
        seen.add(order["s"])
        assert event["e"] == "forceOrder"
        assert list(event) == ["e", "E", "o"]
        assert list(order) == ["s", "S", "o", "f", "q", "p", "ap", "X", "l", "z", "T", "ps", "st"]
        price, average = Decimal(order["p"]), Decimal(order["ap"])
        assert average > price if order["S"] == "SELL" else average < price
        assert order["X"] == "FILLED"
        assert order["z"] == order["q"]
        assert 0 < Decimal(order["l"]) <= Decimal(order["z"])
        assert len(order["p"].partition(".")[2]) == instrument.price_digits
        assert len(order["q"].partition(".")[2]) == instrument.quantity_digits
        assert order["st"] == (1 if instrument.market == "linear" else 2)
        assert order["ps"] == instrument.pair
    assert seen == set(digits)
    assert {"ETHBTC", "币安人生USDT", "BTCUSDT_261225", "1000PEPEUSDT", "BTCUSD_PERP", "AAPLUSDT"} <= seen


def test_before_the_merger() -> None:
    """Before the merger the stream carries the linear market alone, without `ps` and `st`."""
    events, _ = played(20, rate=100, merged=False)
    assert events
    assert not any({"ps", "st"} & event["o"].keys() for event in events)
    assert not any(event["o"]["s"].endswith("_PERP") for event in events)


def test_other_statuses_on_request() -> None:
    """Orders that are not FILLED are filled in part or not at all, and come only when asked for."""
    events, _ = played(20, rate=200, unfilled_share=0.2)
    others = [event["o"] for event in events if event["o"]["X"] != "FILLED"]
    assert 0.1 < len(others) / len(events) < 0.3
    assert {order["X"] for order in others} == {"PARTIALLY_FILLED", "EXPIRED", "CANCELED", "NEW"}
    assert all(Decimal(order["z"]) < Decimal(order["q"]) for order in others)


def test_a_cascade_is_longs() -> None:
    """While prices fall, nearly all forced orders are sales, and there are many more of them."""
    events, _ = played(60, scene="cascade", seed=1)
    crash = [e for e in events if 8_000 < e["o"]["T"] - START_MS < 17_000]
    assert len(crash) > len(events) / 2
    assert sum(e["o"]["S"] == "SELL" for e in crash) > 0.8 * len(crash)


def test_nonsense_is_refused() -> None:
    """An unknown scene, venue or figure is an error, not a default."""
    for wrong in ({"scene": "wild"}, {"venue": "nowhere"}, {"rate": -1.0}, {"speed": 0.0}):
        with pytest.raises(ValueError, match=r"\w"):
            played(1, **wrong)
