"""Tapes into the ledger, by the same decoder and the same committer as live frames; again and again without harm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator

from rekt.errors import FrameError, UsageError
from rekt.fields import DAY, MIN_TIME
from rekt.model import Liquidation, Market, Quarantined
from rekt.pipeline.committer import Change, Committer
from rekt.venue import Reference, Tick, Venue
from rekt.wire.tape import BadLine, TapeLine

log = logging.getLogger("rekt.replay")

Known = Callable[[str], tuple[Venue, Reference] | None]  # a venue and what decoding it needs, by its name
Events = tuple[Liquidation, ...]


class Reading:
    """What lines of tapes say. A line that names a venue we know is that venue's; else the default's.

    `market`: of the default's frames, where they don't tell it. Raises UsageError for a default that is not there.
    """

    def __init__(self, known: Known, default: str, market: Market | None = None) -> None:
        usual = known(default)
        if usual is None:
            raise UsageError(f"no venue is called {default!r}")
        self._known = known
        self._usual = usual
        self._market = market
        self._holding: dict[str, tuple[Venue, Reference]] = {}  # venues whose decoders may hold events back

    def read(self, line: TapeLine | BadLine, now_us: int) -> tuple[str, Events | Quarantined]:
        """The venue of a line, and its events (none: it is a control frame) or why it has none."""
        if isinstance(line, BadLine):
            name = self._usual[0].name
            return name, Quarantined(name, None, now_us, line.reason, line.data)
        found = self._known(line.venue) if line.venue is not None else None
        venue, whole = found or self._usual
        name, reference = venue.name, whole.of(line.market or (None if found else self._market))
        received_us = now_us if line.received_us is None else line.received_us
        if not MIN_TIME * 1000 <= received_us <= now_us + DAY * 1000:
            reason = f"a receive time out of bounds: {received_us} µs"
            return name, Quarantined(name, line.connection, now_us, reason, line.data)
        try:
            decoded = venue.decode(line.data, received_us, reference)
        except FrameError as error:
            return name, Quarantined(name, line.connection, received_us, error.message, line.data)
        if isinstance(decoded, tuple) and decoded:
            if line.received_us is None:  # never now: the venue's own time is the nearest thing that is known
                decoded = tuple(_received_when_sent(event) for event in decoded)
            return name, decoded
        if isinstance(decoded, Tick):
            reference.tick(decoded)
        if reference.held:
            self._holding[name] = venue, whole
            return name, venue.due(received_us, whole)
        return name, ()

    def rest(self) -> Iterator[tuple[str, Events]]:
        """After the last line: the events that are still held back, by venue."""
        for name, (venue, reference) in self._holding.items():
            if events := venue.due(1 << 62, reference):
                yield name, events


class Replay:
    """Feeds lines of tapes to a committer."""

    def __init__(
        self,
        reading: Reading,
        committer: Committer,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.lines = 0
        self.symbols: set[tuple[str, str]] = set()  # (venue, symbol) of events of unknown notional
        self._reading = reading
        self._committer = committer
        self._clock_us = clock_us
        self._control = 0

    def feed(self, lines: Iterable[TapeLine | BadLine]) -> None:
        """Read these lines to their end; waits while the committer has enough to do."""
        for line in lines:
            if isinstance(line, BadLine) and not line.number:
                log.warning("the tape ends early: %s; what came before it was read", line.reason)
                continue
            self.lines += 1
            if self._take(*self._reading.read(line, self._clock_us())):
                self._committer.wait_for_room()
            if self._control >= 1000:
                self.flush()
        self.flush()

    def end(self) -> None:
        """After the last tape: what its decoders still held back; their frames were counted when they came."""
        for name, events in self._reading.rest():
            self._control -= 1
            self._take(name, events)
        self.flush()

    def flush(self) -> None:
        """Hand over what was only counted so far."""
        if self._control:
            self._committer.put(Change(control=self._control))
            self._control = 0

    def _take(self, name: str, found: Events | Quarantined) -> bool:
        if isinstance(found, Quarantined):
            return self._committer.put(found)
        if found:
            self.symbols.update((name, event.symbol) for event in found if event.notional is None)
            return self._committer.put(found)
        self._control += 1
        return False


def _received_when_sent(event: Liquidation) -> Liquidation:
    time_ms = event.event_time if event.event_time is not None else event.trade_time
    return event._replace(received_us=time_ms * 1000)
