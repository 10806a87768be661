"""The writing side of the ledger: a batch is one transaction, and giving it again changes nothing."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import apsw

from rekt.fields import HOUR
from rekt.model import Feed, Liquidation, Quarantined, Suspicion
from rekt.store import Appended, Batch, Run, Settled
from rekt.stores.sqlite import quarantine, statements
from rekt.stores.sqlite.fold import SCOPES, UPDATE_LARGEST, fold, settle
from rekt.stores.sqlite.schema import BUSY_MS, failure, open_writer
from rekt.stores.sqlite.statements import in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rekt.stores.sqlite.fold import Changes, Row

CHECKPOINT_PAGES = 1000  # 4 MiB of log: copied into the file when the writer has a moment
URGENT_PAGES = 4000  # 16 MiB: copied before the next batch
CUT_PAGES = 16_000  # 64 MiB: readers or another recorder kept it from starting over: wait for them
CUT_MS = 1000  # so long at most
CLOSED_MS = 120_000  # an hour is final so long after its end, by the clock; see stats.coverage


class Ledger:
    """The SQLite file that is the truth. One thread at a time; several processes may each have one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_writer(path)
        self._feeds: dict[Feed, int] = {}
        self._log_pages = 0
        self._copied_at = 0  # how long the log was when it was last copied
        self._connection.set_wal_hook(self._committed)

    def append(self, batch: Batch) -> Appended:
        """Make a batch durable in one transaction. Raises LedgerError; then nothing of it is there, give it again.

        A row that SQLite refuses doesn't stop the rest: it goes to quarantine with the reason.
        """
        try:
            try:
                done = self._write(batch, each=False)
            except quarantine.REFUSALS:
                done = self._write(batch, each=True)
        except apsw.Error as error:
            raise failure(error, self.path, "writing") from error
        if self._grown() >= URGENT_PAGES:
            self.checkpoint()
        return done

    def begin(self, run: Run) -> None:
        """Record that a run starts."""
        self._do(
            "INSERT INTO run(id, started_us, command, version, pid) VALUES(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " started_us = excluded.started_us, command = excluded.command, version = excluded.version,"
            " pid = excluded.pid",
            (run.id, run.started_us, run.command, run.version, run.pid),
        )

    def end(self, run: str, stopped_us: int) -> None:
        """Record that a run stopped in order."""
        self._do("UPDATE run SET stopped_us = ? WHERE id = ?", (stopped_us, run))

    def claim(self, key: str, value: str) -> str:
        """Set a property of the whole ledger unless it has one; returns the one it has."""
        self._do("INSERT INTO meta VALUES(?, ?) ON CONFLICT DO NOTHING", (key, value))
        return cast("str", self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).get)

    @property
    def checkpoint_due(self) -> bool:
        """Whether the log has grown enough to be copied into the file when nothing else is to do."""
        return self._grown() >= CHECKPOINT_PAGES

    def checkpoint(self) -> None:
        """Copy the log into the file. Never fails a caller: what can't be copied now is copied later."""
        cut = self._log_pages >= CUT_PAGES
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if cut else apsw.SQLITE_CHECKPOINT_PASSIVE
        self._copied_at = self._log_pages
        self._connection.set_busy_timeout(CUT_MS)
        with suppress(apsw.Error):  # busy, or a disk in trouble: the next commit tells
            self._connection.wal_checkpoint(mode=mode)
        self._connection.set_busy_timeout(BUSY_MS)

    def close(self) -> None:
        """Copy the log into the file and let go of it; closing twice is harmless."""
        self._connection.close()

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _grown(self) -> int:
        """Pages of the log since it was last copied (or since it started over)."""
        if self._log_pages < self._copied_at:
            self._copied_at = 0
        return self._log_pages - self._copied_at

    def _do(self, sql: str, values: tuple[object, ...]) -> None:
        try:
            self._connection.execute(sql, values)
        except apsw.Error as error:
            raise failure(error, self.path, "writing") from error

    def _write(self, batch: Batch, *, each: bool) -> Appended:
        """The transaction: all of the batch or nothing."""
        execute = self._connection.execute
        many = quarantine.each if each else self._many
        execute("BEGIN IMMEDIATE")
        try:
            sealed = execute("SELECT value FROM meta WHERE key = 'sealed_before'").get
            batch, late, spoilt = (
                quarantine.without_late(batch, int(str(sealed))) if sealed else (batch, [], 0)
            )
            done, refused = self._insert_each(batch) if each else self._insert(batch)
            if late:
                done = done._replace(quarantined=done.quarantined + spoilt)
                refused += late
            refused += many(partial(self._settle, batch), batch.settled)
            for sql, facts in (
                (statements.CONNECTION, batch.connections),
                (statements.SPAN, batch.spans),
                (statements.INSTRUMENT, [one[:7] for one in batch.instruments]),
                (statements.DELIVERY, batch.deliveries),
            ):
                if facts:
                    refused += many(partial(execute, sql), facts)
            for change in batch.clock:
                execute("INSERT INTO clock_change VALUES(?, ?, ?, ?)", (batch.run, *change))
            refused += many(self._suspect, batch.suspicions)
            if batch.quarantined or refused:
                quarantine.keep(self._connection, batch.run, [*batch.quarantined, *refused])
            done = done._replace(duplicate=done.duplicate + batch.repeats)
            quarantined = len(batch.quarantined) + done.quarantined
            counted = (batch.control, done.stored, done.duplicate, quarantined, len(done.new))
            if any(counted):
                execute(statements.RUN, (batch.run, *counted))
            execute("COMMIT")
        except BaseException:
            self._feeds.clear()  # some may have been of this transaction
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        return done

    @staticmethod
    def _many(do: Callable[[Any], object], facts: Iterable[Any]) -> list[Quarantined]:
        for fact in facts:
            do(fact)
        return []

    def _insert(self, batch: Batch) -> tuple[Appended, list[Quarantined]]:
        """All rows at once; which were new is only looked up when some were not."""
        frames = batch.frames
        events = list(chain.from_iterable(frames))
        if any(event[12] is None for event in events):
            frames = self._first_told(frames)
            events = list(chain.from_iterable(frames))
        if not events:
            return Appended(0, len(frames), []), []
        rows = self._rows(events)
        connection = self._connection
        last = connection.execute("SELECT max(seq) FROM liquidation").get
        before = connection.total_changes()
        in_chunks(connection, statements.INSERT, rows)
        if connection.total_changes() - before == len(rows):
            self._roll_up(fold(rows), batch, batch.reason)
            empty = sum([not frame for frame in frames])
            return Appended(len(frames) - empty, empty, events), []
        found = connection.execute("SELECT trade_time, uid FROM liquidation WHERE seq > ?", (last or 0,))
        fresh = set(cast("list[tuple[int, bytes]]", found.fetchall()))
        stored, new = 0, []
        for frame in frames:
            had = len(fresh)
            for event in frame:
                key = (event[1], event[2])
                if key in fresh:
                    fresh.remove(key)
                    new.append(event)
            stored += len(fresh) < had
        self._roll_up(fold(self._rows(new)), batch, batch.reason)
        return Appended(stored, len(frames) - stored, new), []

    def _insert_each(self, batch: Batch) -> tuple[Appended, list[Quarantined]]:
        """Row by row, after SQLite refused the batch: what it refuses is returned, the rest is stored."""
        stored = duplicate = spoilt = 0
        new: list[Liquidation] = []
        rows: list[Row] = []
        refused: list[Quarantined] = []
        for frame in self._first_told(batch.frames):
            had, bad = len(new), len(refused)
            for event in frame:
                try:
                    (row,) = self._rows([event])
                    quarantine.check(row)
                    self._connection.execute(statements.INSERT_ONE, row)
                except quarantine.REFUSALS as error:
                    refused.append(quarantine.refusal(event, error))
                else:
                    if self._connection.changes():
                        new.append(event)
                        rows.append(row)
            if len(new) > had:
                stored += 1
            elif len(refused) > bad:
                spoilt += 1
            else:
                duplicate += 1
        self._roll_up(fold(rows), batch, batch.reason)
        return Appended(stored, duplicate, new, spoilt), refused

    def _first_told(self, frames: list[tuple[Liquidation, ...]]) -> list[tuple[Liquidation, ...]]:
        """Frames without the events that were told before with another time: the first one stays.

        Only events without an event time come so. Looked up in all that is kept, and among these.
        """
        execute, seen = self._connection.execute, set()

        def is_first(event: Liquidation) -> bool:
            if event.event_time is not None:
                return True
            again = "SELECT 1 FROM liquidation WHERE uid = ? AND event_time IS NULL AND trade_time <> ?"
            if event.uid in seen or execute(again, (event.uid, event.trade_time)).get is not None:
                return False
            seen.add(event.uid)
            return True

        return [tuple(event for event in frame if is_first(event)) for frame in frames]

    def _rows(self, events: list[Liquidation]) -> list[Row]:
        feeds = self._feeds
        try:
            return [(feeds[event[0]], *event[1:]) for event in events]
        except KeyError:
            for feed in {event[0] for event in events} - feeds.keys():
                execute = self._connection.execute
                execute("INSERT INTO feed VALUES(NULL, ?, ?, ?, ?) ON CONFLICT DO NOTHING", feed)
                where = "venue = ? AND market = ? AND price_kind = ? AND sampling = ?"
                feeds[feed] = cast("int", execute(f"SELECT id FROM feed WHERE {where}", feed).get)  # noqa: S608
            return [(feeds[event[0]], *event[1:]) for event in events]

    def _roll_up(self, changes: Changes, batch: Batch, reason: str) -> None:
        """Add to the buckets; of hours that were final already the numbers before and after are kept."""
        final = [key[1] for key in changes.sums if key[0] == SCOPES["hour"] and self._is_final(key[1], batch)]
        hours = sorted(set(final))
        before = [self._connection.execute(statements.HOUR_SUMS, (hour,)).fetchone() for hour in hours]
        self._add(changes)
        for hour, was in zip(hours, before, strict=True):
            now = self._connection.execute(statements.HOUR_SUMS, (hour,)).fetchone()
            values = (hour, batch.run, reason, batch.now_ms * 1000, *(was or (0, 0, 0)), *(now or (0, 0, 0)))
            self._connection.execute(statements.REVISION, values)

    def _is_final(self, hour: int, batch: Batch) -> bool:
        """Whether an hour's numbers were closed when this batch was given; see stats.coverage.final."""
        end = hour + HOUR
        if batch.now_ms < end + batch.settle_ms:
            return False
        if batch.now_ms >= end + CLOSED_MS:
            return True
        return self._connection.execute(statements.CROSSED, (end, end + batch.settle_ms)).get is not None

    def _add(self, changes: Changes) -> None:
        rows = [(*sums, *key) for key, sums in changes.sums.items()]
        in_chunks(self._connection, statements.INSERT_BUCKET, rows)
        self._connection.executemany(UPDATE_LARGEST, changes.largest)

    def _settle(self, batch: Batch, settled: Settled) -> None:
        """A row whose notional is learnt gets it and a new seq, so that cursors see it; its buckets are put right."""
        found = self._connection.execute(
            "UPDATE liquidation SET notional = ?3, basis = ?4, seq = (SELECT max(seq) + 1 FROM liquidation)"
            " WHERE trade_time = ?1 AND uid = ?2 AND notional IS NULL RETURNING *",
            settled,
        ).fetchall()
        for _seq, *row in found:
            self._roll_up(settle(tuple(row)), batch, "late size")

    def _suspect(self, one: Suspicion) -> None:
        if one.text is None:
            self._connection.execute("DELETE FROM suspicion WHERE venue = ? AND kind = ?", one[:2])
        else:
            self._connection.execute(statements.SUSPICION, one)
