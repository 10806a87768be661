from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rekt import app
from rekt.model import Feed, Instrument, Liquidation, OrderSide, Suspicion
from rekt.pipeline.suspicion import BURSTS, LATE_EVENTS, MINUTES, OTHERS, SILENT_S, UNITS, Watch
from rekt.simulator import simulated
from rekt.store import Batch
from rekt.stores.sqlite import Ledger, Reader
from rekt.venue import Tick, Venue
from tests.pipeline.service import running
from tests.waiting import until

NOON = 1_784_203_200_000  # 2026-07-16T12:00Z
ALL = app.venue("bybit")  # promises every event
THIN = app.venue("binance")  # at most one per symbol and second
QUIET = app.venue("aster")
_numbers = itertools.count()


def event(
    venue: Venue,
    at_s: float,
    side: OrderSide = "SELL",
    *,
    late_s: float = 0.2,
    quantity: str = "0.2",
    feed: Feed | None = None,
    symbol: str = "XUSDT",
    price: str = "10",
) -> Liquidation:
    """An event of its own, so many seconds after noon."""
    at = NOON + round(at_s * 1000)
    uid = next(_numbers).to_bytes(16, "big")
    return Liquidation(
        feed or venue.feeds[0], at, uid, symbol, side, None, None, price, quantity, quantity, 1, None, at,
        round((at + late_s * 1000) * 1000),
    )  # fmt: skip


def us(at_s: float) -> int:
    """So many seconds after noon, µs."""
    return round((NOON / 1000 + at_s) * 1e6)


def kinds(changes: Sequence[Suspicion]) -> list[tuple[str, bool]]:
    """What changed: the kind, and whether it is suspicious now."""
    return [(one.kind, one.text is not None) for one in changes]


# -- silent ------------------------------------------------------------------------------------------------------------


def hours(watches: list[Watch], venue: Venue, seconds: float, events: int, *, alive: bool) -> list[Suspicion]:
    """A stretch looked at twice a minute, in which the other venue tells so many events."""
    silent, other = watches
    found = []
    for step in range(round(seconds / 30)):
        share = events * (step + 1) // round(seconds / 30) - events * step // round(seconds / 30)
        other.note([event(venue, step * 30) for _ in range(share)], 0, {})
        found += silent.look(us(step * 30), alive=alive)
    return found


@pytest.mark.parametrize(
    ("seconds", "events", "alive", "expected"),
    [
        (SILENT_S + 60, OTHERS + 20, True, [("silent", True)]),
        (SILENT_S - 60, OTHERS + 20, True, []),
        (SILENT_S + 60, OTHERS - 20, True, []),
        (SILENT_S + 60, OTHERS + 20, False, []),
    ],
)
def test_accepted_but_silent(
    seconds: float, events: int, alive: bool, expected: list[tuple[str, bool]]
) -> None:
    """A canary for hours and no event, while others tell many: once. Not too early, in a calm, or without a canary."""
    watches: list[Watch] = []
    watches += [Watch(QUIET, watches, (), us(0)), Watch(ALL, watches, (), us(0))]
    assert kinds(hours(watches, ALL, seconds, events, alive=alive)) == expected


def test_silence_is_over_with_an_event() -> None:
    """Its next event, and it is well; the other venue, which told much, was never suspected."""
    watches: list[Watch] = []
    watches += [Watch(QUIET, watches, (), us(0)), Watch(ALL, watches, (), us(0))]
    assert hours(watches, ALL, SILENT_S + 60, OTHERS * 2, alive=True)
    watches[0].note([event(QUIET, SILENT_S)], 0, {})
    assert kinds(watches[0].look(us(SILENT_S + 90), alive=True)) == [("silent", False)]
    assert watches[1].look(us(SILENT_S + 90), alive=True) == []


# -- sides -------------------------------------------------------------------------------------------------------------


def minutes(watch: Watch, venue: Venue, sides: Callable[[bool], OrderSide], count: int) -> None:
    """Minutes in which bitcoin falls and rises by turns, with an event at the end of each."""
    price = 80_000.0
    for minute in range(count):
        falling = minute % 2 == 0
        for second in range(60):
            price *= 1 - 2e-5 if falling else 1 + 2e-5
            watch.tick(Tick(NOON + (minute * 60 + second) * 1000, f"{price:.2f}"))
        watch.note([event(venue, minute * 60 + 59, sides(falling))], 0, {})


