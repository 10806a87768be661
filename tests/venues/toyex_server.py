"""The exchange of docs/adding-a-venue.md in a few lines: its stream and its list of contracts on one port of loopback."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.wire.server import Peer, accept, listening

EVENTS = 60
CUT_AT = 40  # the first connection ends after so many; the next one tells the last twenty of them again


class Toyex:
    """What a running one has been asked, and where it is."""

    def __init__(self) -> None:
        self.port = 0
        self.subscriptions: list[bytes] = []
        self.documents = 0
        self.told: dict[str, tuple[str, str, str]] = {}  # of each id: position, coins, price

    async def each(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a document, or the stream."""
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"GET /v1/contracts "):
            self.documents += 1
            body = json.dumps([{"symbol": "BTCUSDT", "base": "BTC", "quote": "USDT"}]).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            await writer.drain()
            return
        writer.write(accept(request))
        peer = Peer(reader, writer, request)
        _, asked = await peer.receive()
        self.subscriptions.append(asked)
        peer.send(b'{"kind":"subscribed"}')
        first = len(self.subscriptions) == 1
        number = 0 if first else CUT_AT - 20
        while True:
            now_ms = time.time_ns() // 1_000_000
            peer.send(b'{"kind":"heartbeat","time":%d}' % now_ms)
            for _ in range(5):
                if number < EVENTS:
                    peer.send(self._event(number, now_ms))
                    number += 1
            await writer.drain()
            if first and number >= CUT_AT:
                return
            await asyncio.sleep(0.1)

    def _event(self, number: int, now_ms: int) -> bytes:
        """The event of this number: the same each time but for its arrival."""
        position, coins, price = ("long", "short")[number % 2], f"0.{number + 1:03}", f"{80_000 + number}.5"
        self.told[str(number)] = position, coins, price
        told = {"kind": "liquidation", "time": now_ms, "id": str(number), "symbol": "BTCUSDT"}
        return json.dumps(told | {"position": position, "coins": coins, "price": price}).encode()


@contextmanager
def toyex() -> Iterator[Toyex]:
    """One that listens, in a thread of its own, for the length of a `with`."""
    exchange, ready, loop = Toyex(), threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with listening(exchange.each) as port:
            exchange.port = port
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(10)
        yield exchange
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
