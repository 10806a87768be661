"""One live connection and the watch over it: reads until it ends, leaves a feed that is dead or mis-routed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from rekt.model import Connection as ConnectionFact
from rekt.pipeline.life import Life
from rekt.wire.connection import Connection
from rekt.wire.frame import Frame

Reader = Callable[["Link", list[Frame]], None]
LATE_S = 1.0  # the watch woke so much later than it meant to: this process, not the venue, was away


class Link:
    """Runs one open connection to its end.

    The canary watch is suspended while reading is paused, and starts anew when it resumes. `clock_us` tells the time
    of day (µs since 1970).
    """

    def __init__(
        self,
        connection: Connection,
        fact: ConnectionFact,
        timeout_s: float,
        read: Reader,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.life = Life(fact, round(timeout_s * 1000))
        self.opened = self._proof = asyncio.get_running_loop().time()
        self.proved = asyncio.Event()  # the first canary came
        self.ended = asyncio.Event()
        self.detail = ""
        self._connection = connection
        self._timeout_s = timeout_s
        self._read = read
        self._clock_us = clock_us
        self.paused = False
        self._tasks = [asyncio.create_task(self._consume()), asyncio.create_task(self._watch())]

    def tick(self, received_us: int, venue_ms: int | None) -> None:
        """A canary came: the feed is alive and routed."""
        self._proof = asyncio.get_running_loop().time()
        self.life.tick(received_us, venue_ms)
        if not self.proved.is_set():
            self.proved.set()

    def pause(self) -> None:
        """Stop reading the socket; the venue's frames wait in the buffers of the network."""
        if not self.paused:
            self.paused = True
            self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self.paused:
            self.paused = False
            self._proof = asyncio.get_running_loop().time()
            self._connection.resume()

    async def close(self, cause: str) -> None:
        """End it in order, with this cause."""
        await self._connection.close(cause)
        await self.ended.wait()

    def leave(self, cause: str) -> None:
        """End it at once, with this cause."""
        self._connection.abort(cause)

    async def _consume(self) -> None:
        connection, life = self._connection, self.life
        try:
            async for frames in connection.batches():
                life.frames(frames[0].received_us, frames[-1].received_us)
                self._read(self, frames)
        finally:
            end = connection.disconnected
            cause, self.detail = (end.cause, end.detail) if end is not None else ("stopped", "")
            life.close(self._clock_us(), cause)
            self.ended.set()
            self._tasks[1].cancel()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.25 if self.paused else self._proof + self._timeout_s
            await asyncio.sleep(max(due - loop.time(), 0.0))
            now = loop.time()
            if now - due > LATE_S:  # frames that came meanwhile wait in the buffers: look at them first
                self._proof = now - self._timeout_s + LATE_S
            elif not self.paused and now - self._proof >= self._timeout_s:
                self.leave("stall" if self.life.ticked else "mis-routed")
                return
