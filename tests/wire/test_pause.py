from __future__ import annotations

import asyncio
import ssl

import pytest

from rekt.wire.connection import Connection
from tests.wire.server import Peer, ending, run, serving

FRAMES = 60_000
SIZE = 1000


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.timeout(30)
def test_pause_stops_the_sender_and_loses_nothing(
    secure: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """While paused the sender's socket fills up until it waits; afterwards all comes, in order."""
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        for number in range(FRAMES):
            peer.send(b"%0*d" % (SIZE, number))
            await peer.writer.drain()
            sent = number + 1

    async def main() -> None:
        async with serving(script, server_tls if secure else None) as url:
            connection = await Connection.open(url, ssl_context=client_tls if secure else None)
            got = 0
            after_pause = 0
            waiting = -1
            async for batch in connection.batches():
                assert [int(frame.data) for frame in batch] == list(range(got, got + len(batch)))
                got += len(batch)
                if waiting < 0 and got >= 100:
                    connection.pause()
                    assert connection.paused
                    while waiting != sent:  # until the sender stands still
                        waiting = sent
                        await asyncio.sleep(0.15)
                    after_pause = len(connection._listener.frames)
                    assert sent < FRAMES
                    assert connection.disconnected is None
                    connection.resume()
            assert got == FRAMES
            assert after_pause * SIZE <= 256 * 1024  # the headroom that the module promises
            assert ending(connection).cause in ("cut", "queue full")

    run(main(), 25)


def test_pausing_again_and_again_keeps_the_order(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """Pausing at every batch, as a full queue would, loses and reorders nothing, whatever TLS holds back."""

    async def script(peer: Peer) -> None:
        for number in range(20_000):
            peer.send(b"%0200d" % number)
            await peer.writer.drain()

    async def main() -> None:
        async with serving(script, server_tls) as url:
            connection = await Connection.open(url, ssl_context=client_tls)
            got: list[int] = []
            async for batch in connection.batches():
                got += [int(frame.data) for frame in batch]
                connection.pause()
                await asyncio.sleep(0)
                connection.resume()
            assert got == list(range(20_000))

    run(main())
