from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.model import Connection, Gap, HourSummary, Largest, Liquidation, Mean, Span, Tally, Window
from rekt.objects import connection_object, hour_object, liquidation_object
from rekt.stats.coverage import Traits
from rekt.stats.series import series
from rekt.stats.summary import recorded, summarise
from rekt.store import Batch
from rekt.stores.sqlite import Ledger, Reader
from tests.stores.events import LINEAR, START, batch, event, events

HOUR = 3_600_000
DAY = 24 * HOUR
TRAITS = {"binance": Traits(3_000, 5_000, "largest_per_symbol_second", "average_fill")}
LATER = START + 30 * DAY


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path / "ledger.db")


def ask(ledger: Ledger, window: Window, now: int = LATER) -> HourSummary:
    """The summary of a window."""
    with Reader(ledger.path) as reader:
        return summarise(reader, window, now, traits=TRAITS)


def alive(start: int, end: int, cause: str | None = None, name: str = "c", venue: str = "binance") -> Batch:
    """A connection that lived from start to end, and still does while it has no cause."""
    closed = None if cause is None else end * 1000
    life = Connection(
        name, "run", venue, "wss://x", start * 1000, closed_us=closed, cause=cause, last_canary_us=end * 1000
    )
    return Batch("run", connections=[life], spans=[Span(name, start, end)])


def check(reader: Reader, made: list[Liquidation], window: Window) -> None:
    """Every number of a window against the events themselves."""
    summary = summarise(reader, window, LATER, traits=TRAITS)
    inside = [one for one in made if window.start <= one.trade_time < window.end and one.counts]
    known = [one for one in inside if one.notional is not None]

    def tally(some: list[Liquidation]) -> Tally:
        return Tally(len(some), sum(one.notional or 0 for one in some))

    assert (summary.count, summary.total) == tally(inside)
    assert summary.unknown_count == len(inside) - len(known)
    assert summary.long == tally([one for one in inside if one.side == "long"])
    assert summary.short == tally([one for one in inside if one.side == "short"])
    by_symbol = {
        name: tally([one for one in inside if one.symbol == name]) for name in {one.symbol for one in inside}
    }
    assert summary.by_symbol == sorted(
        by_symbol.items(), key=lambda item: (-item[1].total, -item[1].count, item[0])
    )
    assert [(one.venue, one.count, one.total) for one in summary.by_venue] == (
        [("binance", *tally(inside))] if inside else []
    )
    top = min(known, key=lambda one: (-(one.notional or 0), one.trade_time, one.uid), default=None)
    assert summary.largest == (
        top
        and Largest(
            top.symbol,
            top.side,
            top.notional or 0,
            top.average_price,
            top.filled_quantity,
            top.trade_time,
            "binance",
        )
    )


made = st.lists(
    st.tuples(
        st.integers(0, 3 * HOUR - 1),
        st.one_of(st.none(), st.integers(0, 3), st.integers(2**62, 2**63 - 1)),
        st.sampled_from(["A", "B", "币"]),
        st.sampled_from(["SELL", "BUY"]),
        st.sampled_from(["FILLED", "NEW", None]),
    ),
    max_size=25,
)


@given(made, st.lists(st.tuples(st.integers(0, 3 * HOUR), st.integers(1, 3 * HOUR)), min_size=1, max_size=5))
def test_roll_ups_give_what_a_recount_gives(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    windows: list[tuple[int, int]],
) -> None:
    """For any events and any window, whole hours or ragged."""
    found = [
        event(n, at=START + at, notional=value, symbol=symbol, side=side, status=status)
        for n, (at, value, symbol, side, status) in enumerate(rows)
    ]
    ledger = Ledger(tmp_path_factory.mktemp("any") / "ledger.db")
    ledger.append(batch(*found))
    with Reader(ledger.path) as reader:
        for start, length in [*windows, (0, HOUR), (0, 3 * HOUR), (HOUR, HOUR)]:
            check(reader, found, Window(START + start, START + start + length))
    ledger.close()


