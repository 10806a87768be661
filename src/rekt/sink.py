"""What a sink is: it takes the ledger's rows behind a cursor, idempotently, and says how many it has of each hour.

A sink may be down, full or emptied at any time. What it raises is a StoreError: `retryable` ones are tried again for
as long as it takes; `RowsRefused` names rows that it will never take.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from rekt.errors import StoreError
from rekt.model import Connection, Delivery, Liquidation, Revision, Span, Window


class SinkState(NamedTuple):
    """How far a sink has come."""

    seq: int = 0
    acked_us: int | None = None  # when it acknowledged last
    error: str | None = None  # what keeps it, now
    suspended: bool = False
    audited_us: int | None = None  # when an audit last found no difference


class LedgerRow(Protocol):
    """A row of the ledger: `rekt.store.Row`."""

    @property
    def seq(self) -> int:
        """Its place."""
        ...

    @property
    def event(self) -> Liquidation:
        """What it tells."""
        ...


class Sums(NamedTuple):
    """What an hour holds: events that count and have a value, and all others."""

    count: int = 0  # type: ignore[assignment]  # hides tuple.count
    total: int = 0  # micro-dollars, exact
    others: int = 0


class Health(NamedTuple):
    """How a sink that answers is."""

    suspended: bool  # it acknowledges, but what it has taken can't be read
    reason: str
    waiting: int  # transactions acknowledged and not yet readable


class Away(StoreError):
    """The sink doesn't answer (now); what it holds is as it was when it did."""


class Moved(StoreError):
    """It is another one, or lacks what was made ready: to be made ready anew."""


class BatchRefused(StoreError):
    """The sink refuses a batch for what is in it: at least one row is at fault."""

    retryable = False


class Sink(Protocol):
    """What the shipper ships to."""

    name: str  # of its cursor: two sinks never share one

    def prepare(self) -> bool:
        """Have it ready to take rows, from whatever state; True when it was empty and must be given all again."""
        ...

    def send(self, events: Sequence[Liquidation]) -> None:
        """Give it rows; returns once they are acknowledged. Raises BatchRefused, or StoreError to try again."""
        ...

    def pack(self, events: Sequence[Liquidation]) -> object:
        """The first half of `send`, which another thread may do while `flush` waits. Raises BatchRefused."""
        ...

    def flush(self, request: Any) -> None:
        """The second half: returns once what was packed is acknowledged. Raises as `send`."""
        ...

    def send_lives(self, connections: Sequence[Connection], spans: Sequence[tuple[str, Span]]) -> None:
        """Give it what coverage is made from; each span with its connection's venue."""
        ...

    def send_quality(
        self, deliveries: Sequence[tuple[str, Delivery]], revisions: Sequence[tuple[str, Revision]]
    ) -> None:
        """Give it what quality is made from: (venue, delivery), (run, revision)."""
        ...

    def health(self) -> Health:
        """How it is. Raises StoreError."""
        ...

    def resume(self) -> None:
        """Have it take up again what it suspended. Raises StoreError."""
        ...

    def settled(self, timeout_s: float) -> bool:
        """Wait until all that was acknowledged can be read."""
        ...

    def refresh(self) -> None:
        """Have it bring up to date what it derives from its rows; doesn't wait for it. Raises StoreError."""
        ...

    def kept_from(self) -> int:
        """The time, ms, before which it drops rows by itself; 0 when it keeps all."""
        ...

    def hours(self, window: Window) -> Mapping[int, Sums]:
        """What it holds, by the hour's start (ms); only rows of ours."""
        ...

    def check(self, window: Window) -> list[str]:
        """Mend what it derives from its rows by itself; sentences on what was wrong."""
        ...

    def close(self) -> None:
        """Let go of it; closing twice is harmless."""
        ...


class Source(Protocol):
    """The ledger as a shipper reads it."""

    def after(self, seq: int, limit: int) -> Sequence[LedgerRow]:
        """Rows inserted or changed after a place, in that order."""
        ...

    def behind(self, seq: int) -> int:
        """How many those are."""
        ...

    def last_seq(self) -> int:
        """The highest place."""
        ...

    def rows(self) -> int:
        """How many events there are."""
        ...

    def state(self, sink: str) -> SinkState:
        """How far a sink has come."""
        ...

    def new_lives(
        self, rowid: int, open_ids: Iterable[str]
    ) -> tuple[list[tuple[int, Connection]], list[Span]]:
        """Connections after a row id, in pages, or of these ids, and all spans of them; of one state."""
        ...

    def deliveries(self, window: Window) -> list[tuple[str, Delivery]]:
        """(venue, what a connection told and lost) in the hours that begin in a window."""
        ...

    def revisions_by_run(self) -> list[tuple[str, Revision]]:
        """Every change of an hour that was final, with the run that made it."""
        ...

    def snapshot(self) -> AbstractContextManager[object]:
        """A stretch in which all answers are of one state."""
        ...

    def hour_sums(self, window: Window, sink: str) -> dict[int, Sums]:
        """What a sink ought to hold of each hour."""
        ...

    def hours_after(self, seq: int) -> set[int]:
        """The hours of the rows behind a cursor."""
        ...

    def refused(self, sink: str) -> Sequence[tuple[Liquidation, str]]:
        """Rows that a sink refused, with the reason."""
        ...

    def refused_count(self, sink: str) -> int:
        """How many those are."""
        ...

    def liquidations(self, window: Window | None = None) -> Iterator[Liquidation]:
        """Events of a window."""
        ...

    def sealed(self) -> int:
        """The time, ms, before which days are closed for good."""
        ...

    def extent(self) -> Window:
        """From the first hour with an event to the end of the last."""
        ...


class Marks(Protocol):
    """Where the ledger notes how far sinks have come."""

    def save(self, sink: str, seq: int, acked_us: int | None) -> None:
        """All rows up to this one were acknowledged."""
        ...

    def tell(self, sink: str, error: str | None, *, suspended: bool) -> None:
        """What keeps it now; None when nothing does."""
        ...

    def audited(self, sink: str, at_us: int) -> None:
        """An audit ended in agreement."""
        ...

    def refuse(self, sink: str, event: Liquidation, reason: str) -> None:
        """Set a row aside."""
        ...

    def accept(self, sink: str, event: Liquidation) -> None:
        """A row that was set aside was taken after all."""
        ...

    def seal(self, before: int, expected: Mapping[int, Sums], sink: str) -> bool:
        """Close the days before a time for good, if they still hold what was audited."""
        ...

    def prune(self) -> int:
        """Drop a page of rows of sealed days; how many."""
        ...
