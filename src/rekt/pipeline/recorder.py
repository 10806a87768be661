"""One venue, recorded: keeps its connections alive, reads what they send, hands it to the committer.

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
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from rekt.config import Section
from rekt.errors import FrameError, RektError, WireError
from rekt.model import Connection as ConnectionFact
from rekt.model import Instrument, Liquidation, Quarantined
from rekt.pipeline.clock import ClockWatch
from rekt.pipeline.committer import Change, Intake, Item
from rekt.pipeline.deliveries import Deliveries
from rekt.pipeline.instruments import Fetch, refresh, settle
from rekt.pipeline.joint import TOGETHER, Joint
from rekt.pipeline.link import NEVER, Link
from rekt.pipeline.suspicion import LOOK_S, Watch
from rekt.pipeline.topics import Shares
from rekt.venue import Endpoint, Notice, Reference, Tick, Venue
from rekt.wire.address import shown
from rekt.wire.backoff import Backoff
from rekt.wire.connection import Connection
from rekt.wire.frame import Frame

log = logging.getLogger("rekt.recorder")

FLUSH_S = 1.0  # ticks reach the ledger this often: what a kill -9 may cost of coverage
REFRESH_S = 3600.0  # instruments
UNKNOWN_S = 10.0  # an unknown symbol asks for the documents at most this often
MOST_ENDED = 1000  # connections of parts whose ends are remembered, to tell why the whole broke off
LONG_S = 10.0  # a wait for the venue's limit of connections that is worth telling
UNREACHABLE = "unreachable"
REFUSED = "refused"  # a subscription was
REMIND_S = 300.0  # a venue that stays out of reach, or sends what does not fit, is told again so often
LEAVING_S = 5.0  # a connection whose end was announced gets its successor; tried again so soon
KEPT_REFUSALS = 20
KINDS = 100  # of bad frames are told

Open = Callable[[Endpoint], Awaitable[Connection]]


class Tape(Protocol):
    """Takes every frame as it came."""

    def write(self, venue: str, connection: str, frames: Sequence[Frame], market: str | None = None) -> None:
        """Never blocks and never raises. `market`: the connection's, where its frames don't tell."""
        ...


async def _cancelled(tasks: Iterable[asyncio.Task[None] | asyncio.Task[bool]]) -> None:
    """Cancel tasks until they have ended: `wait_for` swallows a cancellation that comes as its wait ends (3.11)."""
    pending: set[asyncio.Task[None] | asyncio.Task[bool]] = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.2)


class Part(NamedTuple):
    """What some lanes bring of a venue: an endpoint, or a share of its topics."""

    endpoint: int  # its number
    share: int


class Recorder:
    """Records one venue until told to stop. Everything it needs from outside is an argument."""

    def __init__(
        self,
        venue: Venue,
        settings: Section,
        committer: Intake,
        reference: Reference,
        run: str,
        *,
        open_connection: Open,
        fetch: Fetch,
        unsettled: Callable[[], Iterable[Liquidation]],
        tape: Tape | None = None,
        watch: Watch | None = None,
    ) -> None:
        """`watch`: looks whether the events are what the venue promises; by default one that knows no other venue."""
        self.venue = venue
        self.links: list[Link] = []  # open ones, oldest first
        self.reach_trouble: str | None = None  # why the venue can't be reached right now
        self.last_event_us = 0
        self.watch = watch if watch is not None else Watch(venue, ())
        self.acknowledged = 0  # requests, subscriptions by topic not among them
        self.refusals: list[str] = []  # the first few errors that the venue answered
        self._settings = settings
        self._committer = committer
        self._reference = reference
        self._run = run
        self._open = open_connection
        self._fetch = fetch
        self._unsettled = unsettled
        self._tape = tape
        self._endpoints = venue.endpoints(settings)
        self._shares = [Shares(one.topics.per_connection) if one.topics else None for one in self._endpoints]
        self._listed: dict[str, list[Instrument]] = {}
        self._lanes: dict[Part, list[asyncio.Task[None]]] = {}
        self._opening = asyncio.Lock()
        self._open_at = 0.0  # loop time from which the venue's limits let us connect again
        self._opened: deque[float] = deque(maxlen=venue.openings[0] if venue.openings is not None else 0)
        divided = len(self._endpoints) > 1 or any(one.topics for one in self._endpoints)
        self._joint = Joint(self._together) if divided else None
        self._ended: dict[str, str | None] = {}  # causes of the connections of parts that ended
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
        for number, endpoint in enumerate(self._endpoints):
            if endpoint.topics is None:
                self._start(Part(number, 0))
            elif self._joint is not None:
                self._joint.need(Part(number, 0))
        self._subscribe(self._reference.instruments.values())  # until the documents tell what is listed now
        others = [asyncio.create_task(self._flush()), asyncio.create_task(self._instruments())]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            # Bookkeeping ends only by a fault of ours: then recording must not go on half blind.
            await asyncio.wait([stopping, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled([*others, stopping])  # nothing opens a lane any more
            lanes = list(chain.from_iterable(self._lanes.values()))
            await _cancelled(lanes)
            await asyncio.gather(
                *(link.close("stopped") for link in list(self.links)), return_exceptions=True
            )
            self._put_due(1 << 62)
            self._put_changes(ending=True)
        ended = await asyncio.gather(*lanes, *others, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):  # only bookkeeping can fail: lanes mend themselves
                raise result

    def stop(self) -> None:
        """End `run` in order."""
        self._stopping.set()

    @property
    def parts(self) -> Collection[Part]:
        """What lanes have been started for."""
        return self._lanes.keys()

    @property
    def needed(self) -> int:
        """How many parts it takes; one at least of an endpoint whose topics are not known yet."""
        return len(self._lanes) + sum(Part(n, 0) not in self._lanes for n in range(len(self._endpoints)))

    @property
    def listed(self) -> int:
        """How many contracts the venue's documents list now."""
        return sum(len(found) for found in self._listed.values())

    def resume(self) -> None:
        """There is room again: read on."""
        if self._paused:
            self._paused = False
            log.warning("%s: reading on", self.venue.name)
            for link in self.links:
                link.resume()

    def _start(self, part: Part) -> None:
        """Open the connections of a part, each a lane."""
        count = max(1, self._settings.whole("connections"))
        self._lanes[part] = [asyncio.create_task(self._lane(part, number, count)) for number in range(count)]
        if self._joint is not None and part.share == 0:
            self._joint.need(part)

    def _subscribe(self, listed: Iterable[Instrument]) -> None:
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

    # -- frames: the hot path --------------------------------------------------------------------------------------

    def _read(self, link: Link, frames: list[Frame]) -> None:
        decode, reference = self.venue.decode, self._reference.of(link.endpoint.market)
        instruments = reference.instruments
        found: list[Item] = []
        noted: list[Liquidation] = []
        several = self._alive_links(link.part) if len(self.links) > 1 else []
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
                    noted += decoded
                    link.dialogue.heard(decoded)
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
                        self.watch.tick(decoded)
                        if link.tick(received_us, decoded.venue_ms):
                            self._alive(link)
                    elif isinstance(decoded, Notice):
                        self._notice(link, decoded)
        if self._tape is not None:
            self._tape.write(self.venue.name, link.life.connection.id, frames, link.endpoint.market)
        if not found:
            return
        if noted:
            self.last_event_us = frames[-1].received_us
            self.watch.note(noted, link.proved_us, instruments)
        if self._committer.put_all(found) and not self._paused:
            self._paused = True
            log.warning("%s: the ledger can't keep up; reading pauses, nothing is dropped", self.venue.name)
            for other in self.links:
                other.pause()

    def delivers(self, seconds: float) -> bool:
        """Whether a connection of each part has been proved alive for so long."""
        now = asyncio.get_running_loop().time()
        delivering = {
            link.part
            for link in self.links
            if link.proved.is_set() and not link.ended.is_set() and now - link.first_canary >= seconds
        }
        return bool(self._lanes) and delivering.issuperset(self._lanes)

    def _alive_links(self, part: object = None) -> list[str]:
        """The connections that are proved alive: of one part, or (None) of all."""
        return [
            link.name
            for link in self.links
            if link.proved.is_set() and not link.ended.is_set() and part in (None, link.part)
        ]

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
        if notice.reply is not None:
            link.send(notice.reply)
        if link.dialogue.answer(notice):
            return
        if notice.kind == "ack":
            self.acknowledged += 1
        elif notice.kind == "error":
            if len(self.refusals) < KEPT_REFUSALS:
                self.refusals.append(notice.text)
            if self._worth_telling(f"error {notice.text[:40]}"):
                log.error("%s: the venue answers with an error: %s", self.venue.name, notice.text)
            if (
                link.endpoint.messages and link.endpoint.topics is None
            ):  # its canary would prove what is not sent
                link.leave(REFUSED)
        elif notice.kind == "reconnect":
            log.info("%s: %s; opening its successor", self.venue.name, notice.text)
            link.announce()  # left only then: the venue may tell all connections at once

    # -- connections -----------------------------------------------------------------------------------------------

    async def _lane(self, part: Part, number: int, lanes: int) -> None:
        """Never ends: a fault of ours costs this lane seconds, and the others nothing."""
        backoff = Backoff()
        while True:
            try:
                await self._keep(part, number, lanes, backoff)
            except Exception:
                log.exception("%s: a fault in keeping a connection; starting it again", self.venue.name)
                await asyncio.sleep(backoff.delay_s())

    async def _keep(self, part: Part, number: int, lanes: int, backoff: Backoff) -> None:
        loop = asyncio.get_running_loop()
        # Renewals of several lanes are spread over a life, so that they never fall together.
        renew_s = self._renew_s * (1 - number / (2 * lanes))
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
                log.info("%s: renewed a connection before the venue cuts it", self.venue.name)
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
                log.info("%s: connected to %s; waiting for the first canary", self.venue.name, host)
                return link

    async def _renewal(self, part: Part) -> Link | None:
        """A successor that has proved itself, or None."""
        try:
            successor = await self._link(part)
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

    async def _link(self, part: Part) -> Link:
        endpoint, shares = self._endpoints[part.endpoint], self._shares[part.endpoint]
        await self._turn()
        connection = await self._open(endpoint)
        self._opened.append(asyncio.get_running_loop().time())  # one that does not reach it counts nowhere
        log.debug("%s: handshake done with %s", self.venue.name, shown(endpoint.url))
        fact = ConnectionFact(
            id=secrets.token_hex(8),
            run=self._run,
            venue=self.venue.name,
            url=shown(endpoint.url),
            opened_us=connection.opened_us,
        )
        link = Link(
            connection,
            fact,
            self._timeout_s,
            self._read,
            endpoint=endpoint,
            part=part,
            topics=(lambda: shares[part.share]) if shares is not None else tuple,
        )
        self.links.append(link)
        if self._paused:
            link.pause()
        return link

    async def _turn(self) -> None:
        """Wait until another connection may be opened: so much the venue wants between two."""
        loop = asyncio.get_running_loop()
        async with self._opening:
            if self.venue.openings is not None and len(self._opened) == self._opened.maxlen:
                self._open_at = max(self._open_at, self._opened[0] + self.venue.openings[1])
            if (wait_s := self._open_at - loop.time()) > LONG_S:
                log.warning(
                    "%s: opening no connection for %.0f s: it limits how many", self.venue.name, wait_s
                )
            await asyncio.sleep(max(0.0, wait_s))
            self._open_at = loop.time() + self.venue.apart_s

    def _note_unreachable(self, url: str) -> None:
        """A row of a connection that could not be opened: so the ledger knows that the venue was to be recorded."""
        now_us = time.time_ns() // 1000
        fact = ConnectionFact(
            secrets.token_hex(8), self._run, self.venue.name, url, now_us, closed_us=now_us, cause=UNREACHABLE
        )
        self._committer.put(Change(connections=(fact,)))

    def _out_of_reach(self, endpoint: Endpoint, error: RektError) -> None:
        if self._alive_links():
            log.warning("%s: a further connection could not be opened: %s", self.venue.name, error.message)
            return
        now = time.monotonic()
        if self.reach_trouble != error.message or now - self._told_trouble > REMIND_S:
            self._told_trouble = now
            self._note_unreachable(shown(endpoint.url))
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

    def _together(self, start_ms: int) -> ConnectionFact:
        """The row of a stretch in which all parts are proved."""
        return ConnectionFact(
            secrets.token_hex(8), self._run, self.venue.name, TOGETHER, start_ms * 1000, start_ms * 1000
        )

    # -- bookkeeping -----------------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        loop, looked = asyncio.get_running_loop(), 0.0
        while True:
            await asyncio.sleep(FLUSH_S)
            self._put_due(time.time_ns() // 1000)
            self._put_changes()
            if loop.time() - looked >= LOOK_S:
                looked = loop.time()
                self._look()

    def _look(self) -> None:
        """Tell what has become suspicious about the events, and what is over."""
        changed = self.watch.look(time.time_ns() // 1000, alive=self.delivers(0.0))
        for one in changed:
            if one.text is not None:
                log.error("%s: suspicious: %s", one.venue, one.text)
            else:
                log.info("%s: what was suspicious is well again (%s)", one.venue, one.kind)
        if changed:
            self._committer.put(Change(suspicions=tuple(changed)))

    def _put_due(self, now_us: int) -> None:
        """Events that the decoder held back; their frames were counted when they came."""
        if self._reference.held and (events := self.venue.due(now_us, self._reference)):
            self._control -= 1
            self._has_unsettled = self._has_unsettled or any(event.notional is None for event in events)
            self._committer.put(events)
            since_us = max((link.proved_us for link in self.links if link.proved.is_set()), default=NEVER)
            self.watch.note(events, since_us, self._reference.instruments)

    def _put_changes(self, *, ending: bool = False) -> None:
        connections, spans = [], []
        for link in self.links:
            if (changed := link.life.changes()) is not None:
                connections.append(changed[0])
                if self._joint is not None:
                    self._joint.put(link.part, changed[1])
                    self._ended[link.name] = changed[0].cause
                else:
                    spans.extend(changed[1])
        if self._joint is not None:
            now_us = time.time_ns() // 1000
            rows, joined = self._joint.changes(self._ended, now_us)
            connections += rows + (self._joint.close(now_us, "stopped") if ending else [])
            spans += joined
            for name in list(self._ended)[:-MOST_ENDED]:
                del self._ended[name]
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
            again_s: float | None = None
            try:
                await refresh(
                    self.venue, self._settings, self._reference, self._committer, self._fetch, self._listed
                )
            except RektError as error:
                if trouble != error.message and self.links:  # out of reach altogether is told elsewhere
                    trouble = error.message
                    log.warning(
                        "%s: the list of contracts can't be had (%s); sizes that are unknown stay so until it can",
                        self.venue.name,
                        error.message,
                    )
                again_s = backoff.delay_s()
            else:
                trouble = None
                backoff.reset()
            # One document that can't be had holds up nothing that the others tell.
            whole = len(self._listed) == len(self.venue.documents(self._settings))
            self._subscribe(
                chain.from_iterable(self._listed.values()) if whole else self._reference.instruments.values()
            )
            await asyncio.sleep(FLUSH_S)  # events that came before the documents are durable by then
            try:
                await self._settle()
            except RektError as error:  # a ledger in trouble: values wait, recording does not
                log.warning("%s: values could not be settled yet: %s", self.venue.name, error.message)
                self._has_unsettled = True
            if again_s is not None:
                await asyncio.sleep(again_s)
                continue
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
