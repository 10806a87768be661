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

Key = tuple[str, str | None]  # what a note is, and of which venue (None: of all)
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Chunk(NamedTuple):
    """Rows that came together: those after `before`, up to and with `last`."""

    before: int
    last: int
    places: list[int]
    parts: list[bytes]
    venues: list[str]
    whole: bytes

    def after(self, place: int, venue: str | None) -> bytes:
        """The rows after a place, of one venue or of all."""
        start = bisect_right(self.places, place)
        if venue is None:
            return self.whole if start == 0 else b"".join(self.parts[start:])
        pairs = zip(self.parts[start:], self.venues[start:], strict=True)
        return b"".join(part for part, own in pairs if own == venue)


class Client:
    """Somebody who listens, to one venue or to all."""

    def __init__(self, place: int, venue: str | None) -> None:
        self.place = place
        self.venue = venue
        self.wake = asyncio.Event()
        self.gone = False
        self.notes: dict[Key, int] = {}  # the version of each note that was sent


class Live:
    """Follows the ledger while somebody listens."""

    def __init__(self, numbers: Numbers) -> None:
        self.clients: set[Client] = set()
        self._numbers = numbers
        self._chunks: deque[Chunk] = deque()
        self._kept = 0
        self._place: int | None = None  # None: nobody listened, so nothing is followed
        self._notes: dict[Key, tuple[int, bytes]] = {}
        self._version = 0
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

    async def knows(self, venue: str) -> bool:
        """Whether a venue of this name can be listened to."""
        return await self._numbers.knows(venue)

    async def listen(self, place: int, receive: Receive, send: Send, venue: str | None = None) -> None:
        """Serve one client from a place on until it goes or all ends."""
        client = Client(place, venue)
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
        chunk = await shelf.ask(lambda book: _chunk(before, book.after(before, PAGE)))
        if not chunk.places:
            return False
        self._place = chunk.last
        self._chunks.append(chunk)
        self._kept += len(chunk.places)
        while self._kept > KEPT_ROWS and len(self._chunks) > 1:
            self._kept -= len(self._chunks.popleft().places)
        self._wake()
        return len(chunk.places) == PAGE

    async def _next(self, client: Client) -> bytes:
        """What comes after a client's place and is for it: from memory, or else from the ledger; empty: nothing yet."""
        while True:
            place = client.place
            if self._place is not None and place == self._place:
                return b""
            if self._place is not None and self._chunks and place >= self._chunks[0].before:
                if place >= self._place:
                    return b""
                chunk = next(chunk for chunk in self._chunks if chunk.last > place)
            else:
                chunk = await self._from_ledger(place)
            client.place = chunk.last
            body = chunk.after(place, client.venue)
            if body or not chunk.places or client.gone or self._closed:
                return body

    async def _from_ledger(self, place: int) -> Chunk:
        async with self._catching_up:
            return await self._numbers.shelf.ask(lambda book: _chunk(place, book.after(place, PAGE)))

    def _wake(self) -> None:
        for client in self.clients:
            client.wake.set()

    # notes: only the latest of each kind matters

    def _note(self, key: Key, data: bytes) -> None:
        if data != self._notes.get(key, (0, b""))[1]:
            self._version += 1
            self._notes[key] = (self._version, data)
            self._wake()

    def _fresh_notes(self, client: Client) -> bytes:
        body = b""
        for (name, venue), (version, data) in self._notes.items():
            if name != "status" and venue != client.venue:
                continue
            if client.notes.get((name, venue)) != version:
                client.notes[name, venue] = version
                body += b"event: %s\ndata: %s\n\n" % (name.partition(" ")[0].encode(), data)
        return body

    async def _note_status(self) -> None:
        now = self._numbers.source.clock_ms()
        status = await self._numbers.status(Window(now - DAY, now + DAY))
        self._note(("status", None), encode(status))
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
        listened = {client.venue for client in self.clients}
        for venue in listened:
            for name, begin in (("hour closed", start - HOUR), ("hour running", start)):
                window = Window(begin, begin + HOUR)
                hour = encode(await self._numbers.hour(window, window, venue))
                self._note((name, venue), hour)
        self._notes = {
            key: note for key, note in self._notes.items() if key[0] == "status" or key[1] in listened
        }


def _chunk(before: int, rows: list[Row]) -> Chunk:
    parts = [event_object(liquidation_object(row.event), row.seq) for row in rows]
    places = [row.seq for row in rows]
    venues = [row.event.feed.venue for row in rows]
    return Chunk(before, places[-1] if places else before, places, parts, venues, b"".join(parts))


async def _until_gone(receive: Receive, client: Client) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
        client.gone = True
        client.wake.set()
