"""Tapes into the ledger, by the same decoder and the same committer as live frames; again and again without harm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from rekt.errors import FrameError, UsageError
from rekt.fields import DAY, MIN_TIME
from rekt.model import Liquidation, Market, Quarantined
from rekt.pipeline.committer import Change, Committer
from rekt.venue import Reference, Tick, Venue
from rekt.wire.tape import BadLine, TapeLine

log = logging.getLogger("rekt.replay")


class Replay:
    """Feeds lines of tapes to a committer. A line that names a venue we know is that venue's; else the default's.

    `known`: a venue and what decoding it needs, by its name; `market`: of the default's frames, where they don't tell.
    """

    def __init__(
        self,
        known: Callable[[str], tuple[Venue, Reference] | None],
        default: str,
        committer: Committer,
        market: Market | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.lines = 0
        self.symbols: set[tuple[str, str]] = set()  # (venue, symbol) of events of unknown notional
        self._known = known
        self._default = default
        self._market = market
        self._committer = committer
        self._clock_us = clock_us
        self._control = 0
        self._holding: dict[str, tuple[Venue, Reference]] = {}

    def feed(self, lines: Iterable[TapeLine | BadLine]) -> None:
        """Read these lines to their end; waits while the committer has enough to do."""
        for line in lines:
            if isinstance(line, BadLine) and not line.number:
                log.warning("the tape ends early: %s; what came before it was read", line.reason)
                continue
            self.lines += 1
            if self._take(line):
                self._committer.wait_for_room()
            if self._control >= 1000:
                self.flush()
        for venue, reference in self._holding.values():
            self._due(venue, reference, 1 << 62)
        self.flush()

    def flush(self) -> None:
        """Hand over what was only counted so far."""
        if self._control:
            self._committer.put(Change(control=self._control))
            self._control = 0

    def _take(self, line: TapeLine | BadLine) -> bool:
        now_us = self._clock_us()
        name = self._default
        if isinstance(line, BadLine):
            return self._committer.put(Quarantined(name, None, now_us, line.reason, line.data))
        found = self._known(line.venue) if line.venue is not None else None
        market = line.market if found is not None else line.market or self._market
        venue, whole = found or self._usual()
        name, reference = venue.name, whole.of(market)
        received_us = now_us if line.received_us is None else line.received_us
        if not MIN_TIME * 1000 <= received_us <= now_us + DAY * 1000:
            return self._committer.put(
                Quarantined(
                    name,
                    line.connection,
                    now_us,
                    f"a receive time out of bounds: {received_us} µs",
                    line.data,
                )
            )
        try:
            decoded = venue.decode(line.data, received_us, reference)
        except FrameError as error:
            return self._committer.put(
                Quarantined(name, line.connection, received_us, error.message, line.data)
            )
        if isinstance(decoded, tuple) and decoded:
            if line.received_us is None:  # never now: the venue's own time is the nearest thing that is known
                decoded = tuple(_received_when_sent(event) for event in decoded)
            self.symbols.update((name, event.symbol) for event in decoded if event.notional is None)
            return self._committer.put(decoded)
        self._control += 1
        if isinstance(decoded, Tick):
            reference.tick(decoded)
        if reference.held:
            self._holding[name] = (venue, whole)
            return self._due(venue, whole, received_us)
        return False

    def _usual(self) -> tuple[Venue, Reference]:
        found = self._known(self._default)
        if found is None:
            raise UsageError(f"no venue is called {self._default!r}")
        return found

    def _due(self, venue: Venue, reference: Reference, received_us: int) -> bool:
        """Events that the decoder held back; their frames were counted when they came."""
        events = venue.due(received_us, reference)
        if not events:
            return False
        self._control -= 1
        self.symbols.update((venue.name, event.symbol) for event in events if event.notional is None)
        return self._committer.put(events)


def _received_when_sent(event: Liquidation) -> Liquidation:
    time_ms = event.event_time if event.event_time is not None else event.trade_time
    return event._replace(received_us=time_ms * 1000)
