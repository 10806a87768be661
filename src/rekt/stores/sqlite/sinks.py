# ruff: noqa: S608 - what is put together are constants of this file; every value is bound
"""What the ledger knows of the sinks behind it: how far each has come, what it refused, what may be pruned.

Every sink has a cursor: all rows up to that `seq` were acknowledged. A cursor that is lost or old costs a resend and
nothing else, so it is written without waiting for the disk, and the recorder's own commits are not held up.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

import apsw

from rekt.errors import LedgerError
from rekt.fields import HOUR
from rekt.model import MICRO, Connection, Liquidation, Revision, Span, Window
from rekt.sink import SinkState, Sums
from rekt.stores.sqlite.reads import Reader
from rekt.stores.sqlite.schema import failure, open_writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SEALED = "sealed_before"  # meta: ms; the days before it are closed for good
PRUNED = "pruned_rows"  # meta: how many rows were dropped
PAGE = 1_000  # rows dropped in one transaction: it holds the recorder up for milliseconds
_ASIDE = "(notional IS NULL OR status <> 'FILLED')"


class Follower(Reader):
    """Reads the ledger as a shipper needs it."""

    def hour_sums(self, window: Window, sink: str) -> dict[int, Sums]:
        """What a sink ought to hold of each hour (whole hours), from the roll-ups; without what it refused."""
        return hour_sums(self._connection, window, sink)

    def hours_after(self, seq: int) -> set[int]:
        """The hours of the rows behind a cursor."""
        found = self._rows(f"SELECT DISTINCT trade_time / {HOUR} FROM liquidation WHERE seq > ?", seq)
        return {hour * HOUR for (hour,) in found}

    def behind(self, seq: int) -> int:
        """How many rows come after a cursor."""
        return cast("int", self._rows("SELECT count(*) FROM liquidation WHERE seq > ?", seq)[0][0])

    def refused(self, sink: str, limit: int = 1000) -> list[tuple[Liquidation, str]]:
        """Rows that a sink refused, with the reason."""
        found = self._rows(
            "SELECT l.seq, r.reason FROM sink_refused r JOIN liquidation l ON l.trade_time = r.trade_time"
            " AND l.uid = r.uid WHERE r.sink = ? LIMIT ?",
            sink, limit,
        )  # fmt: skip
        return [(row.event, reason) for seq, reason in found for row in self.after(seq - 1, 1)]

    def refused_count(self, sink: str) -> int:
        """How many rows a sink refused."""
        return cast("int", self._rows("SELECT count(*) FROM sink_refused WHERE sink = ?", sink)[0][0])

    def state(self, sink: str) -> SinkState:
        """How far a sink has come."""
        found = self._rows(
            "SELECT seq, acked_us, error, suspended, audited_us FROM sink WHERE name = ?", sink
        )
        if not found:
            return SinkState()
        seq, acked_us, error, suspended, audited_us = found[0]
        return SinkState(seq, acked_us, error, bool(suspended), audited_us)

    def sealed(self) -> int:
        """The time, ms, before which days are closed for good."""
        return int(self.meta(SEALED) or 0)

    def extent(self) -> Window:
        """From the first hour with an event to the end of the last."""
        low, high = self._rows("SELECT min(start), max(start) FROM bucket WHERE scope = 1")[0]
        aside_low, aside_high = self._rows(
            f"SELECT min(trade_time), max(trade_time) FROM liquidation WHERE {_ASIDE}"
        )[0]
        lows = [value for value in (low, aside_low) if value is not None]
        highs = [value for value in (high, aside_high) if value is not None]
        if not lows:
            return Window(0, 0)
        return Window(min(lows) // HOUR * HOUR, max(highs) // HOUR * HOUR + HOUR)

    def revisions_by_run(self) -> list[tuple[str, Revision]]:
        """Every change of an hour that was final, with the run that made it."""
        return [
            (run, Revision(hour, seen_us, reason, before, after, d1 * MICRO + m1, d2 * MICRO + m2))
            for run, hour, seen_us, reason, before, after, d1, m1, d2, m2 in self._rows(
                "SELECT run, hour, seen_us, reason, count_before, count_after, dollars_before, micros_before,"
                " dollars_after, micros_after FROM revision"
            )
        ]

    def new_lives(
        self, rowid: int, open_ids: Iterable[str]
    ) -> tuple[list[tuple[int, Connection]], list[Span]]:
        """Connections after a row id, in pages, or of these ids, and all spans of them; of one state."""
        with self.snapshot():
            found = self._rows(
                "SELECT rowid, * FROM connection WHERE rowid > ? ORDER BY rowid LIMIT 500", rowid
            )
            for one in open_ids:
                found += self._rows("SELECT rowid, * FROM connection WHERE id = ?", one)
            connections = {row[1]: (row[0], Connection(*row[1:])) for row in found}
            spans = [
                Span(*row)
                for one in connections
                for row in self._rows(
                    "SELECT connection, start_ms, end_ms FROM span WHERE connection = ?", one
                )
            ]
        return list(connections.values()), spans


class Marks:
    """The writing side: one connection of its own, short transactions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_writer(path)
        self._connection.execute("PRAGMA synchronous=NORMAL")

    def save(self, sink: str, seq: int, acked_us: int | None) -> None:
        """All rows up to this one were acknowledged."""
        self._do(
            "INSERT INTO sink(name, seq, acked_us) VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq,"
            " acked_us = excluded.acked_us",
            sink, seq, acked_us,
        )  # fmt: skip

    def tell(self, sink: str, error: str | None, *, suspended: bool) -> None:
        """What keeps it now; None when nothing does."""
        self._do(
            "INSERT INTO sink(name, error, suspended) VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET"
            " error = excluded.error, suspended = excluded.suspended",
            sink, error, int(suspended),
        )  # fmt: skip

    def audited(self, sink: str, at_us: int) -> None:
        """An audit ended in agreement."""
        self._do("UPDATE sink SET audited_us = ? WHERE name = ?", at_us, sink)

    def refuse(self, sink: str, event: Liquidation, reason: str) -> None:
        """Set a row aside for a sink."""
        self._do(
            "INSERT INTO sink_refused VALUES(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason",
            sink, event.trade_time, event.uid, reason, time.time_ns() // 1000,
        )  # fmt: skip

    def accept(self, sink: str, event: Liquidation) -> None:
        """A row that was set aside was taken after all."""
        self._do("DELETE FROM sink_refused WHERE sink = ? AND trade_time = ? AND uid = ?", sink, *event[1:3])

    def seal(self, before: int, expected: Mapping[int, Sums], sink: str) -> bool:
        """Close the days before a time (ms) for good, if they still hold what was audited; False when not."""
        connection = self._connection
        try:
            with connection:
                connection.execute(
                    "INSERT INTO meta VALUES(?, '0') ON CONFLICT DO NOTHING", (SEALED,)
                )  # takes the write lock: nothing changes from here on
                sealed = int(_one(connection, "SELECT value FROM meta WHERE key = ?", SEALED))
                found = hour_sums(connection, Window(sealed, before), sink)
                if found != {hour: sums for hour, sums in expected.items() if sealed <= hour < before}:
                    return False
                connection.execute("UPDATE meta SET value = ? WHERE key = ?", (str(before), SEALED))
        except apsw.Error as error:
            raise failure(error, self.path, "sealing a day of") from error
        return True

    def prune(self) -> int:
        """Drop a page of rows of sealed days; how many. The sums stay, and with them each hour's largest event.

        Rows whose value is not known yet stay too (they can be settled), and the last row (the next seq comes after it).
        """
        connection = self._connection
        try:
            with connection:
                connection.execute("INSERT INTO meta VALUES(?, '0') ON CONFLICT DO NOTHING", (PRUNED,))
                found = connection.execute("SELECT value FROM meta WHERE key = ?", (SEALED,)).fetchall()
                if not found:
                    return 0
                before = connection.total_changes()
                connection.execute(
                    "DELETE FROM liquidation WHERE seq IN (SELECT l.seq FROM liquidation l WHERE l.trade_time < ?1"
                    " AND l.notional IS NOT NULL AND l.seq < (SELECT max(seq) FROM liquidation) AND NOT EXISTS ("
                    " SELECT 1 FROM bucket b WHERE b.scope = 1 AND b.start = l.trade_time - l.trade_time % 3600000"
                    " AND b.feed = l.feed AND b.symbol = '' AND b.order_side = l.order_side"
                    " AND b.largest_uid = l.uid) LIMIT ?2)",
                    (int(str(found[0][0])), PAGE),
                )
                dropped = connection.total_changes() - before
                connection.execute("UPDATE meta SET value = value + ? WHERE key = ?", (dropped, PRUNED))
        except apsw.Error as error:
            raise failure(error, self.path, "pruning") from error
        return dropped

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        self._connection.close()

    def _do(self, sql: str, *values: Any) -> None:
        try:
            self._connection.execute(sql, values)
        except apsw.Error as error:
            raise failure(error, self.path, "writing") from error


