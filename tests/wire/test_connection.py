from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from rekt.errors import WireError
from rekt.wire.connection import Connection
from rekt.wire.frame import Frame
from tests.wire.server import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Peer,
    encode,
    ending,
    everything,
    listening,
    run,
    serving,
)


def test_frames_arrive_in_order_with_their_receive_time() -> None:
    """Text and binary frames come as they were sent, each with the microsecond it was read at."""

    async def script(peer: Peer) -> None:
        for number in range(1000):
            peer.send(str(number).encode(), BINARY if number % 7 == 0 else TEXT)

    async def main() -> None:
        async with serving(script) as url:
            before = time.time_ns() // 1000
            connection = await Connection.open(url)
            frames = [frame async for batch in connection.batches() for frame in batch]
            assert [frame.data for frame in frames] == [str(number).encode() for number in range(1000)]
            assert all(isinstance(frame, Frame) for frame in frames)
            times = [frame.received_us for frame in frames]
            assert before <= times[0] <= times[-1] <= time.time_ns() // 1000
            assert connection.last_frame_us == times[-1]
            assert ending(connection).cause == "cut"

    run(main())


def test_frames_of_one_read_come_together() -> None:
    """What one read brought is one batch: the consumer waits once, not once per frame."""

    async def script(peer: Peer) -> None:
        peer.writer.write(b"".join(encode(b"x%d" % number) for number in range(300)))
        await peer.receive()

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            await asyncio.sleep(0.1)
            async for batch in connection.batches():
                assert len(batch) == 300
                break
            connection.abort("stopped")

    run(main())


def test_fragments_are_put_together() -> None:
    """A message in fragments is one frame, though a ping and a pong come in between."""

    async def script(peer: Peer) -> None:
        peer.send(b'{"a":', fin=False)
        peer.send(b"now", PING)
        peer.send(b"1,", CONTINUATION, fin=False)
        peer.send(b"", PONG)
        peer.send(b'"b":2}', CONTINUATION)
        peer.send(b"next")
        assert await peer.receive() == (PONG, b"now")

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            assert await everything(connection) == [b'{"a":1,"b":2}', b"next"]

    run(main())


def test_ping_is_answered_with_the_same_payload() -> None:
    """Each ping brings a pong with its payload, without the consumer's doing."""
    pongs: list[tuple[int, bytes]] = []

    async def script(peer: Peer) -> None:
        for payload in (b"", b"1781483912830", b"\x00" * 125):
            peer.send(payload, PING)
            pongs.append(await peer.receive())

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            assert await everything(connection) == []

    run(main())
    assert pongs == [(PONG, b""), (PONG, b"1781483912830"), (PONG, b"\x00" * 125)]


def test_messages_and_headers_are_sent_on_opening() -> None:
    """What a venue wants to hear first is sent at once, in order, as text."""
    heard: list[Any] = []

    async def script(peer: Peer) -> None:
        heard.extend([await peer.receive(), await peer.receive(), peer.request])

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url, messages=[b'{"id":1}'], headers={"X-Key": "value"})
            connection.send(b"ping")
            await everything(connection)
            connection.send(b"too late")

    run(main())
    assert heard[:2] == [(TEXT, b'{"id":1}'), (TEXT, b"ping")]
    assert b"GET /market/stream?streams=a@b HTTP/1.1" in heard[2]
    assert b"X-Key: value" in heard[2]


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ((1008).to_bytes(2) + b"too slow", "the other side closed it (code 1008: 'too slow')"),
        ((1001).to_bytes(2), "the other side closed it (code 1001)"),
        ((4000).to_bytes(2) + "\x1b[2Jé".encode(), r"the other side closed it (code 4000: '\x1b[2Jé')"),
        (b"", "the other side closed it (no code)"),
    ],
)
def test_close_frame_is_answered_and_told(payload: bytes, told: str) -> None:
    """A close frame is answered; its code and reason are in the words about the end, made harmless."""
    answer: list[tuple[int, bytes]] = []
    answered = asyncio.Event()

    async def script(peer: Peer) -> None:
        peer.send(b"last")
        peer.send(payload, CLOSE)
        answer.append(await peer.receive())
        answered.set()
        await asyncio.sleep(60)  # and never ends the socket

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            assert await everything(connection) == [b"last"]
            assert ending(connection) == ("cut", told)
            await connection.close("stopped")
            assert ending(connection) == ("cut", told)
            await answered.wait()

    run(main())
    assert answer == [(CLOSE, (1000).to_bytes(2))]


def test_cut_without_a_close_frame_is_told() -> None:
    """A socket that just ends is a cut as well."""

    async def script(peer: Peer) -> None:
        peer.send(b"only")

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            assert await everything(connection) == [b"only"]
            assert ending(connection) == ("cut", "it broke off without a close frame")

    run(main())


def test_close_shakes_hands() -> None:
    """`close` says good-bye, still gives what comes before the answer, and keeps the cause it was given."""

    async def script(peer: Peer) -> None:
        peer.send(b"before")
        kind, data = await peer.receive()
        assert (kind, data) == (CLOSE, (1000).to_bytes(2))
        peer.send(b"on its way")
        peer.send(data, CLOSE)

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            await connection.close("renewed", "24 h are nearly over")
            assert ending(connection) == ("renewed", "24 h are nearly over")
            assert await everything(connection) == [b"before", b"on its way"]

    run(main())


