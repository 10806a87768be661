"""One ledger into another: events, connections with their spans, instruments. Repeats vanish; nothing is taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from rekt.model import Connection, Delivery, Instrument, Liquidation, Span, Window
from rekt.store import Alive, Appended, Batch, Row, Settled

PAGE = 5_000
ALWAYS = Window(0, 1 << 60)


class Other(Protocol):
    """What is asked of the ledger that is merged in."""

    def after(self, seq: int, limit: int = PAGE) -> list[Row]:
        """Rows behind a position."""
        ...

    def connections(self, window: Window | None) -> list[Connection]:
        """Connections, oldest first."""
        ...

    def alive(self, window: Window) -> list[Alive]:
        """Spans, earliest first."""
        ...

    def deliveries(self, window: Window) -> list[tuple[str, Delivery]]:
        """What its connections told and lost."""
        ...

    def venues(self) -> list[str]:
        """The venues it knows."""
        ...

    def instruments(self, venue: str) -> dict[str, Instrument]:
        """The contracts of a venue."""
        ...


def merge(
    other: Other,
    append: Callable[[Batch], Appended],
    run: str,
    *,
    known: set[str],
    unvalued: set[bytes],
    told: Callable[[int], None] = lambda _: None,
) -> tuple[int, int]:
    """Give `append` all that the other ledger has; returns how many events were new, and how many were there already.

    `known` are the connections that are here already (their measured losses were added when they came), `unvalued` the
    events that are here without a value. `told` is called with the number of events looked at so far.
    """

    def batch() -> Batch:
        return Batch(run, reason="merge", now_ms=time.time_ns() // 1_000_000)

    facts = batch()
    facts.connections.extend(other.connections(None))
    facts.spans.extend(Span(one.connection, one.start_ms, one.end_ms) for one in other.alive(ALWAYS))
    facts.deliveries.extend(d for _, d in other.deliveries(ALWAYS) if d.connection not in known)
    for venue in other.venues():
        facts.instruments.extend(other.instruments(venue).values())
    append(facts)
    new = repeats = 0
    for page in _pages(_events(other)):
        one = batch()
        one.frames.extend((event,) for event in page)
        one.settled.extend(
            Settled(event.trade_time, event.uid, event.notional, event.basis)
            for event in page
            if event.notional is not None and event.uid in unvalued
        )
        done = append(one)
        new += len(done.new)
        repeats += len(page) - len(done.new)
        told(new + repeats)
    return new, repeats


def _events(other: Other) -> Iterator[Liquidation]:
    seq = 0
    while rows := other.after(seq, PAGE):
        seq = rows[-1].seq
        for row in rows:
            yield row.event


def _pages(events: Iterable[Liquidation]) -> Iterator[list[Liquidation]]:
    source = iter(events)
    while page := list(islice(source, PAGE)):
        yield page
