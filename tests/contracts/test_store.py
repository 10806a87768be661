"""What every store must do: one suite, run over each of them.

A store joins by a factory in STORES: given a folder, it gives an empty store that takes batches and answers questions.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from rekt.model import Bucket, Connection, Largest, Span, Window
from rekt.store import Alive, Appended, Batch, Settled, Store
from rekt.stores.sqlite import Ledger, Reader
from tests.stores.events import INVERSE, LINEAR, START, batch, event, events
from tests.stores.questdb import Shipped

HOUR = 3_600_000
MINUTE = 60_000


class Both(Reader):
    """The ledger's two sides as one store."""

    def __init__(self, path: Path) -> None:
        self._ledger = Ledger(path)
        super().__init__(path)

    def append(self, batch: Batch) -> Appended:
        return self._ledger.append(batch)

    def close(self) -> None:
        super().close()
        self._ledger.close()


STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: Both(folder / "ledger.db"),
    "questdb": lambda folder: cast("Store", Shipped(folder)),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    made = STORES[request.param](tmp_path)
    yield made
    made.close()


def test_gives_back_what_it_took(store: Store) -> None:
    """Every field of every event comes back as it went in, by trade time and uid."""
    made = events(300)
    store.append(batch(*made))
    assert list(store.liquidations()) == sorted(made, key=lambda one: (one.trade_time, one.uid))


def test_a_batch_given_again_adds_nothing(store: Store) -> None:
    """A resent batch counts as duplicates and changes no number."""
    made = batch(*events(50))
    assert store.append(made) == Appended(50, 0, [frame[0] for frame in made.frames])
    before = store.sums(Window(START, START + 2 * HOUR))
    assert store.append(made) == Appended(0, 50, [])
    assert store.sums(Window(START, START + 2 * HOUR)) == before


def test_counts_a_frame_by_its_events(store: Store) -> None:
    """A frame with one new event is stored, one with repeats only is a duplicate, inside one batch as well."""
    one, two, three = event(1), event(2), event(3)
    store.append(batch(one))
    assert store.append(Batch("run", [(one, two), (two,), (one,), (three, three)])) == Appended(
        2, 2, [two, three]
    )
    assert len(list(store.liquidations())) == 3


def test_a_window_is_half_open(store: Store) -> None:
    """An event at the end of a window belongs to the next."""
    early, late = event(1, at=START), event(2, at=START + HOUR)
    store.append(batch(early, late))
    assert list(store.liquidations(Window(START, START + HOUR))) == [early]
    assert store.count(Window(START, START + HOUR)) == [
        Bucket(START, "binance", "BTCUSDT", "long", 1, 0, 1_000_000)
    ]
    assert store.totals(Window(START, START + HOUR), "hour") == [
        Bucket(START, "binance", "", "long", 1, 0, 1_000_000)
    ]


def test_filters_a_listing(store: Store) -> None:
    """Venue, symbol, side and least value narrow a listing; unknown notionals have no value."""
    small = event(1, notional=4_999_999)
    big = event(2, notional=5_000_000)
    other = event(3, notional=9_000_000, symbol="ETHUSDT", side="BUY")
    unknown = event(4, notional=None, symbol="ETHUSDT", side="BUY")
    store.append(batch(small, big, other, unknown))

    def uids(**filters: object) -> set[bytes]:
        return {one.uid for one in store.liquidations(**filters)}  # type: ignore[arg-type]

    assert uids(min_usd=5) == {big.uid, other.uid}
    assert uids(symbol="ETHUSDT") == {other.uid, unknown.uid}
    assert uids(side="long", min_usd=5) == {big.uid}
    assert uids(venue="bybit") == set()
    assert uids(symbol="' OR 1=1 --") == set()


def test_a_hostile_symbol_stays_data(store: Store) -> None:
    """Quotes, line ends, separators of the wire and markup come back as they went in, and are found by themselves."""
    names = [
        "'; DROP TABLE liquidation; --", "a''b\\", "a\nb\r\nc", "a b,c=d", "<script>", "\x1b[2J", "\u202e币", "../x", "%_*",
        '"q"', "$1 {0} :p",
    ]  # fmt: skip
    made = [event(number, at=START + number, symbol=name) for number, name in enumerate(names)]
    store.append(batch(*made))
    assert list(store.liquidations()) == made
    for one in made:
        assert list(store.liquidations(symbol=one.symbol)) == [one]
    assert {bucket.symbol for bucket in store.count(Window(START, START + HOUR))} == set(names)