@pytest.mark.parametrize(
    ("right", "count", "expected"),
    [(True, 200, []), (False, 200, [("sides", True)]), (False, 2 * MINUTES - 4, [])],
)
def test_exchanged_sides(right: bool, count: int, expected: list[tuple[str, bool]]) -> None:
    """Longs are liquidated when the price falls. Where they come when it rose, that is told, after enough minutes."""
    watch = Watch(ALL, ())
    minutes(watch, ALL, lambda falling: "SELL" if falling == right else "BUY", count)
    assert kinds(watch.look(us(0), alive=True)) == expected


def test_sides_by_the_price_that_another_venue_tells() -> None:
    """A venue whose canary has no price is judged by another's; put right, it is well again."""
    watches: list[Watch] = []
    watches += [Watch(QUIET, watches), Watch(THIN, watches)]
    mute, priced = watches
    price = 80_000.0
    changes = []
    for minute in range(1500):
        falling, right = minute % 2 == 0, minute > 200
        for second in range(60):
            price *= 1 - 2e-5 if falling else 1 + 2e-5
            priced.tick(Tick(NOON + (minute * 60 + second) * 1000, f"{price:.2f}"))
        mute.note([event(QUIET, minute * 60 + 59, "SELL" if falling == right else "BUY")], 0, {})
        changes += mute.look(us(minute * 60 + 59), alive=True)
    assert kinds(changes) == [("sides", True), ("sides", False)]


def test_a_burst_is_one_look_at_the_price() -> None:
    """A hundred events of one minute prove no more about sides than one."""
    watch = Watch(ALL, ())
    minutes(watch, ALL, lambda _: "SELL", 2)
    watch.note([event(ALL, 119, "BUY") for _ in range(200)], 0, {})
    figures = watch.figures()
    assert (figures.longs[0], figures.shorts[0]) == (1, 1)


# -- units -------------------------------------------------------------------------------------------------------------


def listed(venue: Venue, step: str | None, market: str = "linear") -> dict[str, Instrument]:
    """The contract of these events."""
    return {"XUSDT": Instrument(venue.name, "XUSDT", market, "X", "USDT", None, 1, step)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("quantity", "step", "count", "expected"),
    [
        ("0.2", "0.1", 40, []),
        ("0.25", "0.1", 40, [("units", True)]),
        ("1999", "1000", 40, [("units", True)]),
        ("0.25", "0.1", UNITS - 1, []),
        ("0.25", None, 40, []),
    ],
)
def test_quantities_are_multiples_of_the_step(
    quantity: str, step: str | None, count: int, expected: list[tuple[str, bool]]
) -> None:
    """Most quantities between two steps: they are of another unit. Not judged on a few, or without a step."""
    watch = Watch(ALL, ())
    for number in range(count):
        watch.note([event(ALL, number, quantity=quantity)], 0, listed(ALL, step))
    changes = watch.look(us(100), alive=True)
    assert kinds(changes) == expected
    assert all(f"{count} of {count}" in (one.text or "") for one in changes)


def test_units_are_well_again_once_most_fit() -> None:
    """A list that was old for a while: told, and over when the quantities fit."""
    watch = Watch(ALL, ())
    watch.note([event(ALL, n, quantity="0.25") for n in range(40)], 0, listed(ALL, "0.1"))
    changes = watch.look(us(50), alive=True)
    for look in range(5):
        watch.note([event(ALL, 100 + look, quantity="0.25") for _ in range(50)], 0, listed(ALL, "0.05"))
        changes += watch.look(us(100 + look), alive=True)
    assert kinds(changes) == [("units", True), ("units", False)]


