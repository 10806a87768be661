# ruff: noqa: S608 - what is put together are constants of this file; every value is bound
"""The reading side of the ledger: a connection of its own, short reads, and never a change.

Whatever may be long is read in pages, each a read of its own, so that no reader keeps the log from being emptied.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

import apsw

from rekt.model import (
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
from rekt.stores.sqlite import facts
from rekt.stores.sqlite.copy import backup
from rekt.stores.sqlite.events import EVENT, FROM, PAGE, Place, event_of, filters, newest, oldest
from rekt.stores.sqlite.outbox import last_template, spent
from rekt.stores.sqlite.schema import failure, open_reader
from rekt.stores.sqlite.verify import verify

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from decimal import Decimal
    from pathlib import Path

SWEEP = 100_000  # rows that a walk through the whole ledger looks at in one read
_ROW = (
    "seq, feed, trade_time, uid, symbol, order_side, status, price, average_price, quantity, filled_quantity,"
    " notional, basis, event_time, received_us"
)  # a shipper reads all rows there are: half the time without the join and a Feed for each
_new = tuple.__new__  # a fact in half the time of its own constructor


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

    # the numbers: what each is stands in facts.py

    def totals(self, window: Window, scope: Scope) -> list[Bucket]:
        return facts.totals(self._rows, window, scope)

    def sums(self, window: Window) -> list[Bucket]:
        return facts.sums(self._rows, window)

    def count(self, window: Window) -> list[Bucket]:
        return facts.count(self._rows, window)

    def largest(self, window: Window, venues: Collection[str] | None = None) -> Largest | None:
        return facts.largest(self._rows, window, venues)

    def alive(self, window: Window) -> list[Alive]:
        return facts.alive(self._rows, window)

    def alive_before(self, venue: str, ms: int) -> Alive | None:
        return facts.alive_before(self._rows, venue, ms)

    def connections(self, window: Window | None) -> list[Connection]:
        return facts.connections(self._rows, window)

    def venues(self) -> list[str]:
        return facts.venues(self._rows)

    def moments(self, window: Window) -> Iterator[Moment]:
        return facts.moments(self._rows, window)

    def deliveries(self, window: Window) -> list[tuple[str, Delivery]]:
        return facts.deliveries(self._rows, window)

    def revisions(self, window: Window) -> list[Revision]:
        return facts.revisions(self._rows, window)

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
        yield from oldest(self._rows, window, filters(venue, symbol, side, min_usd))

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
        return newest(self._rows, window, before, limit, filters(venue, symbol, side, min_usd))

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
                f" AND notional >= ? AND trade_time >= ? AND trade_time < ? AND {facts.COUNTS}",
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
                f"SELECT l.seq, {EVENT} {FROM} WHERE l.notional IS NULL AND l.feed = ? AND l.seq > ?"
                " ORDER BY l.seq LIMIT ?",
                feed, last, PAGE,
            ):  # fmt: skip
                last = found[-1][0]
                yield from (event_of(row[1:]) for row in found)

    def instruments(self, venue: str) -> dict[str, Instrument]:
        """What is known of a venue's contracts, by symbol."""
        found = self._rows("SELECT * FROM instrument WHERE venue = ?", venue)
        return {row[1]: Instrument(*row) for row in found}

    # the state

    def clock_changes(self) -> list[ClockChange]:
        """How the time of day moved while a recorder was at work, oldest first."""
        return [
            ClockChange(*row)
            for row in self._rows("SELECT at_us, seconds, kind FROM clock_change ORDER BY at_us")
        ]

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
