"""One venue, recorded: reads what its connections send and hands it to the committer, and what they lived through too.

What keeps the connections open is in lanes.py, what keeps its contracts known in instruments.py.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from rekt.config import Section
from rekt.errors import FrameError
from rekt.model import Instrument, Liquidation, Quarantined
from rekt.pipeline.clock import ClockWatch
from rekt.pipeline.committer import Change, Intake, Item
from rekt.pipeline.deliveries import Deliveries, Names
from rekt.pipeline.instruments import Contracts, Fetch
from rekt.pipeline.lanes import REMIND_S, Lanes, Open, Part, cancelled
from rekt.pipeline.link import NEVER, Link
from rekt.pipeline.suspicion import LOOK_S, Watch
from rekt.venue import Notice, Reference, Tick, Venue
from rekt.wire.frame import Frame

log = logging.getLogger("rekt.recorder")

FLUSH_S = 1.0  # ticks reach the ledger this often: what a kill -9 may cost of coverage
REFUSED = "refused"  # a subscription was
KEPT_REFUSALS = 20
KINDS = 100  # of bad frames are told


class Tape(Protocol):
    """Takes every frame as it came."""

    def write(self, venue: str, connection: str, frames: Sequence[Frame], market: str | None = None) -> None:
        """Never blocks and never raises. `market`: the connection's, where its frames don't tell."""
        ...


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
        self.last_event_us = 0
        self.watch = watch if watch is not None else Watch(venue, ())
        self.acknowledged = 0  # requests, subscriptions by topic not among them
        self.refusals: list[str] = []  # the first few errors that the venue answered
        self._committer = committer
        self._reference = reference
        self._tape = tape
        self._lanes = Lanes(venue, settings, committer, run, connect=open_connection, read=self._read)
        self._contracts = Contracts(
            venue, settings, committer, reference, self._lanes, fetch=fetch, unsettled=unsettled
        )
        self._stopping = asyncio.Event()
        self._control = 0  # frames since the last flush, and the next
        self._repeats = 0
        self._doubts: dict[str, float] = {}  # kinds of bad frames and when they were told, monotonic seconds
        self._deliveries = Deliveries()
        self._clocks = ClockWatch()

    async def run(self) -> None:
        """Record until `stop`; on return every connection is closed and its end is with the committer."""
        self._lanes.start(self._reference.instruments.values())
        others = [asyncio.create_task(self._flush()), asyncio.create_task(self._contracts.run())]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            # Bookkeeping ends only by a fault of ours: then recording must not go on half blind.
            await asyncio.wait([stopping, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancelled([*others, stopping])  # nothing opens a lane any more
            await self._lanes.close()
            self._put_due(1 << 62)
            self._put_changes(ending=True)
        ended = await asyncio.gather(*others, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):  # only bookkeeping can fail: lanes mend themselves
                raise result

    def stop(self) -> None:
        """End `run` in order."""
        self._stopping.set()

    @property
    def links(self) -> list[Link]:
        """The open connections, oldest first."""
        return self._lanes.links

    @property
    def reach_trouble(self) -> str | None:
        """Why the venue can't be reached right now."""
        return self._lanes.reach_trouble

    @property
    def parts(self) -> Collection[Part]:
        """What lanes have been started for."""
        return self._lanes.parts

    @property
    def needed(self) -> int:
        """How many parts it takes; one at least of an endpoint whose topics are not known yet."""
        return self._lanes.needed

    @property
    def listed(self) -> int:
        """How many contracts the venue's documents list now."""
        return self._contracts.count

    def delivers(self, seconds: float) -> bool:
        """Whether a connection of each part has been proved alive for so long."""
        now, parts = asyncio.get_running_loop().time(), self.parts
        delivering = {
            link.part
            for link in self.links
            if link.proved.is_set() and not link.ended.is_set() and now - link.first_canary >= seconds
        }
        return bool(parts) and delivering.issuperset(parts)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Every contract that is known, by symbol."""
        return self._reference.instruments

    def resume(self) -> None:
        """There is room again: read on."""
        if self._lanes.paused:
            log.warning("%s: reading on", self.venue.name)
            self._lanes.resume()

    # -- frames: the hot path --------------------------------------------------------------------------------------

    def _read(self, link: Link, frames: list[Frame]) -> None:
        if self._tape is not None:
            self._tape.write(self.venue.name, link.life.connection.id, frames, link.endpoint.market)
        found: list[Item] = []
        try:
            self._interpret(link, frames, found)
        finally:  # a fault of ours at one frame costs no other: what the next connection tells of them is a repeat
            if found and self._committer.put_all(found) and not self._lanes.paused:
                log.warning(
                    "%s: the ledger can't keep up; reading pauses, nothing is dropped", self.venue.name
                )
                self._lanes.pause()

    def _interpret(self, link: Link, frames: list[Frame], found: list[Item]) -> None:
        """What is to be made durable goes to `found`; of frames that are none of that it is noted what they say."""
        decode, reference = self.venue.decode, self._reference.of(link.endpoint.market)
        instruments = reference.instruments
        noted: list[Liquidation] = []
        lanes, contracts = self._lanes, self._contracts
        several = tuple(lanes.alive(link.part)) if len(lanes.links) > 1 else ()
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
                    if several and self._told_before(link, decoded, several):
                        self._repeats += 1
                    else:
                        found.append(decoded)
                    noted += decoded
                    link.dialogue.heard(decoded)
                    for event in decoded:
                        if event.symbol not in instruments:
                            contracts.unknown(event.symbol)
                else:
                    self._control += 1
                    if isinstance(decoded, Tick):
                        reference.tick(decoded)
                        self.watch.tick(decoded)
                        if link.tick(received_us, decoded.venue_ms):
                            self._alive(link)
                    elif isinstance(decoded, Notice):
                        self._notice(link, decoded)
        if noted:
            self.last_event_us = frames[-1].received_us
            self.watch.note(noted, link.proved_us, instruments)

    def _told_before(self, link: Link, events: Iterable[Liquidation], alive: Names) -> bool:
        """Whether each of a frame's events was told moments ago: then it is on its way to the ledger, or in it.

        The ledger would find that out itself, by its index; half of all frames need not wait and be looked up so.
        """
        note, name, seen = self._deliveries.note, link.name, link.seen
        new = 0
        for event in events:
            if not note(name, event.uid, event.trade_time, alive, seen):
                new += 1
        return not new

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
            self._committer.put(events)
            since_us = max((link.proved_us for link in self.links if link.proved.is_set()), default=NEVER)
            self.watch.note(events, since_us, self._reference.instruments)

    def _put_changes(self, *, ending: bool = False) -> None:
        connections, spans = self._lanes.changes(held=bool(self._reference.held), ending=ending)
        deliveries = self._deliveries.settle(self._lanes.alive(), asyncio.get_running_loop().time())
        clock = self._clocks.changes()
        for change in clock:
            what = "the machine slept for" if change.kind == "asleep" else "the clock was set by"
            log.warning("%s %.1f s; coverage rests on the venue's own time", what, change.seconds)
        if connections or spans or self._control or self._repeats or deliveries or clock:
            facts = Change(
                control=self._control,
                repeats=self._repeats,
                connections=tuple(connections),
                spans=tuple(spans),
                deliveries=tuple(deliveries),
                clock=tuple(clock),
            )
            self._committer.put(facts)
            self._control = self._repeats = 0
