from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import AsyncExitStack
from itertools import pairwise

import httpx
import picows
import pytest

from rekt.simulator import Options, Simulator
from rekt.simulator.scenes.kraken import Kraken
from rekt.simulator.scenes.okx import Okx
from tests.simulator.client import STREAMS, connected


def test_wrapped_and_raw() -> None:
    """/market/stream wraps each payload with its stream's name, /market/ws sends the same payload bare."""

    async def run() -> None:
        options = Options(rate=200, hold_ms=0)
        async with (
            Simulator(options) as exchange,
            connected(f"{exchange.ws_url}?streams={STREAMS}") as wrapped,
            connected(
                f"ws://127.0.0.1:{exchange.port}/market/ws/!forceOrder@arr/btcusdt@markPrice@1s"
            ) as raw,
        ):
            await raw.until(lambda: len(raw.events) > 20 and raw.ticks and wrapped.ticks)
            assert all(text.startswith(b'{"stream":"') for text in wrapped.texts)
            assert all(text.startswith(b'{"e":"') for text in raw.texts)
            first = raw.texts[0]
            if b"forceOrder" in first:
                assert b'{"stream":"!forceOrder@arr","data":' + first + b"}" in wrapped.texts
            event_times = [event["E"] for event in wrapped.events]
            assert event_times == sorted(event_times)
            sent = {event.payload: event for event in exchange.sent}
            for text in raw.texts:
                if b"forceOrder" in text:
                    assert 2 in [connection for connection, _ in sent[text].written]

    asyncio.run(run())


def test_more_connections_than_the_venue_allows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One above the limit gets 429; when the while is over there is room again."""
    monkeypatch.setattr(Okx, "limits", Okx.limits._replace(openings=(2, 5.0)))

    async def run() -> None:
        async with Simulator(Options(venue="okx", scene="none")) as exchange, AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(connected(exchange.ws_url))
            with pytest.raises(picows.WSHandshakeError) as refused:
                await stack.enter_async_context(connected(exchange.ws_url))
            assert refused.value.response is not None
            assert refused.value.response.status == 429
            assert exchange.record.counts.refused == 1
            await asyncio.sleep(5.1)
            await stack.enter_async_context(connected(exchange.ws_url))

    asyncio.run(run())


def test_a_client_that_says_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the venue wants to hear from its clients, a ping is enough, and silence ends the connection."""
    monkeypatch.setattr(Kraken, "limits", Kraken.limits._replace(silence_s=3.0))

    async def run() -> None:
        async with (
            Simulator(Options(venue="kraken", scene="none")) as exchange,
            connected(exchange.ws_url) as talking,
            connected(exchange.ws_url) as silent,
        ):
            for _ in range(100):
                await asyncio.sleep(0.2)
                talking.transport.send_ping(b"here")
                if silent.closed.is_set():
                    break
            assert silent.closed.is_set()
            assert not talking.closed.is_set()
            assert [life.cause for life in exchange.connections] == [None, "client silent"]

    asyncio.run(run())


def test_subscribe_on_the_wire() -> None:
    """SUBSCRIBE starts and UNSUBSCRIBE ends a stream; a symbol's own stream carries that symbol alone."""

    async def run() -> None:
        async with (
            Simulator(Options(rate=400, hold_ms=0)) as exchange,
            connected(exchange.ws_url) as client,
        ):
            await asyncio.sleep(0.1)
            assert client.frames == []
            request = {"method": "SUBSCRIBE", "params": ["btcusdt@forceOrder"], "id": 1}
            assert await client.answer(request) == {"result": None, "id": 1}
            await client.until(lambda: len(client.events) > 3)
            assert {event["o"]["s"] for event in client.events} == {"BTCUSDT"}
            client.say({"method": "UNSUBSCRIBE", "params": ["btcusdt@forceOrder"], "id": 2})
            await client.until(lambda: b'{"result":null,"id":2}' in client.texts)
            count = len(client.texts)
            await asyncio.sleep(0.1)
            assert len(client.texts) == count

    asyncio.run(run())


