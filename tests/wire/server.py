"""A websocket server of a few lines, by which the tests say exactly which bytes come, and when."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any

from rekt.wire.connection import Connection
from rekt.wire.frame import Disconnected

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


class Peer:
    """The server's end of one connection, after the handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        self.reader, self.writer, self.request = reader, writer, request

    def send(self, data: bytes, kind: int = TEXT, *, fin: bool = True) -> None:
        self.writer.write(encode(data, kind, fin=fin))

    async def receive(self) -> tuple[int, bytes]:
        """The next frame of the client: its kind and its payload, unmasked."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2))
        mask = await self.reader.readexactly(4)
        data = await self.reader.readexactly(size)
        return first & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def encode(data: bytes, kind: int = TEXT, *, fin: bool = True) -> bytes:
    """One unmasked frame."""
    size = len(data)
    head = bytes([kind | (0x80 if fin else 0)])
    if size < 126:
        return head + bytes([size]) + data
    if size < 65536:
        return head + b"\x7e" + size.to_bytes(2) + data
    return head + b"\x7f" + size.to_bytes(8) + data


def accept(request: bytes) -> bytes:
    """The answer that opens the websocket."""
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    token = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )


@asynccontextmanager
async def listening(
    each: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A TCP server on loopback, on a port that the system gives."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await each(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        except BaseException:  # a failed assertion of a script: the test fails where it waits for the end
            writer.transport.abort()
            raise

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(run(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(start, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.01)  # a handshake that just ends
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await asyncio.sleep(0.01)  # the transports' last callbacks


@asynccontextmanager
async def serving(
    script: Callable[[Peer], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A websocket server that runs the script for each connection, then drops it; gives its address."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(accept(request))
        await script(Peer(reader, writer, request))
        await writer.drain()

    async with listening(each, tls) as port:
        yield f"{'wss' if tls else 'ws'}://localhost:{port}/market/stream?streams=a@b"


def run(coroutine: Coroutine[Any, Any, None], seconds: float = 15) -> None:
    """Run a test's coroutine, and no longer than so many seconds."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await coroutine

    asyncio.run(bounded())


async def everything(connection: Connection) -> list[bytes]:
    """All that a connection gives until it ends."""
    return [frame.data async for batch in connection.batches() for frame in batch]


def ending(connection: Connection) -> Disconnected:
    """Why a connection ended; it must have."""
    disconnected = connection.disconnected
    assert disconnected is not None
    return disconnected