def test_rolls_up_by_minute_hour_and_symbol(store: Store) -> None:
    """Each scope adds up the counting events of its stretch, both markets of a venue together."""
    store.append(
        batch(
            event(1, notional=1),
            event(2, at=START + MINUTE, notional=2),
            event(3, at=START + MINUTE, notional=4, symbol="BTCUSD_PERP", feed=INVERSE),
            event(4, notional=8, status="NEW"),
            event(5, notional=None),
            event(6, notional=16, status=None, side="BUY"),
        )
    )
    window = Window(START, START + HOUR)
    assert sorted(store.totals(window, "minute")) == [
        Bucket(START, "binance", "", "long", 2, 1, 1),
        Bucket(START, "binance", "", "short", 1, 0, 16),
        Bucket(START + MINUTE, "binance", "", "long", 2, 0, 6),
    ]
    assert sorted(store.totals(window, "hour")) == [
        Bucket(START, "binance", "", "long", 4, 1, 7),
        Bucket(START, "binance", "", "short", 1, 0, 16),
    ]
    by_symbol = [
        Bucket(START, "binance", "BTCUSDT", "long", 3, 1, 3),
        Bucket(START, "binance", "BTCUSDT", "short", 1, 0, 16),
        Bucket(START, "binance", "BTCUSD_PERP", "long", 1, 0, 4),
    ]
    assert sorted(store.totals(window, "hour_symbol")) == by_symbol
    assert sorted(store.sums(window)) == sorted(store.count(window)) == by_symbol


@pytest.mark.parametrize("seed", range(2))
def test_any_window_adds_up_to_its_events(store: Store, seed: int) -> None:
    """Whole hours, parts of one, ends of which most or little lies inside: always what the events themselves say."""
    chosen = random.Random(seed)
    other = LINEAR._replace(venue="toyex")
    made = [
        event(
            number,
            at=START
            + chosen.choice((chosen.randrange(3 * HOUR), HOUR + chosen.randrange(MINUTE), 2 * HOUR - 1)),
            symbol=chosen.choice(("BTCUSDT", "ETHUSDT")),
            side=chosen.choice(("SELL", "BUY")),
            notional=chosen.choice((None, chosen.randrange(3), chosen.randrange(1 << 62))),
            status=chosen.choice(("FILLED", "FILLED", "NEW")),
            feed=chosen.choice((LINEAR, INVERSE, other)),
        )
        for number in range(150)
    ]
    # Hours whose largest have equals, and nothing but a value of nothing.
    made += [event(200 + n, at=START + (3 * 60 + n * 20) * MINUTE, notional=7) for n in range(5)]
    made += [event(300 + n, at=START + (5 * 60 + n * 30) * MINUTE, notional=0) for n in range(2)]
    store.append(batch(*made))
    edges = [START + hour * HOUR for hour in (0, 1, 2, 3, 4)] + [START + HOUR + MINUTE, START + HOUR + MINUTE]
    edges += [START + (3 * 60 + 10) * MINUTE, START + (5 * 60 + 10) * MINUTE, START + 6 * HOUR]
    edges += [START + chosen.randrange(3 * HOUR) for _ in range(4)]
    for start, end in itertools.combinations(sorted(edges), 2):
        inside = [one for one in made if start <= one.trade_time < end and one.counts]
        sums: dict[tuple[str, str, str], list[int]] = {}
        for one in inside:
            entry = sums.setdefault((one.feed.venue, one.symbol, one.side), [0, 0, 0])
            entry[0] += 1
            entry[1] += one.notional is None
            entry[2] += one.notional or 0
        want: list[tuple[object, ...]] = [(start, *key, *entry) for key, entry in sorted(sums.items())]
        assert sorted(store.sums(Window(start, end))) == want
        assert sorted(store.count(Window(start, end))) == want
        for among in (None, ["toyex"]):
            most = min(
                (
                    (-one.notional, one.trade_time, one.uid, one)
                    for one in inside
                    if one.notional is not None and (among is None or one.feed.venue in among)
                ),
                default=None,
            )
            largest = store.largest(Window(start, end), among)
            assert (largest is None) == (most is None)
            if largest and most:
                assert largest[:3] == (most[3].symbol, most[3].side, most[3].notional)
                assert largest.trade_time == most[3].trade_time


