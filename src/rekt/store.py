"""What a store is: it takes batches, idempotently, and answers the questions the numbers are made from.

`Batch` is everything that becomes durable together. A batch may be given again after any failure: events that are
already there are left as they are, and what a batch says of a connection or span only ever grows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

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
    Span,
    Suspicion,
    Window,
)

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
    frames: list[tuple[Liquidation, ...]] = field(
        default_factory=list
    )  # one entry per frame that held events
    control: int = 0  # frames that were acknowledgements, canaries, errors
    repeats: int = 0  # frames whose events had all been given before, known without looking
    quarantined: list[Quarantined] = field(default_factory=list)  # one entry per frame
    connections: list[Connection] = field(default_factory=list)  # the latest state of each that changed
    spans: list[Span] = field(default_factory=list)  # the latest state of each that changed
    instruments: list[Instrument] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)  # added to what is known
    clock: list[ClockChange] = field(default_factory=list)
    suspicions: list[Suspicion] = field(default_factory=list)  # in the order they came up and went
    reason: str = "late event"  # why it would change an hour that is final already
    now_ms: int = 0  # the time of day when it is given; tells which hours are final
    settle_ms: int = 3_000  # the venue's settle time


class Appended(NamedTuple):
    """What a batch added: frames by outcome, and the events that were new."""

    stored: int  # frames with at least one new event
    duplicate: int  # frames with repeats only
    new: list[Liquidation]
    quarantined: int = (
        0  # frames of events that the store itself refused (kept in quarantine with the reason)
    )


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


class Run(NamedTuple):
    """One run of the recorder (or of a replay), and what its frames came to."""

    id: str
    started_us: int | None = None  # None: it never said
    stopped_us: int | None = None  # None: still going, or killed
    command: str = ""  # run, replay, demo
    version: str = ""  # the software's
    pid: int | None = None
    control: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    events: int = 0  # new events


class Alive(NamedTuple):
    """A span with what became of its connection: all that coverage needs."""

    venue: str
    connection: str
    start_ms: int
    end_ms: int
    closed: bool
    cause: str | None  # why it closed


class Moment(NamedTuple):
    """When an event was traded, told and received: what lateness and saturation are computed from."""

    venue: str
    symbol: str
    trade_time: int  # ms
    event_time: int | None  # ms
    received_us: int


class QualityFacts(Protocol):
    """What is asked besides about how well a window was recorded."""

    def moments(self, window: Window) -> Iterator[Moment]:
        """The times of every event of a window, by trade time; read in pages."""
        ...

    def deliveries(self, window: Window) -> list[tuple[str, Delivery]]:
        """(venue, what a connection told and lost) in the hours that begin in a window."""
        ...

    def revisions(self, window: Window) -> list[Revision]:
        """How final hours of a window changed later, oldest change first."""
        ...


class Facts(Protocol):
    """The questions a summary is made from; every store answers them alike."""

    def snapshot(self) -> AbstractContextManager[object]:
        """A stretch in which all answers are of one state, where the store can; for a second at most."""
        ...

    def totals(self, window: Window, scope: Scope) -> list[Bucket]:
        """Roll-ups whose start lies in the window (ms), oldest first."""
        ...

    def sums(self, window: Window) -> list[Bucket]:
        """Counts and sums over the window by venue, symbol and side; what brought nothing is not there.

        In a ledger's sealed days, whose events were pruned, whole hours are exact and parts of one are too low.
        """
        ...

    def count(self, window: Window) -> list[Bucket]:
        """A recount of the events themselves by venue, symbol and side: what `sums` must equal."""
        ...

    def largest(self, window: Window, venues: Collection[str] | None = None) -> Largest | None:
        """The largest counting event (of these venues): highest notional, then earliest trade time, then lowest uid."""
        ...

    def alive(self, window: Window) -> list[Alive]:
        """Each canary-proved span that touches the window, earliest first."""
        ...

    def alive_before(self, venue: str, ms: int) -> Alive | None:
        """The span of a venue that ended last before this time."""
        ...

    def connections(self, window: Window | None) -> list[Connection]:
        """Connections whose life touches the window (None: all), oldest first."""
        ...

    def venues(self) -> list[str]:
        """Every venue that a connection or an event names."""
        ...


class Listing(Protocol):
    """Events by trade time, in pages, so that no reader pins the log."""

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
        ...


class Store(Facts, Listing, Protocol):
    """A store as its contract suite sees it: what was appended can be asked for."""

    def append(self, batch: Batch) -> Appended:
        """Make a batch durable. Raises StoreError or LedgerError; then nothing of it is there, give it again."""
        ...

    def close(self) -> None:
        """Let go of it; closing twice is harmless."""
        ...


__all__ = [
    "Alive",
    "Appended",
    "Batch",
    "Counters",
    "Facts",
    "Feed",
    "Listing",
    "Row",
    "Run",
    "Scope",
    "Settled",
    "Span",
    "Store",
]