def hour_sums(connection: apsw.Connection, window: Window, sink: str) -> dict[int, Sums]:
    """What a sink ought to hold of each hour that begins in a window."""
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for start, count, dollars, micros in _all(
        connection,
        "SELECT start, sum(count - unknown_count), sum(dollars), sum(micros) FROM bucket"
        " WHERE scope = 1 AND start >= ? AND start < ? GROUP BY start",
        window.start, window.end,
    ):  # fmt: skip
        sums[start][0] += count
        sums[start][1] += dollars * MICRO + micros
    for hour, count in _all(
        connection,
        f"SELECT trade_time / {HOUR}, count(*) FROM liquidation WHERE {_ASIDE} AND trade_time >= ?"
        " AND trade_time < ? GROUP BY 1",
        window.start, window.end,
    ):  # fmt: skip
        sums[hour * HOUR][2] += count
    for trade_time, status, notional in _all(
        connection,
        "SELECT l.trade_time, l.status, l.notional FROM sink_refused r JOIN liquidation l"
        " ON l.trade_time = r.trade_time AND l.uid = r.uid WHERE r.sink = ? AND r.trade_time >= ?"
        " AND r.trade_time < ?",
        sink, window.start, window.end,
    ):  # fmt: skip
        hour = trade_time // HOUR * HOUR
        if notional is not None and (status is None or status == "FILLED"):
            sums[hour][0] -= 1
            sums[hour][1] -= notional
        else:
            sums[hour][2] -= 1
    return {hour: Sums(*found) for hour, found in sums.items() if any(found)}


def _all(connection: apsw.Connection, sql: str, *values: Any) -> list[Any]:
    try:
        return connection.execute(sql, values).fetchall()
    except apsw.Error as error:
        raise LedgerError(f"reading the ledger failed: {error}") from error


def _one(connection: apsw.Connection, sql: str, *values: Any) -> Any:
    return _all(connection, sql, *values)[0][0]
