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
AT_ONCE = 200_000  # events looked at in one statement: some tenths of a second
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
    """Counts and sums over the window by venue, symbol and side.

    Whole hours from their roll-ups. Of an hour at an end by what is less: its events inside, or its roll-up without its
    events outside. So a time up to now costs the same however much the running hour brought.
    """
    whole, ends = _divided(window)
    found: list[tuple[Any, ...]] = []
    for start, end in _steps(whole, DAY * 31):
        found += rows(
            "SELECT ?4, f.venue, b.symbol, b.order_side, sum(b.count), sum(b.unknown_count), sum(b.dollars),"
            " sum(b.micros) FROM bucket b JOIN feed f ON f.id = b.feed WHERE b.scope = ?1 AND b.start >= ?2"
            " AND b.start < ?3 GROUP BY b.feed, b.symbol, b.order_side",
            SCOPES["hour_symbol"], start, end, window.start,
        )  # fmt: skip
    for part in ends:
        found += _end(rows, part, window.start)
    return [bucket for bucket in _merged(found) if bucket.count]


def count(rows: Rows, window: Window) -> list[Bucket]:
    """A recount of the events themselves by venue, symbol and side."""
    return _merged(_counted(rows, window, window.start))


def _counted(rows: Rows, window: Window, key: int) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for start, end in _steps(window, 5 * MINUTE):
        found += rows(
            "SELECT ?3, f.venue, l.symbol, l.order_side, count(*), count(*) - count(l.notional),"
            " coalesce(sum(l.notional / 1000000), 0), coalesce(sum(l.notional % 1000000), 0)"
            f" {FROM} WHERE l.trade_time >= ?1 AND l.trade_time < ?2 AND {COUNTS}"
            " GROUP BY l.feed, l.symbol, l.order_side",
            start, end, key,
        )  # fmt: skip
    return found


def _end(rows: Rows, part: Window, key: int) -> list[tuple[Any, ...]]:
    """A part of an hour, as rows that are to be added up."""
    hour = part.start // HOUR * HOUR
    ((inside, outside, whole),) = rows(
        "SELECT sum(iif(start >= ?2 AND start < ?3, count, 0)), sum(iif(start >= ?2 AND start < ?3, 0, count)),"
        " ?1 >= coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'sealed_before'), ?1)"
        " FROM bucket WHERE scope = ?4 AND start >= ?1 AND start < ?5",
        hour, part.start // MINUTE * MINUTE, part.end, SCOPES["minute"], hour + HOUR,
    )  # fmt: skip
    # Of a sealed day the events are gone: nothing can be taken off its hours. And no single read takes long.
    if not inside or outside >= min(inside, AT_ONCE) or not whole:
        return _counted(rows, part, key)
    return rows(  # one statement, so that both are of one state
        "SELECT ?1, f.venue, b.symbol, b.order_side, b.count, b.unknown_count, b.dollars, b.micros"
        " FROM bucket b JOIN feed f ON f.id = b.feed WHERE b.scope = ?2 AND b.start = ?3 UNION ALL"
        " SELECT ?1, f.venue, l.symbol, l.order_side, -count(*), count(l.notional) - count(*),"
        " -coalesce(sum(l.notional / 1000000), 0), -coalesce(sum(l.notional % 1000000), 0)"
        f" {FROM} WHERE (l.trade_time >= ?3 AND l.trade_time < ?4 OR l.trade_time >= ?5 AND l.trade_time < ?6)"
        f" AND {COUNTS} GROUP BY l.feed, l.symbol, l.order_side",
        key, SCOPES["hour_symbol"], hour, part.start, part.end, hour + HOUR,
    )  # fmt: skip


def largest(rows: Rows, window: Window, venues: Collection[str] | None = None) -> Largest | None:
    """The largest counting event (of these venues): kept by the hour.

    Of an hour at an end the events are looked through only where one outside is as large as all known inside.
    """
    among = ""
    if venues is not None:
        marks = ",".join("?" * len(venues))
        feeds = rows(f"SELECT id FROM feed WHERE venue IN ({marks})", *venues)
        among = f" AND feed IN ({','.join(str(int(feed)) for (feed,) in feeds)})"
    whole, ends = _divided(window)
    kept = (
        "SELECT largest, largest_time, largest_uid FROM bucket WHERE scope = 1 AND start >= ? AND start < ?"
        f" AND largest IS NOT NULL{among} ORDER BY largest DESC, largest_time, largest_uid"
    )
    best = rows(f"{kept} LIMIT 1", *whole) if whole.start < whole.end else []
    for end in ends:
        hour = end.start // HOUR * HOUR
        of_hour = rows(kept, hour, hour + HOUR)
        best += [row for row in of_hour if end.start <= row[1] < end.end]
        least = max((row[0] for row in best), default=0)
        if all(end.start <= row[1] < end.end or row[0] < least for row in of_hour):
            continue
        for step in _steps(end, 5 * MINUTE):
            best += rows(
                "SELECT notional, trade_time, uid FROM liquidation WHERE trade_time >= ? AND trade_time < ?"
                f" AND notional >= ? AND {COUNTS}{among} ORDER BY notional DESC, trade_time, uid LIMIT 1",
                *step, least,
            )  # fmt: skip
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


def moments(rows: Rows, window: Window) -> Iterator[Moment]:
    """The times of every event of a window, by trade time; read in pages."""
    for step in _steps(window, 5 * MINUTE):
        yield from map(
            Moment._make,
            rows(
                f"SELECT f.venue, l.symbol, l.trade_time, l.event_time, l.received_us {FROM}"
                " WHERE l.trade_time >= ? AND l.trade_time < ? ORDER BY l.trade_time",
                *step,
            ),
        )


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


def _divided(window: Window) -> tuple[Window, list[Window]]:
    """The whole hours of a window, and the parts of hours at its ends."""
    whole = Window(-(-window.start // HOUR) * HOUR, window.end // HOUR * HOUR)
    if whole.start > whole.end:
        return Window(whole.start, whole.start), [window]
    ends = [Window(window.start, whole.start), Window(whole.end, window.end)]
    return whole, [end for end in ends if end.start < end.end]


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
