"""The connections of one venue, kept open for as long as it is recorded.

A lane is one connection that is meant to live for ever: opened, watched, renewed before the venue cuts it (the new one
proves itself before the old one closes), opened again with back-off when it breaks. Each connection becomes a row of
the ledger with its whole life. Where it takes several to hear a venue whole (a market each, a share of the symbols
each), these are its parts: each has lanes of its own, and what is proved is what all have proved (see joint.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import chain
from typing import NamedTuple
from urllib.parse import urlsplit

from rekt.config import Section
from rekt.errors import RektError, WireError
from rekt.model import Connection as ConnectionFact
from rekt.model import Instrument, Span
from rekt.pipeline.committer import Change, Intake
from rekt.pipeline.joint import TOGETHER, Joint
from rekt.pipeline.link import Link, Reader
from rekt.pipeline.openings import Openings
from rekt.pipeline.topics import Shares
from rekt.venue import Endpoint, Venue
from rekt.wire.address import shown
from rekt.wire.backoff import Backoff
from rekt.wire.connection import Connection

log = logging.getLogger("rekt.recorder")

MOST_ENDED = 1000  # connections of parts whose ends are remembered, to tell why the whole broke off
DUE_S = 1.0  # events that were held back are asked for so often
LEAVING_S = 5.0  # a connection whose end was announced gets its successor; tried again so soon
UNREACHABLE = "unreachable"
REMIND_S = 300.0  # a venue that stays out of reach, or sends what does not fit, is told again so often

Open = Callable[[Endpoint], Awaitable[Connection]]


class Part(NamedTuple):
    """What some lanes bring of a venue: an endpoint, or a share of its topics."""

    endpoint: int  # its number
    share: int


class Lanes:
    """Keeps a venue's connections open until `close`; what they read goes to `read`."""

    def __init__(
        self, venue: Venue, settings: Section, committer: Intake, run: str, *, connect: Open, read: Reader
    ) -> None:
        self.links: list[Link] = []  # open ones, oldest first
        self.paused = False
        self.reach_trouble: str | None = None  # why the venue can't be reached right now
        self._venue = venue
        self._committer = committer
        self._run = run
        self._open = connect
        self._read = read
        self._endpoints = venue.endpoints(settings)
        self._shares = [Shares(one.topics.per_connection) if one.topics else None for one in self._endpoints]
        self._lanes: dict[Part, list[asyncio.Task[None]]] = {}
        self._count = max(1, settings.whole("connections"))  # lanes of a part
        self._openings = Openings(venue)
        divided = len(self._endpoints) > 1 or any(one.topics for one in self._endpoints)
        self._joint = Joint(lambda start_ms: self._fact(TOGETHER, start_ms * 1000)) if divided else None
        self._proved: dict[
            tuple[str, int], tuple[object, Span, int]
        ] = {}  # not told whole: part, span, when (µs)
        self._ended: dict[str, str | None] = {}  # causes of the connections of parts that ended
        self._timeout_s = settings.number("canary_timeout")
        self._renew_s = min(settings.number("renew_after"), venue.life_s * 0.98)
        self._told_trouble = 0.0

    def start(self, known: Iterable[Instrument]) -> None:
        """Open what is needed for the contracts that are known, until `subscribe` tells what is listed now."""
        for number, endpoint in enumerate(self._endpoints):
            if endpoint.topics is None:
                self._start(Part(number, 0))
            elif self._joint is not None:
                self._joint.need(Part(number, 0))
        self.subscribe(known)

    def subscribe(self, listed: Iterable[Instrument]) -> None:
        """Have every contract heard that is listed now, where the venue wants them one by one."""
        known = list(listed)
        for number, shares in enumerate(self._shares):
            topics = self._endpoints[number].topics
            if shares is None or topics is None:
                continue
            first = not len(shares)
            shares.want(topics.wanted(known))
            for share in range(len(shares)):
                part = Part(number, share)
                if part not in self._lanes:
                    if first and self._joint is not None:
                        self._joint.need(part)
                    self._start(part)
        for link in self.links:
            link.dialogue.look()

    async def close(self) -> None:
        """Open nothing any more, and close what is open."""
        await cancelled(chain.from_iterable(self._lanes.values()))
        await asyncio.gather(*(link.close("stopped") for link in list(self.links)), return_exceptions=True)

    def pause(self) -> None:
        """Stop reading, also from connections that are opened from now on."""
        self.paused = True
        for link in self.links:
            link.pause()

    def resume(self) -> None:
        """Read on."""
        self.paused = False
        for link in self.links:
            link.resume()

    @property
    def parts(self) -> Collection[Part]:
        """What lanes have been started for."""
        return self._lanes.keys()

    @property
    def needed(self) -> int:
        """How many parts it takes; one at least of an endpoint whose topics are not known yet."""
        return len(self._lanes) + sum(Part(n, 0) not in self._lanes for n in range(len(self._endpoints)))

    def alive(self, part: object = None) -> list[str]:
        """The connections that are proved alive: of one part, or (None) of all."""
        return [
            link.name
            for link in self.links
            if link.proved.is_set() and not link.ended.is_set() and part in (None, link.part)
        ]

    def changes(self, *, held: bool, ending: bool = False) -> tuple[list[ConnectionFact], list[Span]]:
        """What the connections have lived through since the last call; those that have ended are left out then.

        `held`: the decoder holds events back, which would be lost with this process; what is proved of their time is
        told once they are.
        """
        connections, spans = [], []
        now_us = time.time_ns() // 1000
        for link in self.links:
            if (changed := link.life.changes()) is not None:
                connections.append(changed[0])
                self._ended[link.name] = changed[0].cause
                for span in changed[1]:
                    self._proved[span.connection, span.start_ms] = link.part, span, now_us
        for part, span in self._claimed(now_us, held=held):
            if self._joint is not None:
                self._joint.put(part, [span])
            else:
                spans.append(span)
        for name in list(self._ended)[:-MOST_ENDED]:
            del self._ended[name]
        if self._joint is not None:
            rows, joined = self._joint.changes(self._ended, now_us)
            connections += rows + (self._joint.close(now_us, "stopped") if ending else [])
            spans += joined
        self.links = [link for link in self.links if not link.ended.is_set()]
        return connections, spans

    def _claimed(self, now_us: int, *, held: bool) -> list[tuple[object, Span]]:
        """What was proved, as far as it may be told now; the rest is kept for later."""
        claimed = []
        for key, (part, span, at_us) in list(self._proved.items()):
            hold_ms = round((self._venue.hold_s + DUE_S) * 1000) - (now_us - at_us) // 1000 if held else 0
            if hold_ms <= 0:
                del self._proved[key]
                claimed.append((part, span))
            elif span.end_ms - hold_ms >= span.start_ms:
                claimed.append((part, span._replace(end_ms=span.end_ms - hold_ms)))
        return claimed

    def _start(self, part: Part) -> None:
        """Open the connections of a part, each a lane."""
        self._lanes[part] = [asyncio.create_task(self._lane(part, number)) for number in range(self._count)]
        if self._joint is not None and part.share == 0:
            self._joint.need(part)

    async def _lane(self, part: Part, number: int) -> None:
        """Never ends: a fault of ours costs this lane seconds, and the others nothing."""
        backoff = Backoff()
        while True:
            try:
                await self._keep(part, number, backoff)
            except Exception:
                log.exception("%s: a fault in keeping a connection; starting it again", self._venue.name)
                await asyncio.sleep(backoff.delay_s())

    async def _keep(self, part: Part, number: int, backoff: Backoff) -> None:
        loop = asyncio.get_running_loop()
        # Renewals of several lanes are spread over a life, so that they never fall together.
        renew_s = self._renew_s * (1 - number / (2 * self._count))
        while True:
            link = await self._connect(part, backoff)
            renew_at = loop.time() + renew_s
            while not link.ended.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(link.turned.wait(), max(renew_at - loop.time(), 0.0))
                    if link.ended.is_set():
                        break
                    link.turned.clear()
                successor = await self._renewal(part)
                if successor is None:
                    renew_at = loop.time() + min(LEAVING_S if link.leaving else 60.0, self._renew_s / 10)
                    continue
                await link.close("renewed")
                log.info("%s: renewed a connection before the venue cuts it", self._venue.name)
                link, renew_at = successor, loop.time() + self._renew_s
            self._tell_end(link)
            if link.proved.is_set():
                backoff.reset()
            await asyncio.sleep(backoff.delay_s())

    async def _connect(self, part: Part, backoff: Backoff) -> Link:
        while True:
            try:
                link = await self._link(part)
            except WireError as error:
                self._out_of_reach(self._endpoints[part.endpoint], error)
                await asyncio.sleep(backoff.delay_s())
            else:
                self.reach_trouble = None
                host = urlsplit(link.endpoint.url).hostname
                log.info("%s: connected to %s; waiting for the first canary", self._venue.name, host)
                return link

    async def _renewal(self, part: Part) -> Link | None:
        """A successor that has proved itself, or None."""
        try:
            successor = await self._link(part)
        except WireError as error:
            log.warning("%s: could not renew the connection yet: %s", self._venue.name, error)
            return None
        waits = [asyncio.create_task(successor.proved.wait()), asyncio.create_task(successor.ended.wait())]
        try:  # the successor's own watch ends it when no canary comes
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return None if successor.ended.is_set() else successor

    async def _link(self, part: Part) -> Link:
        endpoint, shares = self._endpoints[part.endpoint], self._shares[part.endpoint]
        async with self._openings.turn():
            connection = await self._open(endpoint)
        log.debug("%s: handshake done with %s", self._venue.name, shown(endpoint.url))
        link = Link(
            connection,
            self._fact(shown(endpoint.url), connection.opened_us),
            self._timeout_s,
            self._read,
            endpoint=endpoint,
            part=part,
            topics=(lambda: shares[part.share]) if shares is not None else tuple,
        )
        self.links.append(link)
        if self.paused:
            link.pause()
        return link

    def _fact(self, url: str, opened_us: int) -> ConnectionFact:
        """A new connection's row."""
        return ConnectionFact(secrets.token_hex(8), self._run, self._venue.name, url, opened_us)

    def _out_of_reach(self, endpoint: Endpoint, error: RektError) -> None:
        if self.alive():
            log.warning("%s: a further connection could not be opened: %s", self._venue.name, error.message)
            return
        now = time.monotonic()
        if self.reach_trouble != error.message or now - self._told_trouble > REMIND_S:
            self._told_trouble = now
            # A row all the same, so that the ledger knows that the venue was to be recorded.
            now_us = time.time_ns() // 1000
            fact = self._fact(shown(endpoint.url), now_us)._replace(closed_us=now_us, cause=UNREACHABLE)
            self._committer.put(Change(connections=(fact,)))
            log.error(
                "%s can't be reached: %s; it is tried again for as long as it takes (meanwhile `./rekt demo` shows "
                "everything on a simulated market)",
                self._venue.name,
                error.message,
            )
        self.reach_trouble = error.message

    def _tell_end(self, link: Link) -> None:
        name, cause, seconds = self._venue.name, link.life.connection.cause, self._timeout_s
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


async def cancelled(tasks: Iterable[asyncio.Task[None] | asyncio.Task[bool]]) -> None:
    """Cancel tasks until they have ended: `wait_for` swallows a cancellation that comes as its wait ends (3.11)."""
    pending: set[asyncio.Task[None] | asyncio.Task[bool]] = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.2)