def test_canary_ticks_every_second() -> None:
    """The canary's time steps by exactly 1000 ms, it arrives on time and never before, and its price moves."""

    async def run() -> None:
        async with (
            Simulator(Options(scene="none")) as exchange,
            connected(f"{exchange.ws_url}?streams={STREAMS}") as client,
        ):
            await client.until(lambda: len(client.ticks) >= 3)
            assert [b["E"] - a["E"] for a, b in pairwise(client.ticks)] == [1000, 1000]
            assert len({tick["p"] for tick in client.ticks}) == 3
            offset_ms = exchange.now_ms() - time.monotonic() * 1000
            late_ms = [
                at * 1000 + offset_ms - tick["E"] for at, tick in zip(client.times, client.ticks, strict=True)
            ]
            assert -2 < min(late_ms) < 500  # the best of three: a machine may stand still in between
            assert client.events == []

    asyncio.run(run())


def test_retired_path_is_silent() -> None:
    """The retired path acknowledges and answers pings, and never sends anything else."""

    async def run() -> None:
        async with (
            Simulator(Options(rate=500, hold_ms=0)) as exchange,
            connected(f"{exchange.retired_url}?streams={STREAMS}") as client,
            connected(f"ws://127.0.0.1:{exchange.port}/ws/!forceOrder@arr") as other,
        ):
            request = {"method": "SUBSCRIBE", "params": STREAMS.split("/"), "id": 1}
            assert await client.answer(request) == {"result": None, "id": 1}
            client.transport.send_ping(b"there?")
            await client.until(lambda: client.pongs == [b"there?"])
            await asyncio.sleep(1.2)
            assert len(client.frames) == 1
            assert other.frames == []
            assert [life.routed for life in exchange.connections] == [False, False]

    asyncio.run(run())


def test_too_many_messages() -> None:
    """The eleventh message within a second closes the connection."""

    async def run() -> None:
        async with Simulator(Options(scene="none")) as exchange, connected(exchange.ws_url) as client:
            for number in range(10):
                client.say({"method": "LIST_SUBSCRIPTIONS", "id": number})
            await client.until(lambda: len(client.texts) == 10)
            assert not client.closed.is_set()
            for number in range(
                10, 100
            ):  # the eleventh; where the machine stood still, the second has to fill again
                client.say({"method": "LIST_SUBSCRIPTIONS", "id": number})
            await asyncio.wait_for(client.closed.wait(), 20)
            assert client.close_code == 1008
            await client.until(lambda: not exchange.connections[0].open)
            assert exchange.connections[0].cause == "too many messages"

    asyncio.run(run())


def test_ping_and_pong() -> None:
    """Who answers the server's pings stays; who does not is disconnected after the time-out."""

    async def run() -> None:
        options = Options(scene="none", ping_period_s=0.05, pong_timeout_s=1.0, messages_per_second=100)
        async with (
            Simulator(options) as exchange,
            connected(exchange.ws_url) as good,
            connected(exchange.ws_url, pong=False) as bad,
        ):
            await asyncio.wait_for(bad.closed.wait(), 20)
            await good.until(lambda: exchange.connections[0].pongs >= 5)
            assert not good.closed.is_set()
            assert exchange.connections[1].cause == "no pong"
            assert exchange.connections[1].pings >= 3

    asyncio.run(run())


def test_life_of_a_connection() -> None:
    """At the end of its life a connection is cut."""

    async def run() -> None:
        async with (
            Simulator(Options(scene="none", life_s=0.2)) as exchange,
            connected(exchange.ws_url) as client,
        ):
            await asyncio.wait_for(client.closed.wait(), 20)
            await client.until(lambda: not exchange.connections[0].open)
            (life,) = exchange.connections
            assert life.cause == "life"
            assert life.closed_ms is not None
            assert life.closed_ms - life.opened_ms >= 200

    asyncio.run(run())


def test_documents_over_http() -> None:
    """The documents come from the same port; other paths are not found; a failing service can be played."""

    async def run() -> None:
        async with Simulator(Options(scene="none")) as exchange, httpx.AsyncClient() as http:
            for path, symbol in (
                ("/fapi/v1/exchangeInfo", "BTCUSDT"),
                ("/dapi/v1/exchangeInfo", "BTCUSD_PERP"),
            ):
                answer = await http.get(exchange.rest_url + path)
                assert answer.status_code == 200
                assert symbol in {row["symbol"] for row in answer.json()["symbols"]}
            assert (await http.get(exchange.rest_url + "/else")).status_code == 404
            exchange.http_status = 503
            assert (await http.get(exchange.rest_url + "/fapi/v1/exchangeInfo")).status_code == 503
            assert exchange.counts.documents == 2

    asyncio.run(run())