@pytest.mark.parametrize("paused", [False, True])
def test_close_is_bounded(paused: bool) -> None:
    """An other side that never answers does not hold `close` up for ever."""

    async def script(peer: Peer) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            if paused:
                connection.pause()
            await connection.close("stopped")
            assert await everything(connection) == []
            assert ending(connection).cause == "stopped"

    run(main())


def test_abort_ends_at_once() -> None:
    """`abort` wakes the consumer, who finds the cause; the first cause stays."""

    async def script(peer: Peer) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            asyncio.get_running_loop().call_later(0.05, connection.abort, "stall", "no canary for 5 s")
            assert await everything(connection) == []
            connection.abort("stopped")
            assert ending(connection) == ("stall", "no canary for 5 s")

    run(main())


@pytest.mark.parametrize("fragments", [1, 64])
def test_too_large_a_frame_is_refused(fragments: int) -> None:
    """A frame above the bound, whole or in fragments, ends the connection instead of filling memory."""

    async def script(peer: Peer) -> None:
        peer.send(b"fine")
        if fragments == 1:
            peer.writer.write(b"\x81\x7f" + (2**40).to_bytes(8) + b"x" * 70000)
        for number in range(fragments):
            part = b"x" * (70000 // fragments)
            peer.send(part, CONTINUATION if number else TEXT, fin=number == fragments - 1)
        assert (await peer.receive())[1][:2] == (1009).to_bytes(2)

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url, max_frame=65535)
            assert await everything(connection) == [b"fine"]
            assert ending(connection).cause == "frame too large"
            assert "65535" in ending(connection).detail

    run(main())


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\xff\xff\xff", encode(b"x", CONTINUATION), encode(b"a", fin=False) + encode(b"b", BINARY)],
)
def test_what_is_no_websocket_frame_ends_the_connection(garbage: bytes) -> None:
    """Bytes that break the protocol are refused, and said to be."""

    async def script(peer: Peer) -> None:
        peer.send(b"fine")
        peer.writer.write(garbage)
        await peer.receive()

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            assert await everything(connection) == [b"fine"]
            assert ending(connection).cause == "protocol error"

    run(main())


def test_cut_while_not_reading_is_blamed_on_it() -> None:
    """A cut that shows when reading goes on again is told as a full queue; frames before it are not lost."""
    said = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.receive()
        peer.send(b"missed?")
        peer.send((1008).to_bytes(2) + b"slow", CLOSE)
        await peer.writer.drain()
        said.set()

    async def main() -> None:
        async with serving(script) as url:
            connection = await Connection.open(url)
            connection.pause()
            connection.send(b"go")
            await said.wait()
            await asyncio.sleep(0.1)
            assert connection.disconnected is None
            connection.resume()
            assert await everything(connection) == [b"missed?"]
            assert ending(connection).cause == "queue full"

    run(main())


def test_refused() -> None:
    """Nobody listens there: a sentence with the place."""

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...

    async def main() -> None:
        async with listening(nothing) as port:
            pass
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(WireError, match=rf"{host}:{port} .*[Rr]efused"):
                await Connection.open(f"ws://{host}:{port}/")

    run(main())


def test_unknown_name() -> None:
    """A name that does not exist is told as such."""

    async def main() -> None:
        with pytest.raises(WireError, match=r"the address of nowhere\.invalid:443 can't be found"):
            await Connection.open("wss://nowhere.invalid/ws")

    run(main())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered HTTP 404 Not Found instead of opening a websocket"),
        (b"HTTP/1.1 451 Unavailable\r\nContent-Length: 0\r\n\r\n", "answered HTTP 451"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", "redirects are not followed"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "answered HTTP 200"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "does not answer as a websocket server"),
        (b"", "hung up during the websocket handshake"),
    ],
)
def test_handshake_refused(answer: bytes, told: str) -> None:
    """Whatever a server answers instead of opening a websocket is a sentence with the place."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.write_eof()
        await asyncio.sleep(0.2)

    async def main() -> None:
        async with listening(each) as port:
            with pytest.raises(WireError) as refused:
                await Connection.open(f"ws://me:secret@127.0.0.1:{port}/market/stream")
            assert told in str(refused.value)
            assert f"127.0.0.1:{port}" in str(refused.value)
            assert "secret" not in str(refused.value)
            assert refused.value.retryable

    run(main())


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_silent_server(scheme: str) -> None:
    """A server that accepts and says nothing is given up after the time-out."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        async with listening(each) as port:
            with pytest.raises(WireError, match=r"did not answer within 0\.3 s"):
                await Connection.open(f"{scheme}://127.0.0.1:{port}/", timeout_s=0.3)

    run(main())


@pytest.mark.parametrize("url", ["https://example.com/", "wss:///path", "nonsense", "ws://host:port/"])
def test_no_websocket_address(url: str) -> None:
    """An address that is none is said to be none."""

    async def main() -> None:
        with pytest.raises(WireError, match="is no websocket address"):
            await Connection.open(url, proxy=None)

    run(main())


def test_opening_can_be_cancelled() -> None:
    """Ctrl+C while connecting is heard at once."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        async with listening(each) as port:
            opening = asyncio.create_task(Connection.open(f"ws://127.0.0.1:{port}/"))
            await asyncio.sleep(0.05)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening

    run(main())
