"""The contracts of a venue: read from its documents, kept in the ledger, used to value what waited for them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable

from rekt.config import Section
from rekt.errors import RektError
from rekt.model import Liquidation
from rekt.pipeline.committer import Change, Committer
from rekt.store import Settled
from rekt.venue import Reference, Venue

Fetch = Callable[[str], Awaitable[bytes]]


async def refresh(
    venue: Venue, settings: Section, reference: Reference, committer: Committer, fetch: Fetch
) -> None:
    """Read the venue's documents. Raises RektError when one can't be had; what the others say is kept all the same."""
    found = []
    failed: RektError | None = None
    for document in venue.documents(settings):
        try:
            found.extend(document.parse(await fetch(document.url), time.time_ns() // 1000))
        except RektError as error:
            failed = error
    if found:
        reference.instruments.update((instrument.symbol, instrument) for instrument in found)
        committer.put(Change(instruments=tuple(found)))
    if failed is not None:
        raise failed


def settle(venue: Venue, reference: Reference, events: Iterable[Liquidation]) -> list[Settled]:
    """What is known by now of events whose notional was unknown."""
    found = []
    for event in events:
        instrument = reference.instruments.get(event.symbol)
        if instrument is not None and (notional := venue.value(event, instrument)) is not None:
            found.append(Settled(event.trade_time, event.uid, notional, event.basis))
    return found
