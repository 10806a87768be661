# ruff: noqa: S608 - what is put together are constants of this file; every value is bound
"""The reading side of the ledger: a connection of its own, short reads, and never a change.

Whatever may be long is read in pages, each a read of its own, so that no reader keeps the log from being emptied.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

import apsw

from rekt.fields import DAY, HOUR
from rekt.model import (
    MICRO,
    Bucket,
    ClockChange,
    Connection,
    Delivery,
    Feed,
    Instrument,
    Largest,
    Liquidation,
    Quarantined,
    Revision,
    Side,
    Suspicion,
    Window,
)
from rekt.publisher import Entry
from rekt.store import Alive, Counters, Moment, Row, Run, Scope
from rekt.stores.sqlite.copy import backup
from rekt.stores.sqlite.fold import MINUTE, SCOPES
from rekt.stores.sqlite.newest import Place, filters, page
from rekt.stores.sqlite.outbox import last_template, spent
from rekt.stores.sqlite.schema import failure, open_reader
from rekt.stores.sqlite.verify import verify

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from decimal import Decimal
    from pathlib import Path

PAGE = 5_000  # rows of one read
WALK = 20_000  # rows a filter looks at in one read
SWEEP = 100_000  # rows that a walk through the whole ledger looks at in one read
COUNTS = "(status IS NULL OR status = 'FILLED')"
_EVENT = (
    "f.venue, f.market, f.price_kind, f.sampling, l.trade_time, l.uid, l.symbol, l.order_side, l.status, l.price,"
    " l.average_price, l.quantity, l.filled_quantity, l.notional, l.basis, l.event_time, l.received_us"
)
_ROW = (
    "seq, feed, trade_time, uid, symbol, order_side, status, price, average_price, quantity, filled_quantity,"
    " notional, basis, event_time, received_us"
)  # a shipper reads all rows there are: half the time without the join and a Feed for each
_FROM = "FROM liquidation l JOIN feed f ON f.id = l.feed"
_ALIVE = (
    "SELECT c.venue, c.id, s.start_ms, s.end_ms, c.closed_us IS NOT NULL, c.cause"
    " FROM span s CROSS JOIN connection c ON c.id = s.connection"
)
_new = tuple.__new__  # a fact in half the time of its own constructor
_SIDES: dict[str, Side] = {"SELL": "long", "BUY": "short"}


class Reader:
    """Asks a ledger while others write it. Raises LedgerError when it is not there or can't be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_reader(path)
        self._feeds: dict[int, Feed] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All answers inside are of one state. Keep it short: the log can't be emptied meanwhile."""
        self._rows("BEGIN")
        try:
            yield
        finally:
            self._rows("COMMIT")

    # the numbers

    def totals(self, window: Window, scope: Scope) -> list[Bucket]:
        """Roll-ups whose start lies in the window, oldest first."""
        return _merged(
            self._rows(
                "SELECT b.start, f.venue, b.symbol, b.order_side, b.count, b.unknown_count, b.dollars, b.micros"
                " FROM bucket b JOIN feed f ON f.id = b.feed WHERE b.scope = ? AND b.start >= ? AND b.start < ?"
                " ORDER BY b.start",
                SCOPES[scope], window.start, window.end,
            )
        )  # fmt: skip

    def sums(self, window: Window) -> list[Bucket]:
        """Roll-ups of whole hours added up over the window by venue, symbol and side."""
        found: list[tuple[Any, ...]] = []
        for start, end in _steps(window, DAY * 31):
            found += self._rows(
                "SELECT ?4, f.venue, b.symbol, b.order_side, sum(b.count), sum(b.unknown_count), sum(b.dollars),"
                " sum(b.micros) FROM bucket b JOIN feed f ON f.id = b.feed WHERE b.scope = ?1 AND b.start >= ?2"
                " AND b.start < ?3 GROUP BY b.feed, b.symbol, b.order_side",
                SCOPES["hour_symbol"], start, end, window.start,
            )  # fmt: skip
        return _merged(found)

    def count(self, window: Window) -> list[Bucket]:
        """A recount of the events themselves by venue, symbol and side."""
        found: list[tuple[Any, ...]] = []
        for start, end in _steps(window, 5 * MINUTE):
            found += self._rows(
                "SELECT ?3, f.venue, l.symbol, l.order_side, count(*), count(*) - count(l.notional),"
                " coalesce(sum(l.notional / 1000000), 0), coalesce(sum(l.notional % 1000000), 0)"
                f" {_FROM} WHERE l.trade_time >= ?1 AND l.trade_time < ?2 AND {COUNTS}"
                " GROUP BY l.feed, l.symbol, l.order_side",
                start, end, window.start,
            )  # fmt: skip
        return _merged(found)

    def largest(self, window: Window, venues: Collection[str] | None = None) -> Largest | None:
        """The largest counting event (of these venues): kept by the hour; the ragged ends are scanned."""
        among = ""
        if venues is not None:
            marks = ",".join("?" * len(venues))
            feeds = self._rows(f"SELECT id FROM feed WHERE venue IN ({marks})", *venues)
            among = f" AND feed IN ({','.join(str(int(feed)) for (feed,) in feeds)})"
        whole = Window(-(-window.start // HOUR) * HOUR, window.end // HOUR * HOUR)
        best = []
        if whole.start >= whole.end:
            ends = [window]
        else:
            ends = [Window(window.start, whole.start), Window(whole.end, window.end)]
            best += self._rows(
                "SELECT largest, largest_time, largest_uid FROM bucket WHERE scope = 1 AND start >= ? AND start < ?"
                f" AND largest IS NOT NULL{among} ORDER BY largest DESC, largest_time, largest_uid LIMIT 1",
                *whole,
            )
        for end in ends:
            for step in _steps(end, 5 * MINUTE):
                best += self._rows(
                    "SELECT notional, trade_time, uid FROM liquidation WHERE trade_time >= ? AND trade_time < ?"
                    f" AND notional IS NOT NULL AND {COUNTS}{among} ORDER BY notional DESC, trade_time, uid LIMIT 1",
                    *step,
                )
        if not best:
            return None
        notional, trade_time, uid = min(best, key=lambda row: (-row[0], row[1], row[2]))
        for row in self._rows(
            f"SELECT {_EVENT} {_FROM} WHERE l.trade_time = ? AND l.uid = ?", trade_time, uid
        ):
            event = _event(row)
            return Largest(
                event.symbol, event.side, notional, event.average_price, event.filled_quantity, trade_time,
                event.feed.venue,
            )  # fmt: skip
        return None

    def alive(self, window: Window) -> list[Alive]:
        """Each canary-proved span that touches the window, earliest first."""
        found = self._rows(f"{_ALIVE} WHERE s.end_ms >= ? AND s.start_ms < ?", *window)
        return sorted([_alive(row) for row in found], key=lambda a: (a.start_ms, a.end_ms))

    def alive_before(self, venue: str, ms: int) -> Alive | None:
        """The span of a venue that ended last before this time."""
        found = self._rows(
            f"{_ALIVE} WHERE s.end_ms < ? AND c.venue = ? ORDER BY s.end_ms DESC LIMIT 1", ms, venue
        )
        return _alive(found[0]) if found else None

    def connections(self, window: Window | None) -> list[Connection]:
        """Connections whose life touches the window (None: all), oldest first."""
        if window is None:
            return [Connection(*row) for row in self._rows("SELECT * FROM connection ORDER BY opened_us, id")]
        return [
            Connection(*row)
            for row in self._rows(
                "SELECT * FROM connection WHERE opened_us < ?2 AND coalesce(closed_us, last_frame_us,"
                " last_canary_us, opened_us) >= ?1 ORDER BY opened_us, id",
                window.start * 1000, window.end * 1000,
            )
        ]  # fmt: skip

    def venues(self) -> list[str]:
        """Every venue that a connection or an event names."""
        # One step through the index per venue, however many connections there are.
        found = self._rows(
            "WITH RECURSIVE v(venue) AS (SELECT min(venue) FROM connection UNION ALL"
            " SELECT (SELECT min(venue) FROM connection WHERE venue > v.venue) FROM v WHERE v.venue IS NOT NULL)"
            " SELECT venue FROM v WHERE venue IS NOT NULL UNION SELECT venue FROM feed ORDER BY 1"
        )
        return [venue for (venue,) in found]

    # how well it was recorded

    def moments(self, window: Window) -> list[Moment]:
        """The times of every event of a window, by trade time."""
        found: list[Moment] = []
        for step in _steps(window, 5 * MINUTE):
            found += [
                Moment(*row)
                for row in self._rows(
                    f"SELECT f.venue, l.symbol, l.trade_time, l.event_time, l.received_us {_FROM}"
                    " WHERE l.trade_time >= ? AND l.trade_time < ? ORDER BY l.trade_time",
                    *step,
                )
            ]
        return found

    def deliveries(self, window: Window) -> list[tuple[str, Delivery]]:
        """(venue, what a connection told and lost) in the hours that begin in a window."""
        return [
            (venue, Delivery(*row))
            for venue, *row in self._rows(
                "SELECT c.venue, d.connection, d.hour, d.told, d.lost FROM delivery d JOIN connection c"
                " ON c.id = d.connection WHERE d.hour >= ? AND d.hour < ? ORDER BY d.hour, c.opened_us, c.id",
                *window,
            )
        ]

    def revisions(self, window: Window) -> list[Revision]:
        """How final hours of a window changed later, oldest change first."""
        return [
            Revision(hour, seen_us, reason, before, after, d1 * MICRO + m1, d2 * MICRO + m2)
            for hour, seen_us, reason, before, after, d1, m1, d2, m2 in self._rows(
                "SELECT hour, seen_us, reason, count_before, count_after, dollars_before, micros_before, dollars_after,"
                " micros_after FROM revision WHERE hour >= ? AND hour < ?"
                # In one batch an event may come and another get its value: sums only grow, which tells the order.
                " ORDER BY seen_us, count_before, dollars_before, micros_before",
                *window,
            )
        ]

    def clock_changes(self) -> list[ClockChange]:
        """How the time of day moved while a recorder was at work, oldest first."""
        return [
            ClockChange(*row)
            for row in self._rows("SELECT at_us, seconds, kind FROM clock_change ORDER BY at_us")
        ]

    # the events

    def liquidations(
        self,
        window: Window | None = None,
        *,
        venue: str | None = None,
        symbol: str | None = None,
        side: Side | None = None,
        min_usd: Decimal | int | None = None,
    ) -> Iterator[Liquidation]:
        """Events of a window (None: all) by (trade time, uid); `min_usd` leaves out those of unknown notional."""
        low, end = (window.start, window.end) if window else (-(1 << 62), 1 << 62)
        last = (low, b"")
        conditions = filters(venue, symbol, side, min_usd)
        if conditions is None:
            return
        wanted, values = conditions
        walk = WALK if wanted else PAGE
        sql = (
            f"SELECT {_EVENT} FROM liquidation l CROSS JOIN feed f ON f.id = l.feed"
            " WHERE (l.trade_time, l.uid) > (?, ?) AND (l.trade_time, l.uid) <= (?, ?)"
            f"{wanted} ORDER BY l.trade_time, l.uid"
        )
        while True:
            # Where the page ends is found in the index alone, so that a rare match doesn't make the read long.
            stop = self._rows(
                "SELECT trade_time, uid FROM liquidation WHERE (trade_time, uid) > (?, ?) AND trade_time < ?"
                " ORDER BY trade_time, uid LIMIT 1 OFFSET ?",
                *last, end, walk - 1,
            )  # fmt: skip
            until = stop[0] if stop else (end - 1, b"\xff" * 17)
            yield from map(_event, self._rows(sql, *last, *until, *values))
            if not stop:
                return
            last = until

    def newest(
        self,
        window: Window | None = None,
        *,
        before: Place | None = None,
        limit: int = 100,
        venue: str | None = None,
        symbol: str | None = None,
        side: Side | None = None,
        min_usd: Decimal | int | None = None,
    ) -> tuple[list[Liquidation], Place | None]:
        """A page of events, newest first, and the place (trade time, uid) to go on `before`; None after the last.

        With a filter that little fits a page may be short, even empty, and not be the last.
        """
        found, place = page(self._rows, _EVENT, window, before, limit, filters(venue, symbol, side, min_usd))
        return [_event(row) for row in found], place

    def after(self, seq: int, limit: int = PAGE) -> list[Row]:
        """Rows inserted or changed after a place in the ledger, in that order; a changed row comes again."""
        found = self._rows(f"SELECT {_ROW} FROM liquidation WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit)
        if not self._feeds.keys() >= {row[1] for row in found}:  # a market that is new to us
            self._feeds = {number: Feed(*row) for number, *row in self._rows("SELECT * FROM feed")}
        feeds = self._feeds
        return [_new(Row, (row[0], _new(Liquidation, (feeds[row[1]], *row[2:])))) for row in found]

    def sizes(self, window: Window, least: int = 0) -> Iterator[tuple[str, int]]:
        """Symbol and notional of every counting event from a size on, in no order.

        A walk through the whole ledger: for a month of it that is twice as fast as by the index over the time.
        """
        last = self.last_seq()
        for seq in range(0, last, SWEEP):
            yield from self._rows(
                "SELECT symbol, notional FROM liquidation NOT INDEXED WHERE seq > ? AND seq <= ?"
                f" AND notional >= ? AND trade_time >= ? AND trade_time < ? AND {COUNTS}",
                seq, min(seq + SWEEP, last), least, window.start, window.end,
            )  # fmt: skip

    def last_seq(self) -> int:
        """The highest place in the ledger; 0 when there is none."""
        return cast("int", self._rows("SELECT coalesce(max(seq), 0) FROM liquidation")[0][0])

    def unsettled(self, venue: str) -> Iterator[Liquidation]:
        """Events of a venue whose notional is not known yet, in pages."""
        for (feed,) in self._rows("SELECT id FROM feed WHERE venue = ?", venue):
            last = 0
            while found := self._rows(
                f"SELECT l.seq, {_EVENT} {_FROM} WHERE l.notional IS NULL AND l.feed = ? AND l.seq > ?"
                " ORDER BY l.seq LIMIT ?",
                feed, last, PAGE,
            ):  # fmt: skip
                last = found[-1][0]
                yield from (_event(row[1:]) for row in found)

    def instruments(self, venue: str) -> dict[str, Instrument]:
        """What is known of a venue's contracts, by symbol."""
        found = self._rows("SELECT * FROM instrument WHERE venue = ?", venue)
        return {row[1]: Instrument(*row) for row in found}

    # the state

    def suspicions(self) -> list[Suspicion]:
        """What is suspicious about venues now, oldest first."""
        return [
            Suspicion(*row) for row in self._rows("SELECT * FROM suspicion ORDER BY since_us, venue, kind")
        ]

    def counters(self) -> Counters:
        """Frames by outcome, summed over all runs."""
        found = self._rows("SELECT sum(control), sum(stored), sum(duplicate), sum(quarantined) FROM run")[0]
        counted = [value or 0 for value in found]
        return Counters(sum(counted), *counted)

    def runs(self) -> list[Run]:
        """Every run, oldest first."""
        return [
            Run(*row)
            for row in self._rows(
                "SELECT id, started_us, stopped_us, command, version, pid, control, stored, duplicate, quarantined,"
                " events FROM run ORDER BY started_us, rowid"
            )
        ]

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """The frames set aside last, latest first; what was dropped at the bound is only counted."""
        found = self._rows(
            "SELECT venue, connection, received_us, reason, data FROM quarantine ORDER BY id DESC LIMIT ?",
            limit,
        )
        return [Quarantined(*row) for row in found]

    def rows(self) -> int:
        """How many events there are: kept by the runs, not counted, less what was pruned."""
        return cast(
            "int",
            self._rows(
                "SELECT coalesce(sum(events), 0) - coalesce((SELECT CAST(value AS INTEGER) FROM meta"
                " WHERE key = 'pruned_rows'), 0) FROM run"
            )[0][0],
        )

    def size(self) -> int:
        """Bytes on disk, the log included."""
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def last_trade_time(self) -> int | None:
        """When the latest event was traded, ms."""
        return cast("int | None", self._rows("SELECT max(trade_time) FROM liquidation")[0][0])

    def meta(self, key: str) -> str | None:
        """A property of the whole ledger."""
        found = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return cast("str", found[0][0]) if found else None

    # the posts

    def last_template(self, service: str, before_key: str) -> str:
        """What the newest post but this one was made from; a service of "" stands for all."""
        return last_template(self._connection, service, before_key)

    def posts(self, count: int = 20) -> list[Entry]:
        """The newest entries of the outbox."""
        columns = ", ".join(Entry._fields)
        found = self._rows(f"SELECT {columns} FROM post ORDER BY created_ms DESC, service LIMIT ?", count)
        return [Entry(*row) for row in found]

    def open_posts(self) -> int:
        """How many entries are not settled."""
        return cast(
            "int",
            self._rows("SELECT count(*) FROM post WHERE state IN ('pending', 'sending', 'unknown')")[0][0],
        )

    def spent(self, now_ms: int) -> dict[str, int]:
        """Micro-dollars by service spent in this month (UTC)."""
        return spent(self._connection, now_ms)

    def alerts(self) -> dict[str, tuple[str, int]]:
        """The troubles that last, as the operator was told: name → text and since when (ms)."""
        found = self._rows("SELECT name, text, since_ms FROM alert ORDER BY since_ms")
        return {name: (text, since) for name, text, since in found}

    def backup(self, target: Path) -> None:
        """A consistent copy, while others write. Raises LedgerError; never overwrites."""
        backup(self._connection, self.path, target)

    def verify(self) -> list[str]:
        """What is wrong with the ledger, in sentences: its pages, and every roll-up against a recount."""
        try:
            with self.snapshot():
                return verify(self._connection)
        except apsw.Error as error:
            raise failure(error, self.path, "checking") from error

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise failure(error, self.path, "reading") from error


def _event(row: tuple[Any, ...]) -> Liquidation:
    return Liquidation(Feed(*row[:4]), *row[4:])


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
