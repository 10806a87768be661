"""What is measured of the recording itself: losses, lag, saturation, revisions, merged ledgers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt import tapes
from rekt.errors import UsageError
from rekt.fields import HOUR
from rekt.model import ClockChange, Connection, Delivery, Instrument, Loss, Span, Window
from rekt.pipeline.clock import Clocks, ClockWatch
from rekt.pipeline.deliveries import PATIENCE_S, Deliveries
from rekt.simulator import simulated
from rekt.stats.coverage import Traits
from rekt.stats.quality import missed_by_all, quality, times
from rekt.stats.summary import summarise
from rekt.store import Batch, Moment, Settled
from rekt.stores.sqlite import Ledger, Reader
from rekt.venue import Reference
from rekt.venues.binance import VENUE
from tests.pipeline.service import running, settings_for
from tests.pipeline.test_recorder import payload
from tests.pipeline.test_replay import order
from tests.waiting import until

HOUR_START = 1_784_203_200_000  # 2026-07-16T12:00Z
LATER = HOUR_START + 30 * HOUR


def event(number: int, **changes: Any) -> Any:
    """An event of that hour."""
    import json

    value = order(number, **changes)
    (one,) = VENUE.decode(json.dumps(value).encode(), (value["E"] + 40) * 1000, Reference())  # type: ignore[misc]
    return one


def test_what_one_of_two_did_not_tell_is_lost() -> None:
    """Of ten events told to two connections, those that one did not tell are its losses, after their time is over."""
    deliveries = Deliveries()
    for number in range(10):
        uid = bytes([number])
        deliveries.note("a", uid, 5, ("a", "b"), 0.0)
        if number < 7:
            deliveries.note("b", uid, 5, ("a", "b"), 0.1)
    assert deliveries.settle(["a", "b"], PATIENCE_S - 0.1) == []
    assert deliveries.settle(["a", "b"], PATIENCE_S) == [Delivery("a", 0, 10, 0), Delivery("b", 0, 7, 3)]
    assert deliveries.settle(["a", "b"], 9 * PATIENCE_S) == []


def test_a_repeat_is_known_as_one() -> None:
    """What was told moments ago is known, whichever connection tells it again; once it is reckoned it is new again."""
    deliveries = Deliveries()
    told = [deliveries.note(connection, b"1", 5, ("a", "b"), 0.0) for connection in "abab"]
    assert told == [False, True, True, True]
    deliveries.settle(["a", "b"], PATIENCE_S)
    assert not deliveries.note("a", b"1", 5, ("a", "b"), PATIENCE_S)


def test_there_is_little_to_look_through_whatever_comes() -> None:
    """Events of many parts and hours by turns, as a venue of many connections tells them, lie in few dictionaries."""
    deliveries = Deliveries()
    for number in range(2000):
        part = number % 20
        alive = (f"{part} a", f"{part} b")
        deliveries.note(alive[0], b"%d" % number, number * HOUR, alive, number / 1000)
    assert len(deliveries._waiting) == 1


def test_a_connection_that_was_not_there_loses_nothing() -> None:
    """One that was not proved alive, or has ended by the time of reckoning, has no losses; one alone no comparison."""
    deliveries = Deliveries()
    deliveries.note("a", b"1", 5, ("a",), 0.0)
    deliveries.note("a", b"2", 5, ("a", "b"), 0.0)
    assert deliveries.settle(["a"], PATIENCE_S) == []


told = st.tuples(
    st.sampled_from("abc"), st.integers(0, 30), st.sampled_from([("a",), ("a", "b"), ("a", "b", "c")])
)


@given(st.lists(told, max_size=200), st.sets(st.sampled_from("abc")))
def test_losses_are_those_of_counting_event_by_event(
    notes: list[tuple[str, int, tuple[str, ...]]], left: set[str]
) -> None:
    """However notes of events, hours and living connections are mixed, the sums are those of each event by itself."""
    deliveries = Deliveries()
    first: dict[int, tuple[str, ...]] = {}
    tellers: dict[int, set[str]] = {}
    for place, (connection, number, alive) in enumerate(notes):
        deliveries.note(connection, bytes([number]), number % 2 * HOUR, alive, place * 0.01)
        first.setdefault(number, alive)
        tellers.setdefault(number, set()).add(connection)
    expected: dict[tuple[str, int], list[int]] = {}
    for number, by in tellers.items():
        witnesses = set(first[number]) & left
        if len(witnesses | by) > 1:
            for one in witnesses | by:
                counts = expected.setdefault((one, number % 2 * HOUR), [0, 0])
                counts[one not in by] += 1
    found = deliveries.settle(left, 2 * PATIENCE_S)
    assert found == [Delivery(*key, *counts) for key, counts in sorted(expected.items())]
    assert deliveries.settle(left, 9 * PATIENCE_S) == []


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400))
def test_the_estimate_is_lincoln_and_petersen_s(only_a: int, only_b: int, both: int) -> None:
    """With a, b and both told, the estimate of what none told is a × b / both."""
    losses = [Loss("a", "v", both + only_a, only_b), Loss("b", "v", both + only_b, only_a)]
    assert missed_by_all(losses) == pytest.approx(only_a * only_b / both)
    assert losses[0].rate == only_b / (both + only_a + only_b)


def test_no_estimate_without_a_comparison() -> None:
    """One connection, or two that share no event, give none."""
    assert missed_by_all([]) is None
    assert missed_by_all([Loss("a", "v", 5, 0)]) is None
    assert missed_by_all([Loss("a", "v", 5, 5), Loss("b", "v", 5, 5)]) is None


def moment(second: int, symbol: str = "S", lag_ms: int = 40) -> Moment:
    """An event in that second."""
    at = HOUR_START + second * 1000
    return Moment("binance", symbol, at, at + 1000, (at + 1000 + lag_ms) * 1000)


def test_saturation_counts_runs_of_seconds() -> None:
    """A symbol with an event in five seconds running was at the limit; gaps and repeats in a second do not count."""
    runs = [moment(second) for second in (1, 2, 3, 4, 5, 5, 9, 20, 21)]
    calm = [moment(second, "CALM") for second in range(0, 600, 2)]
    _, (found,) = times([*runs, *calm])
    assert (found.symbol, found.seconds, found.longest_run) == ("S", 8, 5)
    assert found.saturation == pytest.approx(5 / 8)
    assert times(runs, {"binance"})[1] == []


def test_lag_is_the_time_from_sent_to_received() -> None:
    """Percentiles in ms, of those that told when they were sent."""
    found, _ = times(moment(second, lag_ms=second) for second in range(100))
    assert found == (50.0, 95.0, 99.0)
    assert times([]) == (None, [])


def test_clocks_that_step_and_machines_that_sleep() -> None:
    """A step of the time of day and a sleep are told apart; slow time and a busy machine are neither."""
    readings = iter(
        [
            Clocks(1000.0, 10.0, 10.0),
            Clocks(1003.0, 13.0, 13.0),  # time passes, a tick came late
            Clocks(4604.0, 14.0, 14.0),  # set an hour ahead
            Clocks(1005.0, 15.0, 15.0),  # and back
            Clocks(1606.0, 16.0, 616.0),  # asleep for ten minutes, the clock went on
        ]
    )
    watch = ClockWatch(lambda: next(readings))
    assert watch.changes() == []
    assert watch.changes() == [ClockChange(4_604_000_000, 3600.0, "step")]
    assert watch.changes() == [ClockChange(1_005_000_000, -3600.0, "step")]
    assert watch.changes() == [ClockChange(1_606_000_000, 600.0, "asleep")]


def test_losses_are_measured_while_recording(tmp_path: Path) -> None:
    """What the exchange sends to one of two connections only is stored all the same, and is the other's loss."""
    with simulated(scene="none") as exchange, running(tmp_path / "l.db", exchange, connections=2) as recorder:
        assert until(lambda: sum(link.proved.is_set() for link in recorder.links()) == 2)
        exchange.fault("quiet", connection=2)
        for number in range(20):
            exchange.send(payload(number))
        assert until(lambda: len(recorder.new) == 20)
        exchange.clear("quiet")
        for number in range(20, 60):
            exchange.send(payload(number))
        assert until(lambda: len(recorder.new) == 60)

        def losses() -> list[Loss]:
            with Reader(recorder.ledger) as reader:
                return quality(reader, Window(0, 1 << 50), {"binance": Traits()}).losses

        assert until(lambda: sum(loss.told for loss in losses()) == 100, 25)
        assert sorted((loss.told, loss.lost) for loss in losses()) == [(40, 20), (60, 0)]
        assert not any(link.ended.is_set() for link in recorder.links())