def test_an_amount_of_quote_currency() -> None:
    """Bitget tells amounts: over the price they are coins, multiples of the step as far as its digits tell."""
    bitget = app.venue("bitget")
    linear, inverse = bitget.feeds
    known = listed(bitget, "0.1")["XUSDT"]
    seen = event(bitget, 0, feed=linear, quantity="13.70319", price="0.1649")
    assert bitget.fits(seen, known) is True
    assert bitget.fits(seen._replace(filled_quantity="83.14159"), known) is False  # no amount of whole steps
    assert bitget.fits(seen, known._replace(step="0.00001")) is None  # finer than the digits of the amount
    assert bitget.fits(seen._replace(feed=inverse), known._replace(market="inverse")) is None


# -- late --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late_s", "of", "count", "expected"),
    [
        (3.5, 100, LATE_EVENTS, [("late", True)]),
        (3.5, 100, LATE_EVENTS - 1, []),
        (2.9, 100, LATE_EVENTS, []),
        (3.5, 2000, 2000, []),  # one in two thousand
    ],
)
def test_lateness_past_the_margin(
    late_s: float, of: int, count: int, expected: list[tuple[str, bool]]
) -> None:
    """One in a thousand later than the venue's margin, over at least a thousand events."""
    watch = Watch(ALL, ())
    watch.note([event(ALL, n / 10, late_s=late_s if n % of == 0 else 0.2) for n in range(count)], 0, {})
    assert kinds(watch.look(us(count / 10), alive=True)) == expected


def test_the_margin_is_the_venues_own() -> None:
    """Twenty seconds are late at one venue, and within the margin of another."""
    bitget = app.venue("bitget")
    for venue, expected in ((ALL, [("late", True)]), (bitget, [])):
        watch = Watch(venue, ())
        watch.note([event(venue, n * 2, late_s=20) for n in range(LATE_EVENTS)], 0, {})
        assert kinds(watch.look(us(4000), alive=True)) == expected


def test_backlogs_and_repeats_say_nothing() -> None:
    """What was traded before the connection opened is no late event; what two connections tell is one event."""
    watch = Watch(THIN, ())
    watch.note([event(THIN, -3600, late_s=3600) for _ in range(LATE_EVENTS)], us(0), {})
    twice = [event(THIN, n) for n in range(5)]
    watch.note(twice, us(0), {})
    watch.note(twice, us(0), {})
    assert watch.figures().events == 5
    assert watch.look(us(10), alive=True) == []


# -- throttle ----------------------------------------------------------------------------------------------------------


def spread(venue: Venue, every_s: float, count: int, feed: Feed | None = None) -> Iterator[Liquidation]:
    """Events of one symbol and side, so far apart."""
    return (event(venue, n * every_s, feed=feed) for n in range(count))


@pytest.mark.parametrize(
    ("venue", "every_s", "expected"),
    [
        (THIN, 1.0, []),
        (THIN, 0.5, [("throttle", True)]),
        (QUIET, 0.1, [("throttle", True)]),
        (ALL, 0.1, []),
    ],
)
def test_more_than_one_a_second(venue: Venue, every_s: float, expected: list[tuple[str, bool]]) -> None:
    """More than one per symbol and second is told where the sampling denies it, and only there."""
    watch = Watch(venue, ())
    watch.note(spread(venue, every_s, BURSTS * 5), 0, {})
    assert kinds(watch.look(us(60), alive=True)) == expected


def test_neighbouring_windows_may_fall_close() -> None:
    """The largest of one second may be its last, that of the next its first: two at once are no breach, for hours."""
    watch = Watch(THIN, ())
    for n in range(3000):
        watch.note([event(THIN, 2 * n + 0.99), event(THIN, 2 * n + 1.01)], 0, {})
    assert watch.look(us(6000), alive=True) == []
    assert watch.figures().bursts == 0


def test_a_throttle_that_holds_again_is_over_after_a_day() -> None:
    """Nothing but time proves that it holds."""
    watch = Watch(THIN, ())
    watch.note(spread(THIN, 0.1, 100), 0, {})
    assert kinds(watch.look(us(60), alive=True)) == [("throttle", True)]
    assert watch.look(us(80_000), alive=True) == []
    assert kinds(watch.look(us(87_000), alive=True)) == [("throttle", False)]


# -- what was told before, and where it is kept ------------------------------------------------------------------------


