"""What one venue's scene file gives the server: its dialogue, its streams, its documents.

The server knows sockets, time and faults; a scene knows what the venue says. A scene does no I/O:
bytes in, bytes out, the time given. Its file name in `scenes/` is its registration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Literal, NamedTuple, Protocol

from rekt.simulator import scenes
from rekt.simulator.options import Options


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract that trades in the synthetic market.

    Prices and quantities are counted in units of their last digit, so that no digit is ever rounded away.
    """

    symbol: str
    market: Literal["linear", "inverse"]
    base: str
    quote: str
    margin: str
    pair: str
    price: float
    """Where the price path starts, in quote currency."""
    price_digits: int
    tick: int
    """Smallest step of an order's price, in units of the last digit."""
    quantity_digits: int
    contract_size: int | None
    """US dollars a contract (inverse), else None; a scene whose linear contracts have sizes knows them itself."""
    usd_price: float
    """Rough dollars for one unit of quantity: what turns a size in dollars into a quantity."""
    weight: float
    """How often it is liquidated, relative to the others."""
    slip: float
    """Relative distance of the limit price from the average price."""


class Order(NamedTuple):
    """A forced order as the matching engine knows it; prices and quantities in units of the last digit."""

    instrument: Instrument
    side: Literal["SELL", "BUY"]
    status: str
    price: int
    average_price: int
    quantity: int
    filled: int
    last_fill: int
    time_ms: int


class Kind(Enum):
    """What a publication is, for the faults and for the ground truth."""

    LIQUIDATION = "liquidation"
    CANARY = "canary"
    NOTICE = "notice"


class Publication(NamedTuple):
    """Something the venue publishes once, to every session that asked for one of its channels."""

    kind: Kind
    channels: tuple[str, ...]
    """Names under which it can be subscribed; empty: everyone gets it."""
    payload: bytes
    event_time_ms: int
    recorded: bytes | None = None
    """The envelope as it was recorded, for a session that gets envelopes: sent byte for byte."""


class Limits(NamedTuple):
    """A venue's connection rules; times in seconds."""

    messages_per_second: int
    ping_period_s: float
    pong_timeout_s: float
    life_s: float
    silence_s: float | None = None
    """A client that says nothing at all for so long (no message, no ping, no pong) is cut."""
    openings: tuple[int, float] | None = None
    """At most so many connections in so many seconds; one more is refused (HTTP 429)."""


class Session(Protocol):
    """The venue's side of one connection's dialogue; what a venue leaves out is as here."""

    routed: bool = True
    """False on a path that accepts everything and never delivers."""
    binary: bool = False
    """Whether the venue's frames are binary (gzip), replies too."""
    closing: str | None = None
    """Set by the session: the venue now closes the connection (code 1008), for this reason."""

    @property
    def streams(self) -> Collection[str]:
        """Channels subscribed now."""
        ...

    def meet(self, headers: Mapping[str, str]) -> None:  # noqa: ARG002 (a default)
        """Hear what the client's request said: its headers, names in lower case."""
        return

    def greeting(self, now_ms: int) -> Sequence[bytes]:  # noqa: ARG002 (a default)
        """What the venue says first, unasked."""
        return ()

    def receive(self, message: bytes) -> Sequence[bytes]:
        """Take a message of the client; return the replies (a backlog after a subscription among them)."""
        ...

    def beat(self, now_ms: int) -> Sequence[bytes]:  # noqa: ARG002 (a default)
        """What the venue says once a second: its own heartbeats. Here it finds out that the client's are missing."""
        return ()

    def encode(self, publication: Publication) -> Iterable[bytes]:
        """The messages this session gets for a publication; none where it did not ask for it."""
        ...


class Scene(Protocol):
    """One venue: everything the server has to ask about it."""

    limits: Limits
    ws_path: str
    retired_path: str
    """A path that accepts, acknowledges, answers pings and stays silent."""
    instruments: Sequence[Instrument]
    unlisted: set[str]
    """Symbols that trade but are missing from the documents; may be changed while running."""

    def session(self, path: str) -> Session | str:
        """A dialogue for a new connection to `path` (query included), or why it is refused."""

    def document(self, path: str, now_ms: int) -> bytes | None:
        """The body of a GET, or None where there is no such document."""

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        """Publish a forced order; None where this venue's stream does not carry it."""

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        """The ticks of the subscribed canary streams for the whole second `now_ms`."""

    def shutdown_notice(self, now_ms: int) -> Publication:
        """The message that announces the server's end."""

    def frame(self, frame: bytes) -> Publication | None:
        """A recorded frame or a payload made by a test, as a publication; None where it is a reply or noise."""


def load(options: Options) -> Scene:
    """The scene of the venue that the options name."""
    if options.venue not in scenes.names():
        raise ValueError(f"no scene for venue {options.venue!r}; there are {', '.join(scenes.names())}")
    scene: Scene = import_module(f"{scenes.__name__}.{options.venue}").scene(options)
    return scene


def decimal_text(units: int, digits: int) -> str:
    """A number of last-digit units as the venue writes it, trailing zeros kept: (1230, 2) → `12.30`."""
    if not digits:
        return str(units)
    text = str(units).zfill(digits + 1)
    return f"{text[:-digits]}.{text[-digits:]}"