def test_numbers_of_a_larger_ledger(ledger: Ledger) -> None:
    """Hours, minutes and a ragged window over two markets agree with the events."""
    found = events(5_000)
    ledger.append(batch(*found))
    with Reader(ledger.path) as reader:
        for window in (
            Window(START, START + HOUR),
            Window(START + HOUR, START + 2 * HOUR),
            Window(START - DAY, START + DAY),
            Window(START + 61_234, START + 62_000),
            Window(START + 1_800_000, START + HOUR + 1),
        ):
            check(reader, found, window)
    ledger.close()


def test_an_empty_ledger_knows_nothing(ledger: Ledger) -> None:
    """No count, no largest, no coverage: all of the hour is a gap of the venue that was asked for."""
    summary = ask(ledger, Window(START, START + HOUR))
    assert hour_object(summary) == {
        "hour": "2023-11-14T22:00:00.000Z",
        "from": "2023-11-14T22:00:00.000Z",
        "to": "2023-11-14T23:00:00.000Z",
        "count": 0,
        "unknown_count": 0,
        "total_usd": "0.000000",
        "largest": None,
        "long": {"count": 0, "total_usd": "0.000000"},
        "short": {"count": 0, "total_usd": "0.000000"},
        "by_symbol": [],
        "by_venue": [],
        "coverage": 0.0,
        "gaps": [
            {
                "start": "2023-11-14T22:00:00.000Z",
                "end": "2023-11-14T23:00:00.000Z",
                "cause": "process down",
                "venue": "binance",
            }
        ],
        "final": True,
        "compared": {"hour_before": None, "mean_24h": None, "mean_7d": None},
    }
    ledger.close()


def test_compares_with_hours_that_were_covered(ledger: Ledger) -> None:
    """The means rest on the hours with coverage of at least 0.9, those without an event included."""
    ledger.append(alive(START - 30 * HOUR, START - 3 * HOUR, "stopped", "a"))
    ledger.append(alive(START - 2 * HOUR, START - HOUR - 360_000, "stopped", "b"))  # 0.9 of an hour
    ledger.append(alive(START - HOUR + 360_001, START + HOUR, "stopped", "d"))  # a ms less than that
    for n, hour in enumerate((-1, -2, -2, -3, -5, -29)):
        ledger.append(batch(event(n, at=START + hour * HOUR, notional=1_000_001)))
    summary = ask(ledger, Window(START, START + HOUR))
    day = [-2, -2, -5]
    assert summary.hour_before is None
    assert summary.mean_24h == Mean(len(day) / 22, round(Fraction(3 * 1_000_001, 22)), 22)
    assert summary.mean_7d == Mean(4 / 28, round(Fraction(4 * 1_000_001, 28)), 28)
    before = ask(ledger, Window(START - HOUR, START))
    assert before.hour_before == Mean(2.0, 2_000_002, 1)
    assert ask(ledger, Window(START, START + 2 * HOUR)).mean_7d is None
    ledger.close()


