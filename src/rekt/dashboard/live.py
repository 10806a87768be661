"""Live events: one task follows the ledger, every client walks behind it at its own pace.

Ids are places in the ledger (`seq`). What was read last is kept encoded, in chunks; a client that is farther behind
(a resumed one, or a slow one) reads from the ledger itself. Nothing is queued for anyone: a client that does not read
costs its socket's buffer. Each client is sent rows strictly after its own place, so nothing is missed or sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

from rekt.dashboard.numbers import Numbers, encode, event_object
from rekt.errors import LedgerError, RektError
from rekt.fields import DAY, HOUR
from rekt.model import Window
from rekt.objects import liquidation_object
from rekt.store import Row

log = logging.getLogger("rekt.dashboard")

POLL_S: Final = 0.04
STATUS_S: Final = (
    1.0  # also the heartbeat: a client that hears nothing for long knows that something is wrong
)
HOUR_S: Final = 1.0
PAGE: Final = 1_000  # rows of one read
KEPT_ROWS: Final = 10_000
MOST_CLIENTS: Final = 500
RETRY_MS: Final = 1_000

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Chunk(NamedTuple):
    """Rows that came together: those after `before`, up to and with `last`."""

    before: int
    last: int
    places: list[int]
    parts: list[bytes]
    whole: bytes


class Client:
    """Somebody who listens."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.wake = asyncio.Event()
        self.gone = False
        self.notes: dict[str, int] = {}  # the version of each note that was sent


class Live:
    """Follows the ledger while somebody listens."""

    def __init__(self, numbers: Numbers) -> None:
        self.clients: set[Client] = set()
        self._numbers = numbers
        self._chunks: deque[Chunk] = deque()
        self._kept = 0
        self._place: int | None = None  # None: nobody listened, so nothing is followed
        self._notes: dict[str, tuple[int, bytes]] = {}
        self._catching_up = asyncio.Semaphore(2)
        self._closed = False

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._wake()

    async def follow(self) -> None:
        """Read what is new, again and again; never ends by itself."""
        loop = asyncio.get_running_loop()
        next_status = next_hour = 0.0
        trouble = ""
        while not self._closed:
            try:
                if not self.clients:
                    self._place, self._kept = None, 0
                    self._chunks.clear()
                    await asyncio.sleep(POLL_S)
                    continue
                more = await self._read()
                now = loop.time()
                if now >= next_status:
                    next_status = now + STATUS_S
                    await self._note_status()
                if now >= next_hour:
                    next_hour = now + HOUR_S
                    await self._note_hours()
                trouble = ""
            except RektError as error:
                if error.message != trouble:
                    trouble = error.message
                    log.error("the live stream can't read the ledger: %s", error)  # noqa: TRY400 - it says it all
                more = False
            if not more:
                await asyncio.sleep(POLL_S)

    async def place(self, last: int | None) -> int:
        """Where a client begins: after the last id that it had, or (None) now. Raises LedgerError."""
        newest = await self._numbers.shelf.ask(lambda book: book.last_seq())
        return newest if last is None else min(last, newest)

    async def listen(self, place: int, receive: Receive, send: Send) -> None:
        """Serve one client from a place on until it goes or all ends."""
        client = Client(place)
        self.clients.add(client)
        watch = asyncio.create_task(_until_gone(receive, client))
        try:
            await send({"type": "http.response.body", "body": b"retry: %d\n\n" % RETRY_MS, "more_body": True})
            while not (client.gone or self._closed):
                client.wake.clear()
                body = await self._next(client) + self._fresh_notes(client)
                if body:
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                else:
                    await client.wake.wait()
            if not client.gone:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except LedgerError as error:  # the client tries again, from where it was
            log.warning("a live stream ended: %s", error)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.clients.discard(client)
            watch.cancel()

    async def _read(self) -> bool:
        """Take what is new; True when there may be more already."""
        shelf = self._numbers.shelf
        if self._place is None:
            self._place = await shelf.ask(lambda book: book.last_seq())
            self._wake()
        before = self._place
        places, parts = await shelf.ask(lambda book: _encoded(book.after(before, PAGE)))
        if not places:
            return False
        chunk = Chunk(before, places[-1], places, parts, b"".join(parts))
        self._place = chunk.last
        self._chunks.append(chunk)
        self._kept += len(places)
        while self._kept > KEPT_ROWS and len(self._chunks) > 1:
            self._kept -= len(self._chunks.popleft().places)
        self._wake()
        return len(places) == PAGE

    async def _next(self, client: Client) -> bytes:
        """What comes after a client's place: from memory, or else from the ledger."""
        if self._place is not None and self._chunks and client.place >= self._chunks[0].before:
            if client.place >= self._place:
                return b""
            chunk = next(chunk for chunk in self._chunks if chunk.last > client.place)
            start = bisect_right(chunk.places, client.place)
            client.place = chunk.last
            return chunk.whole if start == 0 else b"".join(chunk.parts[start:])
        if self._place is not None and client.place == self._place:
            return b""
        async with self._catching_up:
            place = client.place
            places, parts = await self._numbers.shelf.ask(lambda book: _encoded(book.after(place, PAGE)))
        if places:
            client.place = places[-1]
        return b"".join(parts)

    def _wake(self) -> None:
        for client in self.clients:
            client.wake.set()

    # notes: only the latest of each kind matters

    def _note(self, name: str, data: bytes) -> None:
        version, known = self._notes.get(name, (0, b""))
        if data != known:
            self._notes[name] = (version + 1, data)
            self._wake()

    def _fresh_notes(self, client: Client) -> bytes:
        body = b""
        for name, (version, data) in self._notes.items():
            if client.notes.get(name) != version:
                client.notes[name] = version
                body += b"event: %s\ndata: %s\n\n" % (name.partition(" ")[0].encode(), data)
        return body

    async def _note_status(self) -> None:
        now = self._numbers.source.clock_ms()
        status = await self._numbers.status(Window(now - DAY, now + DAY))
        self._note("status", encode(status))
        self._wake()
        last = await self._numbers.shelf.ask(lambda book: book.last_seq())
        if self._place is not None and last < self._place:  # another ledger lies there now
            self._place = last
            self._chunks.clear()
            for client in self.clients:
                client.place = min(client.place, last)

    async def _note_hours(self) -> None:
        """The running hour, and the one before: it changes until it is final."""
        now = self._numbers.source.clock_ms()
        start = now - now % HOUR
        for name, begin in (("hour closed", start - HOUR), ("hour running", start)):
            window = Window(begin, begin + HOUR)
            self._note(name, encode(await self._numbers.hour(window, window)))


def _encoded(rows: list[Row]) -> tuple[list[int], list[bytes]]:
    return [row.seq for row in rows], [event_object(liquidation_object(row.event), row.seq) for row in rows]


async def _until_gone(receive: Receive, client: Client) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
        client.gone = True
        client.wake.set()