def numbers(path: Path) -> tuple[Any, Any]:
    """The hour and what is said of its recording."""
    with Reader(path) as reader:
        window = Window(HOUR_START, HOUR_START + HOUR)
        assert reader.verify() == []
        return summarise(reader, window, LATER, traits={"binance": Traits()}), quality(
            reader, window, {"binance": Traits()}
        )


def test_a_final_hour_that_changes_keeps_its_old_numbers(tmp_path: Path) -> None:
    """Late events and late values of an hour that was final leave its numbers before and after, with the reason."""
    ledger = Ledger(tmp_path / "l.db")
    inverse = event(5, s="BTCUSD_PERP", st=2, z="7")
    ledger.append(Batch("r", frames=[(event(1),), (event(2),), (inverse,)], now_ms=HOUR_START + 60_000))
    assert numbers(tmp_path / "l.db")[1].revisions == []
    for number in (3, 4):
        ledger.append(Batch("r", frames=[(event(number),)], now_ms=LATER + number))
    ledger.append(Batch("r", frames=[(event(4),)], now_ms=LATER + 9))
    ledger.append(
        Batch("r", settled=[Settled(inverse.trade_time, inverse.uid, 700_000_000, None)], now_ms=LATER + 10)
    )
    ledger.close()
    hour, how = numbers(tmp_path / "l.db")
    late, size = how.revisions
    assert (late.reason, late.count_before, late.count_after) == ("late event", 3, 5)
    assert (size.reason, size.count_before, size.count_after) == ("late size", 5, 5)
    assert size.total_after - size.total_before == 700_000_000
    assert (late.total_after, size.total_after) == (size.total_before, hour.total)


