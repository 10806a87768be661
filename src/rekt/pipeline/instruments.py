"""The contracts of a venue: read from its documents, kept in the ledger, used to value what waited for them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING

from rekt.config import Section
from rekt.errors import RektError, RestError
from rekt.model import Instrument, Liquidation
from rekt.pipeline.committer import Change, Intake
from rekt.store import Settled
from rekt.venue import Document, Reference, Venue
from rekt.wire.backoff import Backoff
from rekt.worth import BITCOIN, value

if TYPE_CHECKING:
    from rekt.pipeline.lanes import Lanes

log = logging.getLogger("rekt.recorder")

REFRESH_S = 3600.0
UNKNOWN_S = 10.0  # an unknown symbol asks for the documents at most this often
DURABLE_S = 10.0  # so long it waits for the ledger to have the events that came before the documents
MOST_SYMBOLS = 100_000  # that no document tells of
MOST_PAGES = 50  # of one document: the longest known list has two
SAME_MOMENT_MS = 60_000  # bitcoin's price is no older when it values an event of some time ago

Fetch = Callable[[str], Awaitable[bytes]]


class Contracts:
    """Keeps a venue's contracts known while it is recorded: what they are worth, and which are to be heard."""

    def __init__(
        self,
        venue: Venue,
        settings: Section,
        committer: Intake,
        reference: Reference,
        lanes: Lanes,
        *,
        fetch: Fetch,
        unsettled: Callable[[], Iterable[Liquidation]],
    ) -> None:
        self._venue = venue
        self._settings = settings
        self._committer = committer
        self._reference = reference
        self._lanes = lanes
        self._fetch = fetch
        self._events = unsettled
        self._listed: dict[str, list[Instrument]] = {}
        self._asked: set[str] = set()
        self._ask = asyncio.Event()  # a symbol came that no document has told of

    @property
    def count(self) -> int:
        """How many contracts the venue's documents list now."""
        return sum(len(found) for found in self._listed.values())

    def unknown(self, symbol: str) -> None:
        """A symbol came that no document has told of: read them again, once for it."""
        if symbol not in self._asked and len(self._asked) < MOST_SYMBOLS:
            self._asked.add(symbol)
            self._ask.set()

    async def run(self) -> None:
        """Hourly, and when an unknown symbol shows up, read the documents; settle what waited for a size."""
        trouble: str | None = None
        backoff = Backoff(first_s=2.0, cap_s=60.0)
        while True:
            self._ask.clear()
            again_s: float | None = None
            try:
                await refresh(
                    self._venue, self._settings, self._reference, self._committer, self._fetch, self._listed
                )
            except RektError as error:
                if (
                    trouble != error.message and self._lanes.links
                ):  # out of reach altogether is told elsewhere
                    trouble = error.message
                    log.warning(
                        "%s: the list of contracts can't be had (%s); sizes that are unknown stay so until it can",
                        self._venue.name,
                        error.message,
                    )
                again_s = backoff.delay_s()
            else:
                trouble = None
                backoff.reset()
            # One document that can't be had holds up nothing that the others tell.
            whole = len(self._listed) == len(self._venue.documents(self._settings))
            self._lanes.subscribe(
                chain.from_iterable(self._listed.values()) if whole else self._reference.instruments.values()
            )
            if not await self._settle() and again_s is None:
                again_s = UNKNOWN_S
            if again_s is not None:
                await asyncio.sleep(again_s)
                continue
            await asyncio.sleep(UNKNOWN_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ask.wait(), REFRESH_S)

    async def _settle(self) -> bool:
        """Value what came before the documents; False where the ledger is in trouble: values wait, recording does not."""
        durable = self._committer.mark()
        end = asyncio.get_running_loop().time() + DURABLE_S
        while not (there := durable()) and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 (a thread does it)
            await asyncio.sleep(0.1)
        try:
            events = await asyncio.to_thread(lambda: list(self._events()))
        except RektError as error:
            log.warning("%s: values could not be settled yet: %s", self._venue.name, error.message)
            return False
        settled = settle(self._venue, self._reference, events)
        if settled:
            log.info("%s: the value of %d events is known now", self._venue.name, len(settled))
            self._committer.put(Change(settled=tuple(settled)))
        return there


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
