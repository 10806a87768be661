"""What a store is: it takes batches, idempotently, and answers the questions the numbers are made from.

`Batch` is everything that becomes durable together. A batch may be given again after any failure: events that are
already there are left as they are, and what a batch says of a connection or span only ever grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from .model import Bucket, Connection, Feed, Instrument, Largest, Liquidation, Quarantined, Span, Window

Scope = Literal["minute", "hour", "hour_symbol"]


class Settled(NamedTuple):
    """A notional learnt after its event was stored."""

    trade_time: int
    uid: bytes
    notional: int  # micro-dollars
    basis: str | None


@dataclass(slots=True)
class Batch:
    """Facts that become durable in one transaction, in the order they came."""

    run: str
    frames: list[tuple[Liquidation, ...]] = field(default_factory=list)  # one entry per frame that held events
    control: int = 0  # frames that were acknowledgements, canaries, errors
    quarantined: list[Quarantined] = field(default_factory=list)  # one entry per frame
    connections: list[Connection] = field(default_factory=list)  # the latest state of each that changed
    spans: list[Span] = field(default_factory=list)  # the latest state of each that changed
    instruments: list[Instrument] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)


class Appended(NamedTuple):
    """What a batch added: frames by outcome, and the events that were new."""

    stored: int  # frames with at least one new event
    duplicate: int  # frames with repeats only
    new: list[Liquidation]


class Row(NamedTuple):
    """A stored liquidation with its place in the ledger."""

    seq: int  # grows with every row inserted or changed
    event: Liquidation


class Counters(NamedTuple):
    """Frames by outcome, summed over all runs: received = control + stored + duplicate + quarantined."""

    received: int
    control: int
    stored: int
    duplicate: int
    quarantined: int


class Facts(Protocol):
    """The questions a summary is made from; every store answers them alike."""

    def totals(self, window: Window, scope: Scope) -> list[Bucket]:
        """Roll-ups whose start lies in the window (ms)."""
        ...

    def count(self, window: Window) -> list[Bucket]:
        """A recount of the events themselves by venue, symbol and side, for stretches that are no whole hours."""
        ...

    def largest(self, window: Window) -> Largest | None:
        """The largest counting event: highest notional, then earliest trade time, then lowest uid."""
        ...

    def spans(self, window: Window) -> list[tuple[str, Span]]:
        """(venue, span) of each canary-proved span that touches the window."""
        ...

    def connections(self, window: Window | None) -> list[Connection]:
        """Connections whose life touches the window (None: all), oldest first."""
        ...

    def venues(self) -> list[str]:
        """Every venue that a connection or an event names."""
        ...


class Listing(Protocol):
    """Events by trade time, in pages."""

    def liquidations(self, window: Window | None, **filters: object) -> Iterator[Liquidation]:
        """Events of a window by (trade time, uid); reads in pages, so that no reader pins the log."""
        ...


__all__ = [
    "Appended",
    "Batch",
    "Counters",
    "Facts",
    "Feed",
    "Listing",
    "Row",
    "Scope",
    "Settled",
]
