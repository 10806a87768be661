"""One venue, recorded: keeps its connections alive, reads what they send, hands it to the committer.

A lane is one connection that is meant to live for ever: opened, watched, renewed before the venue cuts it (the new one
proves itself before the old one closes), opened again with back-off when it breaks. Each connection becomes a row of
the ledger with its whole life.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from rekt.config import Section
from rekt.errors import FrameError, RektError, WireError
from rekt.model import Connection as ConnectionFact
from rekt.model import Liquidation, Quarantined
from rekt.pipeline.clock import ClockWatch
from rekt.pipeline.committer import Change, Committer, Item
from rekt.pipeline.deliveries import Deliveries
from rekt.pipeline.instruments import Fetch, refresh, settle
from rekt.pipeline.link import Link
from rekt.venue import Endpoint, Notice, Reference, Tick, Venue
from rekt.wire.address import shown
from rekt.wire.backoff import Backoff
from rekt.wire.connection import Connection
from rekt.wire.frame import Frame

log = logging.getLogger("rekt.recorder")

FLUSH_S = 1.0  # ticks reach the ledger this often: what a kill -9 may cost of coverage
REFRESH_S = 3600.0  # instruments
UNKNOWN_S = 10.0  # an unknown symbol asks for the documents at most this often
APART_S = 0.5  # between the starts of two connections
REMIND_S = 300.0  # a venue that stays out of reach, or sends what does not fit, is told again so often
KINDS = 100  # of bad frames are told

Open = Callable[[Endpoint], Awaitable[Connection]]


class Tape(Protocol):
    """Takes every frame as it came."""

    def write(self, venue: str, connection: str, frames: Sequence[Frame]) -> None:
        """Never blocks and never raises."""
        ...


async def _cancelled(tasks: Iterable[asyncio.Task[None] | asyncio.Task[bool]]) -> None:
    """Cancel tasks until they have ended: `wait_for` swallows a cancellation that comes as its wait ends (3.11)."""
    pending: set[asyncio.Task[None] | asyncio.Task[bool]] = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.2)


class Recorder:
    """Records one venue until told to stop. Everything it needs from outside is an argument."""

    def __init__(
        self,
        venue: Venue,
        settings: Section,
        committer: Committer,
        reference: Reference,
        run: str,
        *,
        open_connection: Open,
        fetch: Fetch,
        unsettled: Callable[[], Iterable[Liquidation]],
        tape: Tape | None = None,
    ) -> None:
        self.venue = venue
        self.links: list[Link] = []  # open ones, oldest first
        self.reach_trouble: str | None = None  # why the venue can't be reached right now
        self.last_event_us = 0
        self._settings = settings
        self._committer = committer
        self._reference = reference
        self._run = run
        self._open = open_connection
        self._fetch = fetch
        self._unsettled = unsettled
        self._tape = tape
        self._timeout_s = settings.number("canary_timeout")
        self._renew_s = min(settings.number("renew_after"), venue.life_s * 0.98)
        self._stopping = asyncio.Event()
        self._unknown = asyncio.Event()  # a symbol came that no document has told of
        self._has_unsettled = True
        self._asked: set[str] = set()
        self._control = 0
        self._paused = False
        self._told_trouble = 0.0
        self._doubts: dict[str, float] = {}  # kinds of bad frames and when they were told, monotonic seconds
        self._deliveries = Deliveries()
        self._clocks = ClockWatch()

    async def run(self) -> None:
        """Record until `stop`; on return every connection is closed and its end is with the committer."""
        endpoints = self._endpoints()
        lanes = [
            asyncio.create_task(self._lane(endpoint, number, len(endpoints)))
            for number, endpoint in enumerate(endpoints)
        ]
        others = [asyncio.create_task(self._flush()), asyncio.create_task(self._instruments())]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            # Bookkeeping ends only by a fault of ours: then recording must not go on half blind.
            await asyncio.wait([stopping, *lanes, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled([*lanes, *others, stopping])
            await asyncio.gather(
                *(link.close("stopped") for link in list(self.links)), return_exceptions=True
            )
            self._put_changes()
        ended = await asyncio.gather(*lanes, *others, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):  # only bookkeeping can fail: lanes mend themselves
                raise result

    def stop(self) -> None:
        """End `run` in order."""
        self._stopping.set()

    def resume(self) -> None:
        """There is room again: read on."""
        if self._paused:
            self._paused = False
            log.warning("%s: reading on", self.venue.name)
            for link in self.links:
                link.resume()

    def _endpoints(self) -> list[Endpoint]:
        count = max(1, self._settings.whole("connections"))
        return [endpoint for endpoint in self.venue.endpoints(self._settings) for _ in range(count)]

    # -- frames: the hot path --------------------------------------------------------------------------------------

    def _read(self, link: Link, frames: list[Frame]) -> None:
        decode, reference = self.venue.decode, self._reference
        instruments = reference.instruments
        found: list[Item] = []
        several = self._alive_links() if len(self.links) > 1 else []
        for frame in frames:
            received_us, data = frame
            try:
                decoded = decode(data, received_us, reference)
            except FrameError as error:
                found.append(self._quarantined(link, frame, error.message))
            except Exception as error:  # noqa: BLE001 - a fault of the decoder: the frame is kept, the stream goes on
                failed = f"decoder failed: {type(error).__name__}: {error}"
                found.append(self._quarantined(link, frame, failed))
            else:
                if isinstance(decoded, tuple) and decoded:
                    found.append(decoded)
                    for event in decoded:
                        if several:
                            self._deliveries.note(link.name, event.uid, event.trade_time, several, link.seen)
                        if event.notional is None:
                            self._has_unsettled = True
                        if event.symbol not in instruments:
                            self._unheard(event.symbol)
                else:
                    self._control += 1
                    if isinstance(decoded, Tick):
                        reference.tick(decoded)
                        if not link.proved.is_set():
                            self._alive(link)
                        link.tick(received_us, decoded.venue_ms)
                    elif isinstance(decoded, Notice):
                        self._notice(link, decoded)
        if self._tape is not None:
            self._tape.write(self.venue.name, link.life.connection.id, frames)
        if not found:
            return
        if any(type(item) is tuple for item in found):
            self.last_event_us = frames[-1].received_us
        if self._committer.put_all(found) and not self._paused:
            self._paused = True
            log.warning("%s: the ledger can't keep up; reading pauses, nothing is dropped", self.venue.name)
            for other in self.links:
                other.pause()

    def delivers(self, seconds: float) -> bool:
        """Whether a connection has been proved alive for so long."""
        now = asyncio.get_running_loop().time()
        return any(
            link.proved.is_set() and not link.ended.is_set() and now - link.first_canary >= seconds
            for link in self.links
        )

    def _alive_links(self) -> list[str]:
        return [link.name for link in self.links if link.proved.is_set() and not link.ended.is_set()]

    def _quarantined(self, link: Link, frame: Frame, reason: str) -> Quarantined:
        if self._worth_telling(reason.partition(":")[0]):
            log.warning("%s: a frame does not fit and goes to quarantine: %s", self.venue.name, reason)
        return Quarantined(self.venue.name, link.life.connection.id, frame.received_us, reason, frame.data)

    def _worth_telling(self, kind: str) -> bool:
        """Each kind now and then, and not too many kinds: a flood must not fill the log."""
        now, told = time.monotonic(), self._doubts.get(kind)
        if (len(self._doubts) >= KINDS) if told is None else (now - told < REMIND_S):
            return False
        self._doubts[kind] = now
        return True

    def _unheard(self, symbol: str) -> None:
        if symbol not in self._asked and len(self._asked) < 100_000:
            self._asked.add(symbol)
            self._unknown.set()

    def _alive(self, link: Link) -> None:
        since = asyncio.get_running_loop().time() - link.opened
        log.info("%s: the feed is alive (first canary %.1f s after connecting)", self.venue.name, since)

    def _notice(self, link: Link, notice: Notice) -> None:
        if notice.kind == "error":
            if self._worth_telling(f"error {notice.text[:40]}"):
                log.error("%s: the venue answers with an error: %s", self.venue.name, notice.text)
        elif notice.kind == "reconnect":
            log.info("%s: %s; connecting anew", self.venue.name, notice.text)
            link.leave("cut")

    # -- connections -----------------------------------------------------------------------------------------------

    async def _lane(self, endpoint: Endpoint, number: int, lanes: int) -> None:
        """Never ends: a fault of ours costs this lane seconds, and the others nothing."""
        backoff = Backoff()
        await asyncio.sleep(number * APART_S)
        while True:
            try:
                await self._keep(endpoint, number, lanes, backoff)
            except Exception:
                log.exception("%s: a fault in keeping a connection; starting it again", self.venue.name)
                await asyncio.sleep(backoff.delay_s())

    async def _keep(self, endpoint: Endpoint, number: int, lanes: int, backoff: Backoff) -> None:
        loop = asyncio.get_running_loop()
        # Renewals of several lanes are spread over a life, so that they never fall together.
        renew_s = self._renew_s * (1 - number / (2 * lanes))
        while True:
            link = await self._connect(endpoint, backoff)
            renew_at = loop.time() + renew_s
            while not link.ended.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(link.ended.wait(), max(renew_at - loop.time(), 0.0))
                    break
                successor = await self._renewal(endpoint)
                if successor is None:
                    renew_at = loop.time() + min(60.0, self._renew_s / 10)
                    continue
                await link.close("renewed")
                log.info("%s: renewed a connection before the venue cuts it", self.venue.name)
                link, renew_at = successor, loop.time() + self._renew_s
            self._tell_end(link)
            if link.proved.is_set():
                backoff.reset()
            await asyncio.sleep(backoff.delay_s())

    async def _connect(self, endpoint: Endpoint, backoff: Backoff) -> Link:
        while True:
            try:
                link = await self._link(endpoint)
            except WireError as error:
                self._out_of_reach(error)
                await asyncio.sleep(backoff.delay_s())
            else:
                self.reach_trouble = None
                host = urlsplit(endpoint.url).hostname
                log.info("%s: connected to %s; waiting for the first canary", self.venue.name, host)
                return link

    async def _renewal(self, endpoint: Endpoint) -> Link | None:
        """A successor that has proved itself, or None."""
        try:
            successor = await self._link(endpoint)
        except WireError as error:
            log.warning("%s: could not renew the connection yet: %s", self.venue.name, error)
            return None
        waits = [asyncio.create_task(successor.proved.wait()), asyncio.create_task(successor.ended.wait())]
        try:  # the successor's own watch ends it when no canary comes
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return None if successor.ended.is_set() else successor

    async def _link(self, endpoint: Endpoint) -> Link:
        connection = await self._open(endpoint)
        log.debug("%s: handshake done with %s", self.venue.name, shown(endpoint.url))
        fact = ConnectionFact(
            id=secrets.token_hex(8),
            run=self._run,
            venue=self.venue.name,
            url=shown(endpoint.url),
            opened_us=connection.opened_us,
        )
        link = Link(connection, fact, self._timeout_s, self._read)
        self.links.append(link)
        if self._paused:
            link.pause()
        return link

    def _out_of_reach(self, error: RektError) -> None:
        if self._alive_links():
            log.warning("%s: a further connection could not be opened: %s", self.venue.name, error.message)
            return
        now = time.monotonic()
        if self.reach_trouble != error.message or now - self._told_trouble > REMIND_S:
            self._told_trouble = now
            log.error(
                "%s can't be reached: %s; it is tried again for as long as it takes (meanwhile `./rekt demo` shows "
                "everything on a simulated market)",
                self.venue.name,
                error.message,
            )
        self.reach_trouble = error.message

    def _tell_end(self, link: Link) -> None:
        cause = link.life.connection.cause
        name, seconds = self.venue.name, self._timeout_s
        if cause == "mis-routed":
            log.error(
                "%s: connected, but no canary came in %g s: the feed is dead or mis-routed (a wrong or retired address "
                "accepts everything and sends nothing); connecting anew",
                name,
                seconds,
            )
        elif cause == "stall":
            log.error("%s: no canary for %g s: the feed is dead, not quiet; connecting anew", name, seconds)
        elif cause == "queue full":
            log.error("%s: the venue cut the connection while reading was paused; connecting anew", name)
        elif cause not in ("stopped", "renewed"):
            log.warning("%s: the connection ended (%s); connecting anew", name, link.detail or cause)

    # -- bookkeeping -----------------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._put_changes()

    def _put_changes(self) -> None:
        connections, spans = [], []
        for link in self.links:
            if (changed := link.life.changes()) is not None:
                connections.append(changed[0])
                spans.extend(changed[1])
        deliveries = self._deliveries.settle(self._alive_links(), asyncio.get_running_loop().time())
        self.links = [link for link in self.links if not link.ended.is_set()]
        clock = self._clocks.changes()
        for change in clock:
            what = "the machine slept for" if change.kind == "asleep" else "the clock was set by"
            log.warning("%s %.1f s; coverage rests on the venue's own time", what, change.seconds)
        if connections or self._control or deliveries or clock:
            facts = Change(
                control=self._control,
                connections=tuple(connections),
                spans=tuple(spans),
                deliveries=tuple(deliveries),
                clock=tuple(clock),
            )
            self._committer.put(facts)
            self._control = 0

    async def _instruments(self) -> None:
        """Hourly, and when an unknown symbol shows up; settles what waited for a size."""
        trouble: str | None = None
        backoff = Backoff(first_s=2.0, cap_s=60.0)
        while True:
            self._unknown.clear()
            try:
                await refresh(self.venue, self._settings, self._reference, self._committer, self._fetch)
            except RektError as error:
                if trouble != error.message and self.links:  # out of reach altogether is told elsewhere
                    trouble = error.message
                    log.warning(
                        "%s: the list of contracts can't be had (%s); sizes that are unknown stay so until it can",
                        self.venue.name,
                        error.message,
                    )
                await asyncio.sleep(backoff.delay_s())
                continue
            trouble = None
            backoff.reset()
            await asyncio.sleep(FLUSH_S)  # events that came before the documents are durable by then
            try:
                await self._settle()
            except RektError as error:  # a ledger in trouble: values wait, recording does not
                log.warning("%s: values could not be settled yet: %s", self.venue.name, error.message)
                self._has_unsettled = True
            await asyncio.sleep(UNKNOWN_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._unknown.wait(), REFRESH_S)

    async def _settle(self) -> None:
        if not self._has_unsettled:
            return
        self._has_unsettled = False
        events = await asyncio.to_thread(lambda: list(self._unsettled()))
        settled = settle(self.venue, self._reference, events)
        if settled:
            log.info("%s: the value of %d events is known now", self.venue.name, len(settled))
            self._committer.put(Change(settled=tuple(settled)))
        self._has_unsettled = len(settled) < len(events)
