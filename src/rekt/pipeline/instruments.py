"""The contracts of a venue: read from its documents, kept in the ledger, used to value what waited for them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable

from rekt.config import Section
from rekt.errors import RektError, RestError
from rekt.model import Instrument, Liquidation
from rekt.pipeline.committer import Change, Intake
from rekt.store import Settled
from rekt.venue import Document, Reference, Venue
from rekt.worth import BITCOIN, value

Fetch = Callable[[str], Awaitable[bytes]]


SAME_MOMENT_MS = 60_000  # bitcoin's price is no older when it values an event of some time ago
MOST_PAGES = 50  # of one document: the longest known list has two


async def refresh(
    venue: Venue,
    settings: Section,
    reference: Reference,
    committer: Intake,
    fetch: Fetch,
    listed: dict[str, list[Instrument]] | None = None,
) -> None:
    """Read the venue's documents. Raises RektError when one can't be had; what the others say is kept all the same.

    `listed` takes what each document lists now, by its address; what one that can't be had listed before stays. One
    that lists nothing we can read counts as such: that no contract trades any more is the unlikelier reason.
    """
    failed: RektError | None = None
    for document in venue.documents(settings):
        try:
            found = await _read(document, fetch)
            if not found:
                raise RestError(f"the list at {document.url} has no contract that can be read")
        except RektError as error:
            failed = error
            continue
        if listed is not None:
            listed[document.url] = found
        reference.instruments.update((instrument.symbol, instrument) for instrument in found)
        committer.put(Change(instruments=tuple(found)))
    if failed is not None:
        raise failed


async def _read(document: Document, fetch: Fetch) -> list[Instrument]:
    """All pages of a document."""
    found: list[Instrument] = []
    url: str | None = document.url
    for _ in range(MOST_PAGES):
        if url is None:
            return found
        body = await fetch(url)
        found += document.parse(body, time.time_ns() // 1000)
        url = document.following(body)
    raise RestError(f"the list at {document.url} does not end after {MOST_PAGES} pages")


def settle(venue: Venue, reference: Reference, events: Iterable[Liquidation]) -> list[Settled]:
    """What is known by now of events whose notional was unknown."""
    found = []
    for event in events:
        instrument = reference.instruments.get(event.symbol)
        if instrument is None:
            continue
        notional, basis = venue.value(event, instrument), event.basis
        if notional is None and instrument.quote in BITCOIN:
            bitcoin = reference.price_at(event.trade_time, SAME_MOMENT_MS)
            notional, basis = value(event, instrument, bitcoin), f"BTC {bitcoin}"
        if notional is not None:
            found.append(Settled(event.trade_time, event.uid, notional, basis))
    return found
