"""One thread that makes everything durable, "whenever the disk is free": no timer, no batch that waits to fill.

While a transaction is being written, new items gather; the next transaction takes them all. So a quiet stream is
durable within a millisecond, and a cascade goes in large batches by itself. What the store can't take now (disk full,
locked, an I/O error) is kept and tried again for as long as it takes; the queue is bounded by asking the producer to
stop reading (`full`), never by dropping.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rekt.model import (
    ClockChange,
    Connection,
    Delivery,
    Instrument,
    Liquidation,
    Quarantined,
    Span,
    Suspicion,
)
from rekt.store import Appended, Batch, Settled

log = logging.getLogger("rekt.committer")

MOST = 50_000  # items a transaction takes: bounds its length, and so how long a second writer waits
LIMIT = 50_000  # weight at which the producer is asked to stop reading; what is on its way by then still fits
RETRY_S = (0.05, 0.2, 0.5, 1.0)  # then every second


@dataclass(frozen=True, slots=True)
class Change:
    """Everything but events and quarantined frames that a recorder wants durable."""

    control: int = 0  # frames
    repeats: int = 0  # frames of which all was put before
    connections: tuple[Connection, ...] = ()
    spans: tuple[Span, ...] = ()
    instruments: tuple[Instrument, ...] = ()
    settled: tuple[Settled, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    clock: tuple[ClockChange, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()


Item = tuple[Liquidation, ...] | Quarantined | Change


class Intake(Protocol):
    """Where a recorder puts what it has; True = enough is waiting, stop reading for now."""

    def put(self, item: Item) -> bool:
        """Take an item."""
        ...

    def put_all(self, found: Sequence[Item]) -> bool:
        """The same with several at once."""
        ...

    def mark(self) -> Callable[[], bool]:
        """What tells whether all that was put before now is durable."""
        ...


class Appender(Protocol):
    """The writing side of a store."""

    @property
    def checkpoint_due(self) -> bool:
        """Whether it has housekeeping to do when nothing waits."""
        ...

    def checkpoint(self) -> None:
        """Do it; never raises."""
        ...

    def append(self, batch: Batch) -> Appended:
        """Make a batch durable in one transaction; idempotent. Raises what its engine raises, nothing written."""
        ...


@dataclass(slots=True)
class Progress:
    """What has become durable so far, for the status line."""

    stored: int = 0  # frames
    duplicate: int = 0
    quarantined: int = 0
    control: int = 0
    events: int = 0
    trouble: str | None = None  # why the store takes nothing right now
    last_commit: float = field(default_factory=time.monotonic)


def fold(run: str, items: list[Item]) -> Batch:
    """Items in their order as one batch; of a connection or span only the latest state is kept."""
    batch = Batch(run)
    connections: dict[str, Connection] = {}
    spans: dict[tuple[str, int], Span] = {}
    frames = batch.frames
    for item in items:
        if isinstance(item, tuple) and not isinstance(item, Quarantined):
            frames.append(item)
        elif isinstance(item, Change):
            batch.control += item.control
            batch.repeats += item.repeats
            connections.update((connection.id, connection) for connection in item.connections)
            spans.update(((span.connection, span.start_ms), span) for span in item.spans)
            batch.instruments.extend(item.instruments)
            batch.settled.extend(item.settled)
            batch.deliveries.extend(item.deliveries)
            batch.clock.extend(item.clock)
            batch.suspicions.extend(item.suspicions)
        else:
            batch.quarantined.append(item)
    batch.connections.extend(connections.values())
    batch.spans.extend(spans.values())
    return batch


class Committer:
    """Takes items from one producer thread and commits them from its own.

    `durable` is called after each commit, in the committer's thread, with what was new; `room` (same thread) once the
    queue has drained after `full` was true.
    """

    def __init__(
        self,
        store: Appender,
        run: str,
        *,
        durable: Callable[[Appended], None] = lambda _: None,
        room: Callable[[], None] = lambda: None,
        limit: int | None = None,
        reason: str = "late event",
        settle_ms: int = 3_000,
    ) -> None:
        self._store = store
        self._run = run
        self._durable = durable
        self._room = room
        self._limit = LIMIT if limit is None else limit
        self._reason = reason  # why an event would change an hour that is final already
        self._settle_ms = settle_ms
        self._items: deque[Item] = deque()
        self._put = 0  # items; written by the producer only
        self._done = 0  # of these, durable; written by the committer only
        self._extra_put = 0  # weight beyond one an item; written by the producer only
        self._extra_taken = 0  # the same, written by the committer only
        self._asked_to_pause = False
        self._wake = threading.Event()
        self._closing = False
        self._deadline = float("inf")
        self._in_flight = 0
        self.progress = Progress()
        self._thread = threading.Thread(target=self._work, name="committer", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Queue an item; True = enough is waiting, stop reading until `room` is called."""
        return self.put_all([item])

    def put_all(self, found: Sequence[Item]) -> bool:
        """The same with several at once."""
        items = self._items
        items.extend(found)
        self._put += len(found)
        self._extra_put += sum(_extra(item) for item in found if type(item) is not tuple or len(item) > 1)
        if not self._wake.is_set():
            self._wake.set()
        if len(items) + self._extra_put - self._extra_taken >= self._limit:
            self._asked_to_pause = True
            return True
        return False

    def mark(self) -> Callable[[], bool]:
        """What tells whether all that was put before now is durable."""
        put = self._put
        return lambda: self._done >= put

    @property
    def waiting(self) -> int:
        """Items that are not durable yet."""
        return len(self._items) + self._in_flight

    def wait_for_room(self) -> None:
        """Wait until half of the queue is durable: for a producer that can simply stop, such as a replay."""
        while (
            len(self._items) + self._extra_put - self._extra_taken >= self._limit // 2
            and self._thread.is_alive()
        ):
            time.sleep(0.002)

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put is durable; False when time ran out."""
        deadline = time.monotonic() + timeout_s
        while self.waiting and time.monotonic() < deadline and self._thread.is_alive():
            time.sleep(0.002)
        return not self.waiting

    def close(self, timeout_s: float = 6.0) -> int:
        """Commit what is waiting and end the thread; returns how many items could not be made durable in time."""
        self._deadline = time.monotonic() + timeout_s
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s + 1.0)
        left = self.waiting
        if left:
            log.error(
                "%d items could not be written before the end: %s",
                left,
                self.progress.trouble or "no time left",
            )
        return left

    def _work(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._items:
                count = min(len(self._items), MOST)
                self._in_flight = count
                items = [self._items.popleft() for _ in range(count)]
                self._tell_room()  # so that the producer works while this is written
                if not self._commit(items):
                    return
                self._in_flight = 0
                self._done += count
                self._tell_room()
            if self._store.checkpoint_due:
                self._store.checkpoint()
            if self._closing and not self._items:
                return

    def _tell_room(self) -> None:
        if self._asked_to_pause and len(self._items) + self._extra_put - self._extra_taken < self._limit // 2:
            self._asked_to_pause = False
            self._room()

    def _commit(self, items: list[Item]) -> bool:
        batch = fold(self._run, items)
        batch.reason, batch.settle_ms, batch.now_ms = (
            self._reason,
            self._settle_ms,
            time.time_ns() // 1_000_000,
        )
        attempt = 0
        appended: Appended | None = None
        while appended is None:
            try:
                appended = self._store.append(batch)
            except Exception as error:  # noqa: BLE001 - whatever the engine says: nothing was written, the batch is kept
                self._tell(error)
                if time.monotonic() >= self._deadline:
                    return False
                time.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
        progress = self.progress
        if progress.trouble is not None:
            log.warning("the ledger takes events again; nothing was lost meanwhile")
            progress.trouble = None
        if log.isEnabledFor(logging.DEBUG):
            log.debug("committed %d items: %d new events", len(items), len(appended.new))
        progress.stored += appended.stored
        progress.duplicate += appended.duplicate
        progress.quarantined += len(batch.quarantined) + appended.quarantined
        progress.control += batch.control
        progress.events += len(appended.new)
        progress.last_commit = time.monotonic()
        self._extra_taken += sum(_extra(item) for item in items if type(item) is not tuple or len(item) > 1)
        try:
            self._durable(appended)
        except Exception:  # who watches must not be able to stop the recording
            log.exception("showing what was recorded failed; recording goes on")
        return True

    def _tell(self, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"
        if told != self.progress.trouble:
            log.error("the ledger can't be written (%s); events are kept in memory and tried again", told)
            self.progress.trouble = told


def _extra(item: Item) -> int:
    """What an item weighs beyond one: neither large quarantined frames nor many events in one may fill the memory."""
    if isinstance(item, Quarantined):
        return len(item.data) // 1024
    return len(item) - 1 if isinstance(item, tuple) else 0