def test_sums_are_exact_beyond_64_bits(store: Store) -> None:
    """Micro-dollars add up exactly where the sum no longer fits an SQL integer."""
    most = 2**63 - 1
    made = [event(n, notional=most) for n in range(5)]
    for one in made:
        store.append(batch(one))
    window = Window(START, START + HOUR)
    for found in (store.sums(window), store.count(window), store.totals(window, "hour")):
        assert [bucket.total for bucket in found] == [5 * most]


def test_the_largest_is_told_apart_from_its_equals(store: Store) -> None:
    """Of equal notionals the earliest is the largest, of equal times the lowest uid; statuses that don't count don't."""
    first, second = sorted((event(n, at=START + 5, notional=7) for n in (1, 2)), key=lambda one: one.uid)
    later, uncounted = event(3, at=START + 6, notional=7), event(4, notional=99, status="NEW")
    for one in (uncounted, later, second, first, event(5, notional=None), event(6, notional=6)):
        store.append(batch(one))
    want = Largest(
        first.symbol, "long", 7, first.average_price, first.filled_quantity, first.trade_time, "binance"
    )
    assert store.largest(Window(START, START + HOUR)) == want
    assert store.largest(Window(START + 5, START + 7)) == want
    assert store.largest(Window(START + 6, START + 2 * HOUR)) == want._replace(trade_time=START + 6)
    assert store.largest(Window(START + HOUR, START + 2 * HOUR)) is None


def test_a_late_notional_moves_from_unknown_to_known(store: Store) -> None:
    """Settling changes the sums and the largest once, however often it is told, and leaves the count."""
    late, uncounted = event(1, notional=None), event(2, notional=None, status="NEW")
    store.append(batch(late, uncounted))
    settled = [Settled(one.trade_time, one.uid, 12_345_678, "inferred") for one in (late, uncounted)]
    store.append(Batch("run", settled=[*settled, *settled]))
    store.append(Batch("run", settled=[settled[0]._replace(notional=5)]))
    window = Window(START, START + HOUR)
    for found in (store.sums(window), store.count(window)):
        assert found == [Bucket(START, "binance", "BTCUSDT", "long", 1, 0, 12_345_678)]
    largest = store.largest(window)
    assert largest is not None
    assert largest.notional == 12_345_678
    assert {(one.notional, one.basis) for one in store.liquidations()} == {(12_345_678, "inferred")}


def test_what_is_said_of_a_connection_only_grows(store: Store) -> None:
    """An older state given late takes nothing back."""
    opened = Connection("c1", "run", "binance", "wss://x", START * 1000)
    grown = opened._replace(first_frame_us=START * 1000 + 1, last_frame_us=START * 1000 + 9, last_canary_us=3)
    closed = grown._replace(closed_us=START * 1000 + 10, cause="cut")
    span = Span("c1", START, START + 500)
    for state, spans in ((opened, []), (closed, [span]), (grown, [span._replace(end_ms=START + 100)])):
        store.append(Batch("run", connections=[state], spans=spans))
    assert store.connections(None) == [closed]
    assert store.alive(Window(START, START + 1)) == [Alive("binance", "c1", START, START + 500, True, "cut")]
    assert store.venues() == ["binance"]


def test_finds_spans_and_connections_of_a_window(store: Store) -> None:
    """Those that touch the window, and the one that ended last before it."""
    life = Connection(
        "a", "run", "binance", "wss://x", START * 1000, closed_us=(START + 100) * 1000, cause="stall"
    )
    open_ = Connection(
        "b", "run", "bybit", "wss://x", (START + 200) * 1000, last_canary_us=(START + 300) * 1000
    )
    spans = [Span("a", START, START + 90), Span("b", START + 210, START + 300)]
    store.append(Batch("run", connections=[open_, life], spans=spans))
    assert [one.id for one in store.connections(Window(START, START + 1000))] == ["a", "b"]
    assert [one.id for one in store.connections(Window(START + 150, START + 1000))] == ["b"]
    assert [one.connection for one in store.alive(Window(START + 90, START + 210))] == ["a"]
    assert [one.connection for one in store.alive(Window(START + 91, START + 211))] == ["b"]
    before = store.alive_before("binance", START + 1000)
    assert before == Alive("binance", "a", START, START + 90, True, "stall")
    assert store.alive_before("binance", START + 90) is None
    assert store.alive_before("bybit", START + 299) is None
    assert store.venues() == ["binance", "bybit"]
