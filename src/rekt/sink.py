"""What a sink is: it takes the ledger's rows behind a cursor, idempotently, and says how many it has of each hour.

A sink may be down, full or emptied at any time. What it raises is a StoreError: `retryable` ones are tried again for
as long as it takes; `RowsRefused` names rows that it will never take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from rekt.errors import StoreError
from rekt.model import Connection, Liquidation, Span, Window


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

    def send_lives(self, connections: Sequence[Connection], spans: Sequence[tuple[str, Span]]) -> None:
        """Give it what coverage is made from; each span with its connection's venue."""
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

    def hours(self, window: Window) -> Mapping[int, Sums]:
        """What it holds, by the hour's start (ms); only rows of ours."""
        ...

    def check(self, window: Window) -> list[str]:
        """Mend what it derives from its rows by itself; sentences on what was wrong."""
        ...

    def close(self) -> None:
        """Let go of it; closing twice is harmless."""
        ...