def test_what_an_earlier_run_left_stands_until_it_is_well() -> None:
    """A restart neither tells it again nor takes a quiet start for well; enough that is well ends it, with its begin."""
    left = [Suspicion(THIN.name, "late", "slow", 5), Suspicion("okx", "units", "odd", 5)]
    watch = Watch(THIN, (), left, us(0))
    assert watch.look(us(10), alive=True) == []
    watch.note([event(THIN, n, late_s=10) for n in range(LATE_EVENTS)], 0, {})
    assert watch.look(us(2000), alive=True) == []
    for start in range(2000, 20_000, 2000):
        watch.note([event(THIN, start + n) for n in range(2000)], 0, {})
    assert watch.look(us(30_000), alive=True) == [Suspicion(THIN.name, "late", None, 5)]


def test_kept_in_the_ledger(tmp_path: Path) -> None:
    """The first text stays while it lasts, raised and over in one batch is over; giving a batch again changes nothing."""
    ledger = Ledger(tmp_path / "l.db")
    raised = [Suspicion("okx", "units", "odd", 7), Suspicion("okx", "units", "odder", 9)]
    brief = [Suspicion("gate", "late", "slow", 8), Suspicion("gate", "late", None, 8)]
    batch = Batch("r", suspicions=[*raised, *brief])
    ledger.append(batch)
    ledger.append(batch)
    with Reader(tmp_path / "l.db") as reader:
        assert reader.suspicions() == raised[:1]
    ledger.append(
        Batch("r", suspicions=[Suspicion("okx", "units", "\ud800", 1), Suspicion("okx", "late", "\ud800", 1)])
    )
    ledger.append(Batch("r", suspicions=[Suspicion("okx", "units", None, 7)]))
    with Reader(tmp_path / "l.db") as reader:
        assert reader.suspicions() == []
        assert len(reader.quarantined()) >= 1
    ledger.close()


def test_the_step_is_not_kept(tmp_path: Path) -> None:
    """Contracts are kept as before; their step is read anew at each start."""
    ledger = Ledger(tmp_path / "l.db")
    ledger.append(Batch("r", instruments=[listed(ALL, "0.1")["XUSDT"]]))
    ledger.close()
    with Reader(tmp_path / "l.db") as reader:
        assert reader.instruments("bybit") == listed(ALL, None)


@pytest.mark.timeout(120)
def test_told_once_by_the_real_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A venue that breaks its own throttle: one line in the log, one row in the ledger, also over a restart."""
    monkeypatch.setattr("rekt.pipeline.recorder.LOOK_S", 0.5)
    caplog.set_level(logging.INFO, "rekt.recorder")
    ledger = tmp_path / "l.db"

    def kept() -> list[str]:
        with Reader(ledger) as reader:
            return [f"{one.venue} {one.kind}" for one in reader.suspicions()]

    with simulated(scene="none", rate=200.0, throttle=False, hold_ms=0) as exchange:
        with running(ledger, exchange, connections=2):
            assert until(lambda: kept() == ["binance throttle"])
        with running(ledger, exchange, connections=2) as again:
            before = len(again.new)
            assert until(lambda: len(again.new) > before + 400)
            time.sleep(1.5)
    told = [one.getMessage() for one in caplog.records if "suspicious" in one.getMessage()]
    assert len(told) == 1
    assert "more often than once a second" in told[0]
    assert kept() == ["binance throttle"]


@pytest.mark.timeout(120)
def test_a_throttled_market_is_not_suspected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same market sampled as the venue promises, units and all: nothing is suspicious."""
    monkeypatch.setattr("rekt.pipeline.recorder.LOOK_S", 0.5)
    with (
        simulated(scene="none", rate=200.0, throttle=True) as exchange,
        running(tmp_path / "l.db", exchange, connections=2) as recorder,
    ):
        (one,) = recorder.service.recorders
        assert until(lambda: one.watch.figures().events >= 150, 30)
        assert until(lambda: one.watch.figures().units[0] >= 100)
        figures = one.watch.figures()
    assert (figures.units[1], figures.bursts) == (0, 0)
    with Reader(tmp_path / "l.db") as reader:
        assert reader.suspicions() == []
