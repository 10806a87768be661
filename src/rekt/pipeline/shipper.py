"""Follows the ledger to a sink: rows behind a cursor that moves only after the sink's acknowledgement.

One thread, no timer that fills batches: what is new goes at once, many rows in large batches by themselves. Whatever
happens to the sink, the ledger stays, and the shipper goes on when the sink does: it makes ready whatever it finds
there, sends what is missing, and has every hour compared (`audit`). What keeps it is told once, in words.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from rekt.errors import LedgerError, StoreError
from rekt.fields import DAY
from rekt.model import Liquidation, Window
from rekt.pipeline.audit import Auditor
from rekt.pipeline.lives import Lives
from rekt.sink import Away, BatchRefused, LedgerRow, Marks, Sink, Source

log = logging.getLogger("rekt.shipper")

BATCH = 20_000  # rows of a request at most: of 5,000 the client takes as many, but the server twice the work a row
FIRST = 1_000  # of the first one after a trouble, then doubled: a sink that lives for seconds only is caught up too
POLL_S = 0.1  # how soon a new row is seen
LIVES_S = 2.0  # connections and spans: how late coverage may be there
SETTLE_S = 1.0  # until what was sent can be read
REFRESH_S = 5.0  # what the sink derives from its rows
SAVE_S = 1.0  # the cursor
HEALTH_S = 5.0
AUDIT_S = 3600.0
RESUME_S = (2.0, 5.0, 10.0, 20.0)  # then always the last
RETRY_S = (0.2, 0.5, 1.0)  # an attempt is one refused connection
DRAIN_S = 7.0
AUDIT_DAYS = 2  # the hourly audit looks back so far; the one at the start and one a day at everything

Ahead = tuple[Sequence[LedgerRow], object, bool]


@dataclass
class Progress:
    """Where it is, for whoever asks."""

    seq: int = 0
    acked_us: int | None = None
    error: str | None = None
    suspended: bool = False
    sent: int = 0
    refused: int = 0
    audits: int = 0
    differences: list[str] = field(default_factory=list)


class Shipper:
    """Ships one ledger to one sink, in the thread that calls `run`."""

    def __init__(
        self, source: Source, marks: Marks, sink: Sink, *, batch: int = BATCH, keep_days: int = 0
    ) -> None:
        self.progress = Progress(source.state(sink.name).seq)
        self._source, self._marks, self._sink = source, marks, sink
        self._batch, self._size = batch, min(FIRST, batch)
        self._keep_days = keep_days
        self._lives = Lives(source, sink)
        self._auditor = Auditor(source, marks, sink, self.send)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="ship-ahead")
        self._ready = False
        self._held: Ahead | None = None  # read and packed, not sent yet
        self._emptied = 0  # how often the sink was found without our tables
        self._told: str | None = None
        self._tries = self._resumes = 0
        self._saved, self._saved_seq = 0.0, self.progress.seq
        self._next = dict.fromkeys(("lives", "refresh", "health", "audit", "whole", "resume"), 0.0)
        self._refreshed = 0  # rows sent by then
        self._oldest = 1 << 62  # earliest trade time shipped since the last audit
        self._was_suspended = False
        self._refused: set[bytes] = set()  # told already

    def run(self, stop: threading.Event) -> None:
        """Ship until `stop`, then for at most DRAIN_S what is still missing."""
        while not stop.is_set():
            try:
                pause = self._step()
            except (StoreError, LedgerError) as error:
                pause = self._trouble(error)
            except Exception as error:
                log.debug("a fault of ours in shipping", exc_info=True)
                pause = self._trouble(StoreError(f"shipping failed ({type(error).__name__}: {error})"))
            if pause:
                stop.wait(pause)
        self._drain(time.monotonic() + DRAIN_S)

    def send(self, events: Sequence[Liquidation]) -> int:
        """Have events acknowledged, those that are refused set aside; how many were taken. Raises StoreError."""
        try:
            self._sink.send(events)
        except BatchRefused:
            self._prepare()  # it may be the tables rather than the rows
            return self._split(events)
        return len(events)

    def resend(self, window: Window | None, tell: Callable[[int, int], None]) -> int:
        """Send all events (of a window) again, by trade time; how many. `tell`: so many of so many. Raises StoreError."""
        if self._sink.prepare():
            self._marks.save(self._sink.name, 0, None)
        last = self._source.last_seq()
        of, done = self._source.rows(), 0
        events = self._source.liquidations(window)
        while batch := list(islice(events, self._batch)):
            self.send(batch)
            done += len(batch)
            tell(done, of)
        self._lives.ship()
        if window is None:
            self._marks.save(self._sink.name, last, time.time_ns() // 1000)
        return done

    # -- one round -------------------------------------------------------------------------------------------------

    def _step(self) -> float:
        """Do what is due; how long to wait then."""
        now = time.monotonic()
        if not self._ready:
            self._prepare()
        if (now >= self._next["health"] or self._was_suspended) and not self._healthy(now):
            return 0.5
        more = self._ship(now + 1.0)
        if not more and now >= self._next["lives"] and self._sink.settled(SETTLE_S):
            self._follow()
            self._next["lives"] = now + LIVES_S
        if not more and now >= self._next["audit"]:
            self._audit(now)
        self._recovered()
        return 0.0 if more else POLL_S

    def _follow(self) -> None:
        """What comes after the rows: a reader who finds an hour proved alive to its end must find its rows too."""
        self._lives.ship()
        now = time.monotonic()
        if self._refreshed != self.progress.sent and now >= self._next["refresh"]:
            self._sink.refresh()
            self._refreshed, self._next["refresh"] = self.progress.sent, now + REFRESH_S

    def _prepare(self) -> None:
        self._held = None
        if self._sink.prepare():
            if self.progress.seq:
                log.warning("%s holds nothing of ours: all rows are sent (again)", self._sink.name)
            self.progress.seq = 0
            self._emptied += 1
            self._marks.save(self._sink.name, 0, None)
        self._lives.restart()
        self._ready = True
        self._next["audit"] = self._next["whole"] = 0.0

    def _ship(self, until: float) -> bool:
        """Send what is behind the cursor, for a while; whether there is more.

        While one batch is on its way, the next is read and packed in another thread: both wait for others mostly.
        """
        progress = self.progress
        held, self._held = self._held, None
        rows, request, more = held or self._next_batch(progress.seq)
        while rows:
            ahead = self._ahead.submit(self._next_batch, rows[-1].seq) if more else None
            emptied = self._emptied
            try:
                self._take(rows, request)
            finally:
                wait((ahead,) if ahead else ())  # nobody else may use the source meanwhile
            if self._emptied != emptied:
                return True
            if ahead is None:
                break
            if time.monotonic() >= until:
                self._held = ahead.result()
                return True
            rows, request, more = ahead.result()
        self._save(time.monotonic())
        return False

    def _next_batch(self, seq: int) -> Ahead:
        """Rows after a place, the request that sends them (None: it has to be split), whether there may be more."""
        size = self._size
        rows = self._source.after(seq, size)
        more = len(rows) == size
        try:
            return rows, self._sink.pack([row.event for row in rows]) if rows else None, more
        except BatchRefused:
            return rows, None, more

    def _take(self, rows: Sequence[LedgerRow], request: object) -> None:
        progress, emptied = self.progress, self._emptied
        try:
            if request is None:
                progress.sent += self.send([row.event for row in rows])
            else:
                self._sink.flush(request)
                progress.sent += len(rows)
        except BatchRefused:
            progress.sent += self.send([row.event for row in rows])
        if self._emptied != emptied:  # found empty just now: from the beginning
            return
        self._size = min(self._batch, self._size * 2)
        progress.seq, progress.acked_us = rows[-1].seq, time.time_ns() // 1000
        self._oldest = min(self._oldest, *(row.event.trade_time for row in rows))
        now = time.monotonic()
        if now - self._saved >= SAVE_S:
            self._save(now)

    def _save(self, now: float) -> None:
        if self._saved_seq != self.progress.seq:  # an idle shipper writes nothing
            self._marks.save(self._sink.name, self.progress.seq, self.progress.acked_us)
            self._saved, self._saved_seq = now, self.progress.seq

    def _split(self, events: Sequence[Liquidation]) -> int:
        """Find the rows that the sink refuses, by halves."""
        try:
            self._sink.send(events)
        except BatchRefused as error:
            if len(events) > 1:
                half = len(events) // 2
                return self._split(events[:half]) + self._split(events[half:])
            self._set_aside(events[0], error.message)
            return 0
        return len(events)

    def _set_aside(self, event: Liquidation, reason: str) -> None:
        self._marks.refuse(self._sink.name, event, reason)
        if event.uid not in self._refused and len(self._refused) < 10_000:
            self._refused.add(event.uid)
            self.progress.refused += 1
            log.error("one event of %s is set aside, the rest goes on: %s", event.symbol, reason)

    # -- what can go wrong -----------------------------------------------------------------------------------------

    def _healthy(self, now: float) -> bool:
        """Look whether what was acknowledged can be read; have it go on where it can't."""
        health = self._sink.health()
        self._next["health"] = now + HEALTH_S
        if not health.suspended:
            if self._was_suspended:
                if health.waiting:  # resumed, but it may suspend itself again: it has to get through first
                    self._next["health"] = now + 0.5
                    return False
                self._was_suspended = False
                self._resumes = 0
                self._next["audit"] = self._next["whole"] = 0.0  # what was acknowledged meanwhile is proved
                self._tell_suspended(None)
            return True
        self._tell_suspended(health.reason)
        self._was_suspended = True
        if now >= self._next["resume"]:
            self._sink.resume()  # it suspends itself again where there is no room yet
            self._next["resume"] = now + RESUME_S[min(self._resumes, len(RESUME_S) - 1)]
            self._resumes += 1
            self._next["health"] = now + 1.0
        return False

    def _tell_suspended(self, reason: str | None) -> None:
        progress = self.progress
        if reason is None:
            log.warning("%s goes on with its tables", self._sink.name)
            progress.suspended = False
            return
        if self._told != "suspended":
            log.error("%s; nothing is sent until it goes on, the ledger keeps all", reason)
        self._told = "suspended"
        if not progress.suspended or progress.error != reason:
            progress.suspended, progress.error = True, reason
            self._marks.tell(self._sink.name, reason, suspended=True)

    def _trouble(self, error: StoreError | LedgerError) -> float:
        # One that was away is gone on with as it was: to look at all its tables first can take a server that has just
        # started longer than it lives. `health` tells when it is another; the audit proves what it has.
        self._ready = self._ready and isinstance(error, Away)
        self._held, self._size = None, min(FIRST, self._batch)
        self._next["health"] = self._next["audit"] = self._next["whole"] = 0.0
        self._lives.restart()
        pause = RETRY_S[min(self._tries, len(RETRY_S) - 1)]
        self._tries += 1
        kind = type(error).__name__
        if self._told != kind:
            log.error("%s; trying again, the ledger keeps all", error)
            self._told = kind
        if self.progress.error != str(error):
            self.progress.error = str(error)
            try:
                self._marks.tell(self._sink.name, str(error), suspended=self.progress.suspended)
            except LedgerError:  # the ledger's own trouble: told already
                log.debug("what keeps the sink could not be noted", exc_info=True)
        return pause

    def _recovered(self) -> None:
        if self._told is not None or self.progress.error is not None:
            self._marks.tell(self._sink.name, None, suspended=False)
            if self._told is not None:
                log.warning("%s takes rows again", self._sink.name)
        self._told, self.progress.error, self._tries = None, None, 0

    # -- proof -----------------------------------------------------------------------------------------------------

    def _audit(self, now: float) -> None:
        whole = now >= self._next["whole"]
        end = time.time_ns() // 1_000_000 + 2 * DAY  # a venue's clock may be ahead
        start = 0 if whole else min(end - (AUDIT_DAYS + 2) * DAY, self._oldest)
        oldest, self._oldest = self._oldest, 1 << 62
        found = self._auditor.audit(Window(start, end), self.progress.seq)
        if found is None:  # it is still applying: soon again
            self._oldest = oldest
            self._next["audit"] = now + 5.0
            return
        self.progress.differences = found
        self.progress.audits += 1
        self._next["audit"] = now + AUDIT_S
        if whole:
            self._next["whole"] = now + DAY / 1000
            if self._keep_days and not found:
                self._auditor.prune(self._keep_days, self.progress.seq)

    # -- the end ---------------------------------------------------------------------------------------------------

    def catch_up(self, deadline: float) -> bool:
        """Send all that is behind; False when the time (monotonic) came first. Raises StoreError or LedgerError."""
        if not self._ready:
            self._prepare()
        while self._ship(min(deadline, time.monotonic() + 1.0)):
            if time.monotonic() >= deadline:
                return False
        self._sink.settled(max(0.0, min(SETTLE_S, deadline - time.monotonic())))
        self._next["refresh"] = 0.0
        self._follow()
        return True

    def _drain(self, deadline: float) -> None:
        try:
            self.catch_up(deadline)
        except (StoreError, LedgerError) as error:
            log.warning("%s; what is missing is sent at the next start", error)
        try:
            self._save(time.monotonic())
            left = self._source.behind(self.progress.seq)
        except LedgerError as error:
            log.warning("%s", error)
            return
        if left:
            log.warning("%d rows are still to be sent to %s: at the next start", left, self._sink.name)