def test_an_hour_that_a_canary_closed_is_final_sooner(tmp_path: Path) -> None:
    """Where a connection lived across the end, a change four seconds after it is a revision already."""
    end = HOUR_START + HOUR
    life = Connection("c", "r", "binance", "wss://x", HOUR_START * 1000)
    for name, spans, expected in (
        ("a", [Span("c", end - 9000, end + 3500)], 1),
        ("b", [Span("c", end - 9000, end)], 0),
    ):
        ledger = Ledger(tmp_path / f"{name}.db")
        ledger.append(Batch("r", connections=[life], spans=spans, now_ms=end + 3600))
        ledger.append(Batch("r", frames=[(event(1),)], now_ms=end + 4000))
        ledger.close()
        assert len(numbers(tmp_path / f"{name}.db")[1].revisions) == expected


def test_two_ledgers_are_united(tmp_path: Path) -> None:
    """Events of both are there once, spans of both make the coverage, a value that one knew is known, twice is once."""
    minute = 60_000
    for name, numbered, stretch in (("a", (1, 2, 3), (0, 20)), ("b", (3, 4), (15, 40))):
        ledger = Ledger(tmp_path / f"{name}.db")
        unknown = event(9, s="BTCUSD_PERP", st=2, z="7")
        known = unknown._replace(notional=700_000_000)
        life = Connection(
            name, "r", "binance", "wss://x", HOUR_START * 1000, closed_us=HOUR_START * 1000, cause="cut"
        )
        ledger.append(
            Batch(
                "r",
                frames=[*((event(number),) for number in numbered), (known if name == "b" else unknown,)],
                connections=[life],
                spans=[Span(name, HOUR_START + stretch[0] * minute, HOUR_START + stretch[1] * minute)],
                instruments=[Instrument("binance", "X", "linear", "X", "USDT", None, 5)],
                deliveries=[Delivery(name, HOUR_START, 5, 1)],
                now_ms=HOUR_START + HOUR,
            )
        )
        ledger.close()
    with simulated(scene="none") as exchange:
        settings = settings_for(tmp_path / "a.db", exchange)
    other = (tmp_path / "b.db").read_bytes()
    assert tapes.merge(settings, tmp_path / "b.db") == (1, 2)
    assert tapes.merge(settings, tmp_path / "b.db") == (0, 3)
    assert (tmp_path / "b.db").read_bytes() == other
    hour, how = numbers(tmp_path / "a.db")
    assert (hour.count, hour.unknown_count) == (5, 0)
    assert hour.coverage == pytest.approx(40 / 60)
    assert [(loss.connection, loss.told) for loss in how.losses] == [("a", 5), ("b", 5)]
    assert {revision.reason for revision in how.revisions} == {"merge", "late size"}
    with pytest.raises(UsageError, match="the ledger itself"):
        tapes.merge(settings, tmp_path / "a.db")


def test_play_money_is_not_merged_into_the_real(tmp_path: Path) -> None:
    """A ledger of a testnet is refused by one that holds real events."""
    for name, kind in (("a", "real"), ("b", "testnet")):
        ledger = Ledger(tmp_path / f"{name}.db")
        ledger.claim("host_kind", kind)
        ledger.append(Batch("r", frames=[(event(1 if name == "a" else 2),)], now_ms=int(time.time() * 1000)))
        ledger.close()
    with simulated(scene="none") as exchange:
        settings = settings_for(tmp_path / "a.db", exchange)
    with pytest.raises(UsageError, match="testnet"):
        tapes.merge(settings, tmp_path / "b.db")
    with Reader(tmp_path / "a.db") as reader:
        assert reader.rows() == 1
