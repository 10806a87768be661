"""Tapes into the ledger, by the same decoder and the same committer as live frames; again and again without harm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from rekt.errors import FrameError
from rekt.fields import DAY, MIN_TIME
from rekt.model import Liquidation, Quarantined
from rekt.pipeline.committer import Change, Committer
from rekt.venue import Reference, Tick, Venue
from rekt.wire.tape import BadLine, TapeLine

log = logging.getLogger("rekt.replay")


class Replay:
    """Feeds lines of tapes to a committer. A line that names a venue we know is that venue's; else the default's."""

    def __init__(
        self,
        venues: Mapping[str, Venue],
        default: str,
        references: Mapping[str, Reference],
        committer: Committer,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.lines = 0
        self.symbols: set[tuple[str, str]] = set()  # (venue, symbol) of events of unknown notional
        self._venues = venues
        self._default = default
        self._references = references
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
            if self._take(line):
                self._committer.wait_for_room()
            if self._control >= 1000:
                self.flush()
        self.flush()

    def flush(self) -> None:
        """Hand over what was only counted so far."""
        if self._control:
            self._committer.put(Change(control=self._control))
            self._control = 0

    def _take(self, line: TapeLine | BadLine) -> bool:
        name, found = read_line(line, self._venues, self._default, self._references, self._clock_us())
        if isinstance(found, Quarantined):
            return self._committer.put(found)
        if found:
            self.symbols.update((name, event.symbol) for event in found if event.notional is None)
            return self._committer.put(found)
        self._control += 1
        return False


def read_line(
    line: TapeLine | BadLine,
    venues: Mapping[str, Venue],
    default: str,
    references: Mapping[str, Reference],
    now_us: int,
) -> tuple[str, tuple[Liquidation, ...] | Quarantined]:
    """The venue of a line, and its events (none: it is a control frame) or why it has none."""
    name = default
    if isinstance(line, BadLine):
        return name, Quarantined(name, None, now_us, line.reason, line.data)
    if line.venue is not None and line.venue in venues:
        name = line.venue
    reference = references[name]
    received_us = now_us if line.received_us is None else line.received_us
    if not MIN_TIME * 1000 <= received_us <= now_us + DAY * 1000:
        reason = f"a receive time out of bounds: {received_us} µs"
        return name, Quarantined(name, line.connection, now_us, reason, line.data)
    try:
        decoded = venues[name].decode(line.data, received_us, reference)
    except FrameError as error:
        return name, Quarantined(name, line.connection, received_us, error.message, line.data)
    if isinstance(decoded, tuple) and decoded:
        if line.received_us is None:  # never now: the venue's own time is the nearest thing that is known
            decoded = tuple(_received_when_sent(event) for event in decoded)
        return name, decoded
    if isinstance(decoded, Tick):
        reference.tick(decoded)
    return name, ()


def _received_when_sent(event: Liquidation) -> Liquidation:
    time_ms = event.event_time if event.event_time is not None else event.trade_time
    return event._replace(received_us=time_ms * 1000)
