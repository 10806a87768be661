"""A CONNECT proxy and a SOCKS5 proxy of a few lines, which note what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.wire.server import listening


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Both directions to our own server: the name that was asked for need not exist."""
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
    finally:
        there_writer.transport.abort()


@asynccontextmanager
async def connect_proxy(target: int, asked: list[bytes], refuse: bool = False) -> AsyncIterator[int]:
    """An HTTP proxy that leads every CONNECT to one port of this machine."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if refuse:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _join(reader, writer, target)

    async with listening(each) as port:
        yield port


@asynccontextmanager
async def socks_proxy(target: int, asked: list[bytes]) -> AsyncIterator[int]:
    """A SOCKS5 proxy without authentication that leads to one port of this machine."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        head = await reader.readexactly(5)
        asked.append(head + await reader.readexactly(head[4] + 2))
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await _join(reader, writer, target)

    async with listening(each) as port:
        yield port
