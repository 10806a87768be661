"""What a venue is: where to connect, how to read its frames. Pure; no I/O and no clock in here.

A decoder is given the bytes and the receive time and returns what the frame says: liquidations, a canary tick, or a
notice (acknowledgement, error, "reconnect"). It raises FrameError, and nothing else, for a frame that does not fit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from .config import Key, Section
from .model import Instrument, Liquidation


@dataclass(frozen=True, slots=True)
class Tick:
    """A canary frame: proof that the feed is alive and routed."""

    venue_ms: int | None  # the venue's own time; None where it has none
    price: str | None = None  # the canary coin's price in USD, where the canary tells it


@dataclass(frozen=True, slots=True)
class Notice:
    """A frame that is neither an event nor a canary."""

    kind: Literal["ack", "error", "reconnect", "other"]
    text: str = ""


Decoded = tuple[Liquidation, ...] | Tick | Notice


class Endpoint(NamedTuple):
    """One place to connect to, and what to send after connecting."""

    url: str
    messages: tuple[bytes, ...] = ()


class Document(NamedTuple):
    """One REST document of instruments: its URL and the pure function that reads it (raises RestError)."""

    url: str
    parse: Callable[[bytes, int], list[Instrument]]  # (body, receive time µs)


class Reference:
    """What decoding needs besides the frame: the instruments, and the canary coin's recent prices."""

    KEEP = 180  # ticks: events are told up to seconds after their trade time, minutes are plenty

    def __init__(self, instruments: Mapping[str, Instrument] | None = None) -> None:
        self.instruments: dict[str, Instrument] = dict(instruments or {})
        self._prices: deque[tuple[int, str]] = deque(maxlen=self.KEEP)

    def tick(self, tick: Tick) -> None:
        """Remember a canary price. Two connections tell the same ticks; disorder is put right in `price_at`."""
        if tick.price is not None and tick.venue_ms is not None:
            self._prices.append((tick.venue_ms, tick.price))

    def price_at(self, ms: int) -> str | None:
        """The last canary price told at or before this venue time; None when none is known."""
        known = [entry for entry in self._prices if entry[0] <= ms]
        return max(known)[1] if known else None


class Venue(Protocol):
    """One exchange. A venue's module exposes an instance as VENUE."""

    name: str
    # Its configuration section, named after it in capitals. What every venue has: `canary_timeout` (seconds without a
    # canary until a feed counts as dead), `connections` (kept open at once), `renew_after` (seconds).
    keys: Mapping[str, Key]
    settle_s: float  # events of an hour come at most so long after its end
    life_s: float  # the venue cuts a connection after so long
    testnet_hosts: frozenset[str]  # hosts whose events are play money

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """Where to connect, from the venue's section of the configuration."""
        ...

    def warning(self, settings: Section) -> str | None:
        """What a configured address is known to be wrong about, in a sentence."""
        ...

    def documents(self, settings: Section) -> list[Document]:
        """The REST documents that list its instruments."""
        ...

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError when it does not fit."""
        ...

    def value(self, event: Liquidation, instrument: Instrument) -> int | None:
        """An event's notional (micro-dollars) once its instrument is known; None where that is not enough."""
        ...
