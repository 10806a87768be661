# ruff: noqa: S608 - what is put together are constants; every value is bound
"""What the numbers of a window are made from, as rekt.store.Facts and QualityFacts ask it: roll-ups, coverage, quality.

Each function is given `rows`, which runs a statement: so all of them may be asked within one snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rekt.fields import DAY, HOUR
from rekt.model import MICRO, Bucket, Connection, Delivery, Largest, Revision, Side, Window
from rekt.store import Alive, Moment, Scope
from rekt.stores.sqlite.events import EVENT, FROM, Rows, event_of
from rekt.stores.sqlite.fold import MINUTE, SCOPES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

COUNTS = "(status IS NULL OR status = 'FILLED')"
_ALIVE = (
    "SELECT c.venue, c.id, s.start_ms, s.end_ms, c.closed_us IS NOT NULL, c.cause"
    " FROM span s CROSS JOIN connection c ON c.id = s.connection"
)
_SIDES: dict[str, Side] = {"SELL": "long", "BUY": "short"}


def totals(rows: Rows, window: Window, scope: Scope) -> list[Bucket]:
    """Roll-ups whose start lies in the window, oldest first."""
    return _merged(
        rows(
            "SELECT b.start, f.venue, b.symbol, b.order_side, b.count, b.unknown_count, b.dollars, b.micros"
            " FROM bucket b JOIN feed f ON f.id = b.feed WHERE b.scope = ? AND b.start >= ? AND b.start < ?"
            " ORDER BY b.start",
            SCOPES[scope], window.start, window.end,
        )
    )  # fmt: skip


def sums(rows: Rows, window: Window) -> list[Bucket]:
    """Roll-ups of whole hours added up over the window by venue, symbol and side."""
    found: list[tuple[Any, ...]] = []
    for start, end in _steps(window, DAY * 31):
        found += rows(
            "SELECT ?4, f.venue, b.symbol, b.order_side, sum(b.count), sum(b.unknown_count), sum(b.dollars),"
            " sum(b.micros) FROM bucket b JOIN feed f ON f.id = b.feed WHERE b.scope = ?1 AND b.start >= ?2"
            " AND b.start < ?3 GROUP BY b.feed, b.symbol, b.order_side",
            SCOPES["hour_symbol"], start, end, window.start,
        )  # fmt: skip
    return _merged(found)


def count(rows: Rows, window: Window) -> list[Bucket]:
    """A recount of the events themselves by venue, symbol and side."""
    found: list[tuple[Any, ...]] = []
    for start, end in _steps(window, 5 * MINUTE):
        found += rows(
            "SELECT ?3, f.venue, l.symbol, l.order_side, count(*), count(*) - count(l.notional),"
            " coalesce(sum(l.notional / 1000000), 0), coalesce(sum(l.notional % 1000000), 0)"
            f" {FROM} WHERE l.trade_time >= ?1 AND l.trade_time < ?2 AND {COUNTS}"
            " GROUP BY l.feed, l.symbol, l.order_side",
            start, end, window.start,
        )  # fmt: skip
    return _merged(found)


def largest(rows: Rows, window: Window, venues: Collection[str] | None = None) -> Largest | None:
    """The largest counting event (of these venues): kept by the hour; the ragged ends are scanned."""
    among = ""
    if venues is not None:
        marks = ",".join("?" * len(venues))
        feeds = rows(f"SELECT id FROM feed WHERE venue IN ({marks})", *venues)
        among = f" AND feed IN ({','.join(str(int(feed)) for (feed,) in feeds)})"
    whole = Window(-(-window.start // HOUR) * HOUR, window.end // HOUR * HOUR)
    best = []
    if whole.start >= whole.end:
        ends = [window]
    else:
        ends = [Window(window.start, whole.start), Window(whole.end, window.end)]
        best += rows(
            "SELECT largest, largest_time, largest_uid FROM bucket WHERE scope = 1 AND start >= ? AND start < ?"
            f" AND largest IS NOT NULL{among} ORDER BY largest DESC, largest_time, largest_uid LIMIT 1",
            *whole,
        )
    for end in ends:
        for step in _steps(end, 5 * MINUTE):
            best += rows(
                "SELECT notional, trade_time, uid FROM liquidation WHERE trade_time >= ? AND trade_time < ?"
                f" AND notional IS NOT NULL AND {COUNTS}{among} ORDER BY notional DESC, trade_time, uid LIMIT 1",
                *step,
            )
    if not best:
        return None
    notional, trade_time, uid = min(best, key=lambda row: (-row[0], row[1], row[2]))
    for row in rows(f"SELECT {EVENT} {FROM} WHERE l.trade_time = ? AND l.uid = ?", trade_time, uid):
        event = event_of(row)
        return Largest(
            event.symbol, event.side, notional, event.average_price, event.filled_quantity, trade_time,
            event.feed.venue,
        )  # fmt: skip
    return None


def alive(rows: Rows, window: Window) -> list[Alive]:
    """Each canary-proved span that touches the window, earliest first."""
    found = rows(f"{_ALIVE} WHERE s.end_ms >= ? AND s.start_ms < ?", *window)
    return sorted([_alive(row) for row in found], key=lambda a: (a.start_ms, a.end_ms))


def alive_before(rows: Rows, venue: str, ms: int) -> Alive | None:
    """The span of a venue that ended last before this time."""
    found = rows(f"{_ALIVE} WHERE s.end_ms < ? AND c.venue = ? ORDER BY s.end_ms DESC LIMIT 1", ms, venue)
    return _alive(found[0]) if found else None


def connections(rows: Rows, window: Window | None) -> list[Connection]:
    """Connections whose life touches the window (None: all), oldest first."""
    if window is None:
        return [Connection(*row) for row in rows("SELECT * FROM connection ORDER BY opened_us, id")]
    return [
        Connection(*row)
        for row in rows(
            "SELECT * FROM connection WHERE opened_us < ?2 AND coalesce(closed_us, last_frame_us,"
            " last_canary_us, opened_us) >= ?1 ORDER BY opened_us, id",
            window.start * 1000, window.end * 1000,
        )
    ]  # fmt: skip


def venues(rows: Rows) -> list[str]:
    """Every venue that a connection or an event names."""
    # One step through the index per venue, however many connections there are.
    found = rows(
        "WITH RECURSIVE v(venue) AS (SELECT min(venue) FROM connection UNION ALL"
        " SELECT (SELECT min(venue) FROM connection WHERE venue > v.venue) FROM v WHERE v.venue IS NOT NULL)"
        " SELECT venue FROM v WHERE venue IS NOT NULL UNION SELECT venue FROM feed ORDER BY 1"
    )
    return [venue for (venue,) in found]


def moments(rows: Rows, window: Window) -> list[Moment]:
    """The times of every event of a window, by trade time."""
    found: list[Moment] = []
    for step in _steps(window, 5 * MINUTE):
        found += [
            Moment(*row)
            for row in rows(
                f"SELECT f.venue, l.symbol, l.trade_time, l.event_time, l.received_us {FROM}"
                " WHERE l.trade_time >= ? AND l.trade_time < ? ORDER BY l.trade_time",
                *step,
            )
        ]
    return found


def deliveries(rows: Rows, window: Window) -> list[tuple[str, Delivery]]:
    """(venue, what a connection told and lost) in the hours that begin in a window."""
    return [
        (venue, Delivery(*row))
        for venue, *row in rows(
            "SELECT c.venue, d.connection, d.hour, d.told, d.lost FROM delivery d JOIN connection c"
            " ON c.id = d.connection WHERE d.hour >= ? AND d.hour < ? ORDER BY d.hour, c.opened_us, c.id",
            *window,
        )
    ]


def revisions(rows: Rows, window: Window) -> list[Revision]:
    """How final hours of a window changed later, oldest change first."""
    return [
        Revision(hour, seen_us, reason, before, after, d1 * MICRO + m1, d2 * MICRO + m2)
        for hour, seen_us, reason, before, after, d1, m1, d2, m2 in rows(
            "SELECT hour, seen_us, reason, count_before, count_after, dollars_before, micros_before, dollars_after,"
            " micros_after FROM revision WHERE hour >= ? AND hour < ?"
            # In one batch an event may come and another get its value: sums only grow, which tells the order.
            " ORDER BY seen_us, count_before, dollars_before, micros_before",
            *window,
        )
    ]


def _alive(row: tuple[Any, ...]) -> Alive:
    venue, connection, start_ms, end_ms, closed, cause = row
    return Alive(venue, connection, start_ms, end_ms, bool(closed), cause)


def _steps(window: Window, length: int) -> Iterator[tuple[int, int]]:
    """A window in stretches of a length, cut at its multiples."""
    start = window.start
    while start < window.end:
        end = min(start - start % length + length, window.end)
        yield start, end
        start = end


def _merged(found: list[tuple[Any, ...]]) -> list[Bucket]:
    """Rows of (start, venue, symbol, order side, count, unknown, dollars, micros), one bucket for each key."""
    sums: defaultdict[tuple[int, str, str, Side], list[int]] = defaultdict(lambda: [0, 0, 0])
    for start, venue, symbol, order_side, count, unknown, whole, micros in found:
        entry = sums[(start, venue, symbol, _SIDES[order_side])]
        entry[0] += count
        entry[1] += unknown
        entry[2] += whole * MICRO + micros
    return [Bucket(*key, *entry) for key, entry in sums.items()]
