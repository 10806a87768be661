"""What a venue is: where to connect, what to say, how to read its frames. Pure; no I/O and no clock in here.

A decoder is given the bytes and the receive time and returns what the frame says: liquidations, a canary tick, or a
notice (acknowledgement, error, "reconnect", something to answer). It raises FrameError, and nothing else, for a frame
that does not fit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from .config import Key, Section
from .model import Feed, Instrument, Liquidation, Market
from .worth import multiple, value


@dataclass(frozen=True, slots=True)
class Tick:
    """A canary frame: proof that the feed is alive and routed."""

    venue_ms: int | None  # the venue's own time; None where it has none
    price: str | None = None  # bitcoin's price in USD, where the canary tells it


@dataclass(frozen=True, slots=True)
class Notice:
    """A frame that is neither an event nor a canary."""

    kind: Literal["ack", "error", "reconnect", "other"]
    text: str = ""
    reply: bytes | None = None  # to be sent back at once (a heartbeat's token, echoed)
    about: str | None = None  # of an ack or error: the request's number or topic, where the venue repeats it


Decoded = tuple[Liquidation, ...] | Tick | Notice


class Heartbeat(NamedTuple):
    """What a client has to send every so often."""

    every_s: float
    message: bytes | None = (
        None  # a text frame; None: a websocket ping. `{now}` becomes the seconds since 1970
    )


class Topics(NamedTuple):
    """Subscriptions symbol by symbol, where a venue has no form for the whole market."""

    wanted: Callable[[Iterable[Instrument]], list[str]]  # of the contracts listed now, those to subscribe
    subscribe: Callable[[Sequence[str], str], bytes]  # (topics, the request's number) → the message
    unsubscribe: Callable[[Sequence[str], str], bytes]
    per_connection: int  # topics a connection takes at most; more connections are opened for the rest
    per_message: int = 1


class Endpoint(NamedTuple):
    """One place to connect to, and what to send there."""

    url: str
    messages: tuple[bytes, ...] = ()  # after connecting; `{now}` in them becomes the seconds since 1970
    market: Market | None = None  # what it brings, where its frames don't tell
    heartbeat: Heartbeat | None = None
    topics: Topics | None = None
    headers: tuple[tuple[str, str], ...] = ()
    pause_s: float = 0.0  # between two messages: the venue's limit


class Document(NamedTuple):
    """One REST document of instruments: its URL and the pure functions that read it (they raise RestError)."""

    url: str
    parse: Callable[[bytes, int], list[Instrument]]  # (body, receive time µs) → the contracts listed now
    following: Callable[[bytes], str | None] = lambda _: None  # the next page's URL, where there is one


class Reference:
    """What decoding needs besides the frame: the instruments, bitcoin's recent prices, what waits to be told."""

    KEEP = 180  # ticks: events are told up to seconds after their trade time, minutes are plenty

    def __init__(self, instruments: Mapping[str, Instrument] | None = None) -> None:
        self.instruments: dict[str, Instrument] = dict(instruments or {})
        self.market: Market | None = (
            None  # of the endpoint that the frame came from, where its frames don't tell
        )
        self.held: dict[
            str, object
        ] = {}  # a decoder's own: events that are told a little later (see Venue.due)
        self._prices: deque[tuple[int, str]] = deque(maxlen=self.KEEP)

    def of(self, market: Market | None) -> Reference:
        """The same knowledge, for the frames of an endpoint that brings this market."""
        if market == self.market:
            return self
        view = copy(self)  # a shallow one: all but the market is shared
        view.market = market
        return view

    def tick(self, tick: Tick) -> None:
        """Remember a canary price. Two connections tell the same ticks; disorder is put right in `price_at`."""
        if tick.price is not None and tick.venue_ms is not None:
            self._prices.append((tick.venue_ms, tick.price))

    def price_at(self, ms: int, within_ms: int = 1 << 62) -> str | None:
        """The last canary price told at or before this venue time, not longer before; None when none is known."""
        known = [entry for entry in self._prices if entry[0] <= ms <= entry[0] + within_ms]
        return max(known)[1] if known else None


def common_keys(
    *, canary_timeout: float, connections: int = 2, renew_after: float = 84_600
) -> dict[str, Key]:
    """The settings that every venue has; seconds. Addresses come beside them, named `…ws_url` and `…rest_url`."""
    return {
        "canary_timeout": Key(
            "number", f"{canary_timeout:g}", "seconds without a canary tick until a feed counts as dead"
        ),
        "connections": Key(
            "whole",
            str(connections),
            "connections kept open at the same time; what one loses, another may have",
        ),
        "renew_after": Key("number", f"{renew_after:g}", "seconds until a connection is renewed"),
    }


class Venue(Protocol):
    """One exchange. A venue's module exposes an instance of a subclass as VENUE; what it leaves out is as here."""

    name: str  # as the file
    # Its configuration section, named after it in capitals: `common_keys` and its addresses.
    keys: Mapping[str, Key]
    feeds: tuple[Feed, ...]  # what its events are: markets, kind of price, sampling
    settle_s: float = 3.0  # events of an hour come at most so long after its end
    hold_s: float = 0.0  # `decode` may hold an event back for so long (see `due`)
    life_s: float = 86_400.0  # the venue cuts a connection after so long
    apart_s: float = 0.5  # between the openings of two connections: the venue's limit
    openings: tuple[int, float] | None = None  # at most so many in so many seconds, where it limits that too
    testnet_hosts: frozenset[str] = frozenset()  # hosts whose events are play money
    # For people (`rekt venues`): one line each.
    canary: str = ""
    limits: str = ""
    unconfirmed: tuple[str, ...] = ()  # what nobody has confirmed on the real venue

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """Where to connect, from the venue's section of the configuration."""
        ...

    def documents(self, settings: Section) -> list[Document]:
        """The REST documents that list its instruments."""
        ...

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError when it does not fit."""
        ...

    def warning(self, settings: Section) -> str | None:  # noqa: ARG002 - a default
        """What a configured address is known to be wrong about, in a sentence."""
        return None

    def value(self, event: Liquidation, instrument: Instrument) -> int | None:
        """An event's notional (micro-dollars) once its instrument is known; None where that is not enough."""
        return value(event, instrument)

    def fits(self, event: Liquidation, instrument: Instrument) -> bool | None:
        """Whether an event's quantity is a multiple of its contract's step, as it must be; None where none can tell."""
        if instrument.step is None or event.filled_quantity is None or event.feed.market != instrument.market:
            return None
        return multiple(event.filled_quantity, instrument.step)

    def due(self, received_us: int, reference: Reference) -> tuple[Liquidation, ...]:  # noqa: ARG002 - a default
        """Events that `decode` held back and that are to be told now; asked every second, and with all time at the end."""
        return ()
