"""What really happened, for tests to compare with: what was sent, to whom, and each connection's life.

*Written* means handed to the socket. What lay in buffers when a connection was cut was written and
never received.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Sent:
    """A liquidation the venue published, whether or not anyone was there to read it."""

    payload: bytes
    """Without envelope."""
    event_time_ms: int
    written: list[tuple[int, int]] = field(default_factory=list)
    """(connection id, Unix time in ns) for each time it was written to a connection."""


@dataclass(slots=True)
class Counts:
    """Totals since the start; they go on where `Options.keep_sent` has let the events themselves go."""

    orders: int = 0
    """Forced orders before the venue's sampling."""
    events: int = 0
    """Liquidations published."""
    written: int = 0
    """Liquidations written, one for each connection, duplicates included."""
    delivered: int = 0
    """Liquidations written to one connection at least."""
    canaries: int = 0
    """Canary ticks written."""
    garbage: int = 0
    """Hostile frames written."""
    documents: int = 0
    """HTTP documents served."""
    refused: int = 0
    """Connections refused by a fault."""


@dataclass(slots=True)
class Life:
    """A connection's life; times are Unix milliseconds."""

    id: int
    path: str
    opened_ms: int
    routed: bool
    headers: dict[str, str]
    streams: tuple[str, ...] = ()
    closed_ms: int | None = None
    cause: str | None = None
    """Why it ended: `client`, `life`, `no pong`, `too many messages`, `slow reader`, `stop`, or the fault's kind."""
    close_code: int | None = None
    """Of the close frame that the client sent, if any."""
    messages: int = 0
    """Incoming, control frames included."""
    pings: int = 0
    """Sent to the client."""
    pongs: int = 0
    """Received with the payload of our last ping."""
    liquidations: int = 0
    canaries: int = 0
    garbage: int = 0
    pauses: int = 0
    """How often the client's reading fell behind our writing."""
    faults: tuple[str, ...] = ()
    """Kinds of fault it has met."""

    @property
    def open(self) -> bool:
        return self.closed_ms is None


class Record:
    """The list of sent liquidations, bounded if wanted, and the totals."""

    def __init__(self, keep: int | None) -> None:
        self.counts = Counts()
        self._sent: deque[Sent] = deque(maxlen=keep)

    def event(self, payload: bytes, event_time_ms: int) -> Sent:
        sent = Sent(payload, event_time_ms)
        self.counts.events += 1
        self._sent.append(sent)
        return sent

    def written(self, sent: Sent, connection: int, now_ns: int) -> None:
        if not sent.written:
            self.counts.delivered += 1
        self.counts.written += 1
        sent.written.append((connection, now_ns))

    def __iter__(self) -> Iterator[Sent]:
        return iter(self._sent)