def test_says_what_was_missed(ledger: Ledger) -> None:
    """Coverage is that of the venue that had the least; each gap names its venue."""
    ledger.append(alive(START - 5_000, START + 1_800_000, "cut", "a"))
    ledger.append(alive(START + 1_860_000, START + 2 * HOUR, "stopped", "b"))
    ledger.append(alive(START - 5_000, START + HOUR // 4, "stall", "other", "bybit"))
    summary = ask(ledger, Window(START, START + HOUR))
    assert summary.coverage == 0.25
    assert summary.gaps == [
        Gap(START + HOUR // 4, START + HOUR, "stall", "bybit"),
        Gap(START + 1_800_000, START + 1_860_000, "cut", "binance"),
    ]
    ledger.close()


def test_is_final_once_every_venue_is(ledger: Ledger) -> None:
    """Each venue that lived in the hour is waited for, 120 s at most."""
    end = START + HOUR
    ledger.append(alive(START - 5_000, end + 3_000, name="a"))
    assert ask(ledger, Window(START, end), end + 3_500).final
    assert not ask(ledger, Window(START + HOUR, end + HOUR), end + 3_500).final
    ledger.append(alive(START - 5_000, end - 9_000, "cut", "b", "bybit"))
    assert not ask(ledger, Window(START, end), end + 3_500).final
    assert ask(ledger, Window(START, end), end + 120_000).final
    ledger.close()


def test_objects_have_the_documented_keys_in_order(ledger: Ledger) -> None:
    """Times end in Z, dollars have six decimals, unknown is null, the venue's digits stay."""
    one = event(1, at=START + 7, notional=12_345_678)._replace(event_time=None, received_us=START * 1000 + 1)
    found = liquidation_object(one)
    assert json.loads(json.dumps(found)) == {
        "uid": found["uid"],
        "venue": "binance",
        "market": "linear",
        "symbol": "BTCUSDT",
        "side": "long",
        "order_side": "SELL",
        "status": "FILLED",
        "price": "0.10",
        "average_price": "0.1234",
        "price_kind": LINEAR.price_kind,
        "sampling": LINEAR.sampling,
        "quantity": "1.50",
        "filled_quantity": "1.5",
        "notional_usd": "12.345678",
        "trade_time": "2023-11-14T22:00:00.007Z",
        "event_time": None,
        "received_at": "2023-11-14T22:00:00.000001Z",
    }
    assert found["uid"].replace("-", "") == one.uid.hex()
    assert liquidation_object(one._replace(notional=None))["notional_usd"] is None
    life = Connection("c", "run", "binance", "wss://x", START * 1000, closed_us=START * 1000 + 5, cause="cut")
    assert list(connection_object(life).items()) == [
        ("id", "c"),
        ("venue", "binance"),
        ("url", "wss://x"),
        ("opened", "2023-11-14T22:00:00.000000Z"),
        ("first_frame", None),
        ("last_frame", None),
        ("last_canary", None),
        ("closed", "2023-11-14T22:00:00.000005Z"),
        ("cause", "cut"),
        ("loss_rate", None),
    ]
    ledger.append(batch(one))
    ledger.append(alive(START - HOUR, START + HOUR, "stopped"))
    hour = hour_object(ask(ledger, Window(START, START + HOUR)))
    assert list(hour["largest"].items()) == [
        ("symbol", "BTCUSDT"),
        ("side", "long"),
        ("notional_usd", "12.345678"),
        ("average_price", "0.1234"),
        ("filled_quantity", "1.5"),
        ("trade_time", "2023-11-14T22:00:00.007Z"),
        ("venue", "binance"),
    ]
    assert hour["by_symbol"] == [{"symbol": "BTCUSDT", "count": 1, "total_usd": "12.345678"}]
    (by_venue,) = hour["by_venue"]
    assert list(by_venue) == ["venue", "count", "total_usd", "coverage", "final", "sampling", "price_kind"]
    assert by_venue["venue"] == "binance"
    assert by_venue["total_usd"] == "12.345678"
    assert by_venue["sampling"] == "largest_per_symbol_second"
    assert by_venue["price_kind"] == "average_fill"
    assert by_venue["final"] is True
    assert hour["compared"]["hour_before"] == {"count": 0, "total_usd": "0.000000", "hours": 1}
    ledger.close()


def recorded_at(venue: str, start: int, end: int, cause: str | None = "stopped") -> Batch:
    """A venue that was recorded from start to end."""
    return alive(start, end, cause, name=f"{venue}{start}", venue=venue)


def event_at(venue: str, trade_time: int, micros: int, number: int = 0) -> Liquidation:
    """An event of a venue."""
    one = event(number)
    return one._replace(feed=one.feed._replace(venue=venue), trade_time=trade_time, notional=micros)


@pytest.fixture
def two(ledger: Ledger) -> Ledger:
    """Two venues over an hour: one whole with 3 dollars, the other for half of it with 5."""
    ledger.append(recorded_at("binance", START - 10_000, START + HOUR + 10_000))
    ledger.append(recorded_at("other", START - 10_000, START + HOUR // 2))
    ledger.append(
        Batch(
            "r",
            [
                (event_at("binance", START + 5, 3_000_000, 1),),
                (event_at("other", START + 7, 4_000_000, 2), event_at("other", START + 9, 1_000_000, 3)),
            ],
        )
    )
    return ledger


def test_each_venue_has_its_own_coverage(two: Ledger) -> None:
    """The hour's coverage is the lowest; each venue's own stands beside its sums; a gap names its venue."""
    summary = ask(two, Window(START, START + HOUR))
    assert [(one.venue, one.count, one.total) for one in summary.by_venue] == [
        ("other", 2, 5_000_000),
        ("binance", 1, 3_000_000),
    ]
    assert {one.venue: one.coverage for one in summary.by_venue} == {"binance": 1.0, "other": 0.5}
    assert summary.coverage == 0.5
    assert [gap.venue for gap in summary.gaps] == ["other"]
    two.close()


def test_some_venues_alone(two: Ledger) -> None:
    """Restricted to one venue, every number is of that one: sums, the largest, coverage and gaps."""
    with Reader(two.path) as reader:
        window = Window(START, START + HOUR)
        one = summarise(reader, window, LATER, traits=TRAITS, venues=["binance"])
        other = summarise(reader, window, LATER, traits=TRAITS, venues=["other"])
    assert (one.count, one.total, one.coverage, one.gaps) == (1, 3_000_000, 1.0, [])
    assert one.largest is not None
    assert one.largest.venue == "binance"
    assert (other.count, other.total, other.coverage) == (2, 5_000_000, 0.5)
    assert other.largest is not None
    assert other.largest.notional == 4_000_000
    two.close()


def test_an_hour_is_final_when_all_its_venues_are(ledger: Ledger) -> None:
    """A venue whose events come up to 30 s late holds the hour open so long; the quicker one is final before."""
    ledger.append(recorded_at("binance", START, START + HOUR + 10_000, None))
    ledger.append(recorded_at("late", START, START + HOUR + 10_000, None))
    traits = {**TRAITS, "late": Traits(settle_ms=30_000)}
    with Reader(ledger.path) as reader:
        summary = summarise(reader, Window(START, START + HOUR), START + HOUR + 10_500, traits=traits)
    assert {one.venue: one.final for one in summary.by_venue} == {"binance": True, "late": False}
    assert not summary.final
    ledger.close()


def test_a_venue_that_is_no_longer_recorded_costs_no_coverage(two: Ledger) -> None:
    """An hour in which only one venue was recorded rests on that one; a time without any, on those of the last run."""
    two.append(recorded_at("binance", START + 3 * HOUR, START + 4 * HOUR))
    with Reader(two.path) as reader:
        assert recorded(reader, Window(START, START + HOUR)) == ["binance", "other"]
        assert recorded(reader, Window(START + 3 * HOUR, START + 4 * HOUR)) == ["binance"]
        assert recorded(reader, Window(START + 9 * HOUR, START + 10 * HOUR)) == ["binance"]
        hour = summarise(reader, Window(START + 3 * HOUR, START + 4 * HOUR), LATER, traits=TRAITS)
    assert hour.coverage == 1.0
    two.close()


def test_a_venue_out_of_reach_is_being_recorded_between_its_rows(ledger: Ledger) -> None:
    """A row every five minutes says that it was tried: minutes between them have no coverage, and later hours not its hole."""
    ledger.append(recorded_at("binance", START, START + 3 * HOUR))
    for at in range(START, START + HOUR, 300_000):
        tried = Connection(
            f"t{at}", "run", "other", "wss://x", at * 1000, closed_us=at * 1000, cause="unreachable"
        )
        ledger.append(Batch("run", connections=[tried]))
    with Reader(ledger.path) as reader:

        def share(start: int, length: int) -> tuple[list[str], float]:
            window = Window(START + start, START + start + length)
            found = summarise(reader, window, LATER, traits=TRAITS)
            return recorded(reader, window), found.coverage

        assert share(0, HOUR) == (["binance", "other"], 0.0)
        assert share(61_000, 60_000) == (["binance", "other"], 0.0)
        assert share(HOUR, HOUR) == (["binance"], 1.0)
        window = Window(START, START + 2 * HOUR)
        alive = {
            name: [one for one in reader.alive(window) if one.venue == name] for name in ("binance", "other")
        }
        steps = series(reader, window, 60_000, LATER, alive, traits=TRAITS)
    assert {step.coverage for step in steps[:56]} == {0.0}
    assert {step.coverage for step in steps[60:]} == {1.0}
    ledger.close()
