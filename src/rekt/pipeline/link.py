"""One live connection and the watch over it: reads until it ends, leaves a feed that is dead or mis-routed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection

from rekt.model import Connection as ConnectionFact
from rekt.pipeline.clock import Clocks, ClockWatch, read_clocks
from rekt.pipeline.dialogue import Dialogue
from rekt.pipeline.life import Life
from rekt.venue import Endpoint
from rekt.wire.connection import Connection
from rekt.wire.frame import Frame

Reader = Callable[["Link", list[Frame]], None]
_BROKEN = frozenset({"cut", "stall", "mis-routed"})
NOWHERE = Endpoint("")
NEVER = 1 << 62
AWAY_S = 5.0  # a connection that ends so long (and the time-out) after we came back ends because we were away
BEGUN_S = 1.2  # a feed that begins to deliver is given so much longer: its tick is due within a second
LATE_S = 1.0  # the watch woke so much later than it meant to: this process, not the venue, was away
PATIENCE_S = 30.0  # of a feed that was not read: at most; it may have died meanwhile


def dead_at(proof: float, seen: float, timeout_s: float) -> float:
    """When a feed counts as dead: the time-out after its last proof, a moment later if frames came just before.

    Leaving one that has just come back would make the hole longer by a whole back-off.
    """
    at = proof + timeout_s
    return at + BEGUN_S if seen > at - BEGUN_S else at


class Patience:
    """Until when a feed that was not read may be silent and live. Pure; loop times.

    What TCP sends into a full buffer may be lost, and is sent again after times that double. So the other side may be silent
    for as long again as we were behind, however soon the buffer is empty (seen here: a timer of 3.8 s after pauses of
    about a second each; Linux 6, loopback, 2026-11-28). Pauses that follow each other within the time-out are one
    stretch: what was lost in the first may have been lost again in the last.
    """

    def __init__(self, timeout_s: float) -> None:
        self.until = -math.inf  # it counts as dead no earlier than this
        self._timeout_s = timeout_s
        self._behind_since = self._resumed = -math.inf

    def pause(self, now: float) -> None:
        """Reading stops."""
        if now - self._resumed > self._timeout_s:
            self._behind_since = now

    def resume(self, now: float) -> None:
        """Reading goes on."""
        self._resumed = now
        self.until = now + self._timeout_s + min(now - self._behind_since, PATIENCE_S)


class Link:
    """Runs one open connection to its end.

    The canary watch is suspended while reading is paused, and patient after it. An end that comes just after this
    process was away (the machine slept, or it was stopped) has the cause `machine asleep`.
    """

    def __init__(
        self,
        connection: Connection,
        fact: ConnectionFact,
        timeout_s: float,
        read: Reader,
        read_clocks: Callable[[], Clocks] = read_clocks,
        endpoint: Endpoint = NOWHERE,
        part: object = None,
        topics: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`part`: what of the venue it brings, where one connection does not bring all; `topics`: wanted now."""
        self.endpoint, self.part = endpoint, part
        self.dialogue = Dialogue(fact.venue, endpoint, self.send, topics)
        self.life = Life(fact, round(timeout_s * 1000))
        self.opened = self._proof = asyncio.get_running_loop().time()
        self.first_canary = self.opened  # loop time of the one that counts first, once `proved`
        self.ticks = 0  # canaries, also those before they count
        self.proved_us = NEVER  # receive time of that one: what was traded before may be a backlog
        self.last_tick_us = 0
        self._first_tick_us = 0
        self.seen = self.opened  # loop time of the latest frames
        self.proved = asyncio.Event()  # the first canary came that counts
        self.ended = asyncio.Event()
        self.leaving = False  # the venue announced that it will end it
        self.turned = asyncio.Event()  # it ended, or that was announced
        self.detail = ""
        self._connection = connection
        self._timeout_s = timeout_s
        self._read = read
        self._read_clocks = read_clocks
        self._clocks = ClockWatch(read_clocks)
        self._away = -math.inf  # loop time when this process came back from having been away
        self._patience = Patience(timeout_s)
        self.paused = False
        self._tasks = [asyncio.create_task(self._consume()), asyncio.create_task(self._watch())]
        if self.dialogue.needed:
            self._tasks.append(asyncio.create_task(self.dialogue.run()))

    def tick(self, received_us: int, venue_ms: int | None) -> bool:
        """A canary came: the feed is alive and routed. True where that is proved now for the first time.

        Where topics are subscribed one after the other, it counts once all were answered: until then the connection
        brings only a part of what it is for.
        """
        self._proof = asyncio.get_running_loop().time()
        self._first_tick_us = self._first_tick_us or received_us
        self.last_tick_us = received_us
        self.ticks += 1
        self._look_at_clocks()
        if not self.dialogue.complete:
            return False
        self.life.tick(received_us, venue_ms)
        if self.proved.is_set():
            return False
        self.first_canary = self._proof
        self.proved_us = received_us
        self.proved.set()
        return True

    def pause(self) -> None:
        """Stop reading the socket; the venue's frames wait in the buffers of the network."""
        if not self.paused:
            self.paused = True
            self._patience.pause(asyncio.get_running_loop().time())
            self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self.paused:
            self.paused = False
            self._patience.resume(asyncio.get_running_loop().time())
            self._connection.resume()

    @property
    def name(self) -> str:
        """The connection's id in the ledger."""
        return self.life.connection.id

    @property
    def every_s(self) -> float | None:
        """How far apart its canary ticks are, on average; None before the second."""
        return (self.last_tick_us - self._first_tick_us) / 1e6 / (self.ticks - 1) if self.ticks > 1 else None

    async def close(self, cause: str) -> None:
        """End it in order, with this cause."""
        await self._connection.close(cause)
        await self.ended.wait()

    def announce(self) -> None:
        """The venue will end it soon: a successor is to be opened."""
        self.leaving = True
        self.turned.set()

    def leave(self, cause: str) -> None:
        """End it at once, with this cause."""
        self._connection.abort(cause)

    async def _consume(self) -> None:
        connection, life = self._connection, self.life
        try:
            async for frames in connection.batches():
                self.seen = asyncio.get_running_loop().time()
                life.frames(frames[0].received_us, frames[-1].received_us)
                self._read(self, frames)
        finally:
            end = connection.disconnected
            cause, self.detail = (end.cause, end.detail) if end is not None else ("stopped", "")
            self._look_at_clocks()
            if cause in _BROKEN and asyncio.get_running_loop().time() - self._away < self._timeout_s + AWAY_S:
                cause = "machine asleep"
            life.close(round(self._read_clocks().day * 1e6), cause)
            self.ended.set()
            self.turned.set()
            for task in self._tasks[1:]:
                task.cancel()

    def send(self, message: bytes | None) -> None:
        """Say something: a text frame; None: a websocket ping."""
        if message is None:
            self._connection.ping()
        else:
            self._connection.send(message)

    def _look_at_clocks(self) -> None:
        if any(change.kind == "asleep" for change in self._clocks.changes()):
            self._away = asyncio.get_running_loop().time()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.25 if self.paused else self._dead_at()
            await asyncio.sleep(max(due - loop.time(), 0.0))
            now = loop.time()
            if now - due > LATE_S:  # frames that came meanwhile wait in the buffers: look at them first
                self._proof = max(self._proof, now - self._timeout_s + LATE_S)
                self._away = now
            elif not self.paused and now >= self._dead_at():
                self.leave("stall" if self.ticks else "mis-routed")
                return

    def _dead_at(self) -> float:
        return max(dead_at(self._proof, self.seen, self._timeout_s), self._patience.until)