def test_slow_reader() -> None:
    """Who does not read is noticed, and cut when too much is waiting or when it lasts too long."""

    async def run(options: Options) -> None:
        async with (
            Simulator(options) as exchange,
            connected(f"{exchange.ws_url}?streams={STREAMS}") as client,
        ):
            raw: socket.socket = client.transport.underlying_transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.transport.underlying_transport.pause_reading()
            life = exchange.connections[0]
            await client.until(lambda: life.pauses > 0)
            await client.until(lambda: not life.open)
            assert life.cause == "slow reader"
            client.transport.underlying_transport.resume_reading()

    asyncio.run(run(Options(rate=8000, hold_ms=0, socket_buffer_bytes=8192, buffer_bytes=300_000)))
    asyncio.run(run(Options(rate=8000, hold_ms=0, socket_buffer_bytes=8192, slow_reader_s=0.2)))


def test_a_reader_that_comes_back_loses_nothing() -> None:
    """What waits for a reader within the bound is delivered, in order, when it reads again."""

    async def run() -> None:
        options = Options(rate=2000, hold_ms=0, socket_buffer_bytes=8192)
        async with (
            Simulator(options) as exchange,
            connected(f"{exchange.ws_url}?streams=!forceOrder@arr") as client,
        ):
            client.transport.underlying_transport.pause_reading()
            await asyncio.sleep(0.3)
            client.transport.underlying_transport.resume_reading()
            sent = [event.payload for event in exchange.sent if event.written]
            await client.until(lambda: len(client.texts) >= len(sent))
            assert [
                text[len(b'{"stream":"!forceOrder@arr","data":') : -1] for text in client.texts[: len(sent)]
            ] == sent

    asyncio.run(run())


def test_stop_says_goodbye() -> None:
    """Stopping closes every connection with a close frame, and the port with it."""

    async def run() -> None:
        exchange = Simulator(Options(scene="none"))
        await exchange.start()
        async with connected(exchange.ws_url) as client:
            await exchange.stop()
            await asyncio.wait_for(client.closed.wait(), 20)
            assert client.close_code == 1001
        with pytest.raises(OSError, match=r"\w"):
            await picows.ws_connect(picows.WSListener, exchange.ws_url)

    asyncio.run(run())


def test_sent_is_bounded_where_asked() -> None:
    """The ground truth keeps all events, the last ones, or counts only."""

    async def run(keep: int | None) -> tuple[int, int]:
        async with Simulator(Options(rate=500, hold_ms=0, keep_sent=keep)) as exchange:
            while exchange.counts.events <= 10:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.01)
            return len(exchange.sent), exchange.counts.events

    kept, events = asyncio.run(run(None))
    assert kept == events > 10
    assert asyncio.run(run(5))[0] == 5
    kept, events = asyncio.run(run(0))
    assert kept == 0
    assert events > 10


def test_send_a_payload() -> None:
    """A payload given to `send` reaches every subscriber; bytes unknown to the venue go out as they are."""

    async def run() -> None:
        payload = json.dumps({"e": "forceOrder", "E": 1, "o": {"s": "XUSDT"}}, separators=(",", ":")).encode()
        async with (
            Simulator(Options(scene="none")) as exchange,
            connected(f"{exchange.ws_url}?streams=!forceOrder@arr") as client,
            connected(exchange.ws_url) as unsubscribed,
        ):
            sent = exchange.send(payload)
            assert sent is not None
            assert [connection for connection, _ in sent.written] == [1]
            assert exchange.send(b"{]") is None
            await client.until(lambda: len(client.texts) == 2)
            assert client.texts == [b'{"stream":"!forceOrder@arr","data":' + payload + b"}", b"{]"]
            await unsubscribed.until(lambda: unsubscribed.texts == [b"{]"])

    asyncio.run(run())
