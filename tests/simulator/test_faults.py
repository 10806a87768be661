from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import picows
import pytest

from rekt.simulator import KINDS, Fault, Options, Simulator, Step, parse_step, random_script, simulated
from rekt.simulator.faults import hostile_frame
from tests.simulator.client import STREAMS, Client, connected

GOOD = (
    b'{"stream":"!forceOrder@arr","data":{"e":"forceOrder","E":1791565603055,"o":{"s":"BTCUSDT","S":"SELL",'
    b'"o":"LIMIT","f":"IOC","q":"0.190","p":"82338.30","ap":"82651.90","X":"FILLED","l":"0.155","z":"0.190",'
    b'"T":1791565602120,"ps":"BTCUSDT","st":1}}}'
)


class Inner(msgspec.Struct):
    s: str
    q: str
    z: str
    p: str
    T: int


class Event(msgspec.Struct):
    E: int
    o: Inner


class Wrapped(msgspec.Struct):
    data: Event


def played(body: Callable[[Simulator, Client], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a body with an exchange of 400 events a second and a subscribed client that has had some."""

    async def run() -> None:
        given = {"rate": 400, "hold_ms": 0} | options
        async with (
            Simulator(Options(**given)) as exchange,
            connected(f"{exchange.ws_url}?streams={STREAMS}") as client,
        ):
            await client.until(lambda: client.events)
            await body(exchange, client)

    asyncio.run(run())


@pytest.mark.parametrize(("how", "code"), [("reset", None), ("fin", None), ("close", 1012)])
def test_cut(how: str, code: int | None) -> None:
    """A cut ends the connection at once: by reset, without a frame, or with a close code."""

    async def body(exchange: Simulator, client: Client) -> None:
        assert exchange.cut(1, how=how, code=code or 1001) == (1,)
        await asyncio.wait_for(client.closed.wait(), 20)
        assert client.close_code == code
        await client.until(lambda: not exchange.connections[0].open)
        assert exchange.connections[0].cause == "cut"
        assert exchange.connections[0].faults == ("cut",)

    played(body)


def test_stall() -> None:
    """A stalled connection stays open and sends nothing, not even a pong; after its time it goes on."""

    async def body(exchange: Simulator, client: Client) -> None:
        exchange.fault("stall")
        await client.caught_up(exchange.connections[0])
        count = len(client.frames)
        client.transport.send_ping(b"lost")
        client.say({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        await asyncio.sleep(0.25)
        assert len(client.frames) == count
        assert not client.closed.is_set()
        assert exchange.sent[-1].written == []
        exchange.fault("stall", seconds=0.1)
        await client.until(lambda: len(client.frames) > count)
        assert client.pongs == []

    played(body)


def test_unrouted_from_the_start() -> None:
    """The next connection acknowledges and answers pings but gets no data; those after it are well."""

    async def body(exchange: Simulator, client: Client) -> None:
        assert exchange.fault("unrouted", "next") == ()
        async with connected(f"{exchange.ws_url}?streams={STREAMS}") as dead:
            client.transport.send_ping(b"?")
            assert await dead.answer({"method": "LIST_SUBSCRIPTIONS", "id": 9})
            dead.transport.send_ping(b"!")
            await dead.until(lambda: dead.pongs)
            await asyncio.sleep(0.2)
            assert len(dead.frames) == 1
            assert exchange.connections[1].faults == ("unrouted",)
            async with connected(f"{exchange.ws_url}?streams={STREAMS}") as well:
                await well.until(lambda: well.events)

    played(body)


def test_quiet_market_and_lost_canary() -> None:
    """`quiet` stops the liquidations and not the canary, `canary_stop` the other way round."""

    async def body(exchange: Simulator, client: Client) -> None:
        async with connected(f"{exchange.ws_url}?streams={STREAMS}") as other:
            exchange.fault("quiet", 1)
            exchange.fault("canary_stop", 2)
            for one, life in zip((client, other), exchange.connections, strict=True):
                await one.caught_up(life)
            events, ticks = len(client.events), len(other.ticks)
            await client.until(lambda: len(client.ticks) >= 2)
            await client.until(lambda: len(other.events) > 100)
            assert len(client.events) == events
            assert len(other.ticks) == ticks
            exchange.clear()
            await client.until(lambda: len(client.events) > events)

    played(body)


def test_garbage_at_once_and_in_between() -> None:
    """Hostile frames come in a burst or between the good ones, counted, and the good ones all arrive."""

    async def body(exchange: Simulator, client: Client) -> None:
        exchange.fault("garbage", count=20)
        assert exchange.connections[0].garbage == 20
        exchange.fault("garbage", share=0.5)
        await client.until(lambda: exchange.counts.garbage > 40)
        exchange.clear()
        garbage = exchange.counts.garbage
        written = [event.payload for event in exchange.sent if event.written]
        await client.until(lambda: len(client.frames) >= garbage + len(written))
        texts = set(client.texts)
        assert all(b'{"stream":"!forceOrder@arr","data":' + payload + b"}" in texts for payload in written)

    played(body)


def test_hostile_frames_are_no_liquidations() -> None:
    """No hostile frame keeps the meaning of the good one it was made from, and all shapes occur."""
    rng = random.Random(1)
    shapes = set()
    for _ in range(500):
        opcode, frame = hostile_frame(rng, GOOD)
        shapes.add((opcode, frame[:4], len(frame) // 40))
        try:
            event = msgspec.json.decode(frame, type=Wrapped).data
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        sane_time = 1_546_300_800_000 < event.o.T < 4_000_000_000_000
        sane_number = all(
            text.replace(".", "").isdigit() and len(text) < 40 for text in (event.o.q, event.o.p)
        )
        assert not (sane_time and sane_number), frame
    assert len(shapes) > 15


def test_duplicates() -> None:
    """Every liquidation comes twice, one after the other, and the truth says so."""

    async def body(exchange: Simulator, client: Client) -> None:
        exchange.fault("duplicate")
        await client.until(lambda: len([event for event in exchange.sent if len(event.written) == 2]) > 30)
        doubled = [event for event in exchange.sent if len(event.written) == 2]
        await client.caught_up(exchange.connections[0])
        wrapped = b'{"stream":"!forceOrder@arr","data":' + doubled[0].payload + b"}"
        assert client.texts.count(wrapped) == 2

    played(body)


def test_disorder_loses_nothing() -> None:
    """Liquidations change places, and once it is over each has arrived once."""

    async def body(exchange: Simulator, client: Client) -> None:
        exchange.fault("disorder", depth=5)
        published = len(exchange.sent)
        await client.until(lambda: len(exchange.sent) > published + 100)
        exchange.clear("disorder")
        payloads = [event.payload for event in exchange.sent if event.written]
        assert len(payloads) == len(
            [event for event in exchange.sent if event.event_time_ms >= 0][-len(payloads) :]
        )
        await client.until(lambda: len(client.events) >= len(payloads))
        times = [event["E"] for event in client.events]
        assert times != sorted(times)
        assert max(a - b for a, b in itertools.pairwise(times)) < 1000
        assert len({json.dumps(event) for event in client.events}) == len(client.events)

    played(body)


def test_dribble() -> None:
    """Bytes dribble out no faster than they may, and every frame is whole in the end."""

    async def body(exchange: Simulator, client: Client) -> None:
        started, written = time.monotonic(), exchange.connections[0].liquidations
        exchange.fault("slow", bytes_per_second=4000)
        await client.until(lambda: len(client.events) >= written + 8)
        elapsed_s = time.monotonic() - started
        dribbled = [text for text in client.texts if b"forceOrder" in text][written:]
        assert 8 * 200 < sum(map(len, dribbled)) <= 4000 * elapsed_s
        exchange.clear()
        await client.until(lambda: len(client.events) > written + 20)
        assert [event["E"] for event in client.events] == sorted(event["E"] for event in client.events)
        assert all(name == "TEXT" for name, _ in client.frames)

    played(body)


def test_shutdown_notice() -> None:
    """The end of the server is announced by a message of its own."""

    async def body(exchange: Simulator, client: Client) -> None:
        exchange.fault("shutdown")
        await client.until(
            lambda: any(text.startswith(b'{"e":"serverShutdown","E":') for text in client.texts)
        )

    played(body)


@pytest.mark.parametrize("how", ["status", "close", "hang", "garbled", "unreachable"])
def test_refused(how: str) -> None:
    """While it lasts a new connection fails in the way asked for; open ones go on; then all is well again."""

    async def body(exchange: Simulator, client: Client) -> None:
        exchange.fault("refuse", how=how)
        count = len(client.events)
        error: Exception | None = None
        try:
            # Without an answer picows returns no listener rather than raise.
            _, listener = await picows.ws_connect(Client, exchange.ws_url, websocket_handshake_timeout=0.2)
            assert listener is None
        except (OSError, picows.WSError, TimeoutError) as raised:
            error = raised
        expected = {"status": picows.WSInvalidStatusError, "hang": TimeoutError, "unreachable": OSError}
        assert isinstance(error, expected.get(how, type(None)))
        if isinstance(error, picows.WSInvalidStatusError):
            assert error.response is not None
            assert error.response.status == 503
        await client.until(lambda: len(client.events) > count)
        exchange.fault("refuse", how=how, seconds=0.1)
        await asyncio.sleep(0.5)
        async with connected(f"{exchange.ws_url}?streams={STREAMS}") as again:
            await again.until(lambda: again.events)

    played(body)


def test_one_is_never_the_last() -> None:
    """With `one` and a spare, the last healthy connection is left alone."""

    async def body(exchange: Simulator, client: Client) -> None:
        assert exchange.fault("stall", "one", spare=1) == ()
        async with connected(f"{exchange.ws_url}?streams={STREAMS}") as other:
            await other.until(lambda: other.events)
            (hit,) = exchange.fault("stall", "one", spare=1)
            assert exchange.fault("cut", "one", spare=1) == ()
            assert {life.id: life.faults for life in exchange.connections}[hit] == ("stall",)

    played(body)


def test_every_includes_later_connections() -> None:
    """`every` hits the open connections and those to come, until it is cleared."""

    async def body(exchange: Simulator, client: Client) -> None:
        assert exchange.fault("quiet", "every") == (1,)
        async with connected(f"{exchange.ws_url}?streams={STREAMS}") as later:
            await asyncio.sleep(0.15)
            assert later.events == []
            exchange.clear("quiet")
            await later.until(lambda: later.events)

    played(body)


def test_script_as_text() -> None:
    """A step is written on one line or as JSON; what it does not know it refuses."""
    step = Step(12.5, Fault("stall", seconds=10.0), "one", 1)
    assert parse_step("12.5 stall connection=one seconds=10 spare=1") == step
    assert parse_step('{"at": 12.5, "kind": "stall", "connection": "one", "seconds": 10, "spare": 1}') == step
    assert parse_step("0 cut connection=3 how=close code=1012").fault == Fault("cut", how="close", code=1012)
    for wrong in ("5", "x cut", "5 nothing", "5 cut how=softly", "5 cut speed=9", "5 cut connection=all"):
        with pytest.raises(ValueError, match=r"\w"):
            parse_step(wrong)
    assert all(Fault(kind).kind == kind for kind in KINDS)


def test_random_script_is_seeded() -> None:
    """The same seed gives the same script, of single connections with a spare one."""
    first = list(random_script(3, mean_s=5, until_s=600))
    assert first == list(random_script(3, mean_s=5, until_s=600))
    assert first != list(random_script(4, mean_s=5, until_s=600))
    assert 80 < len(first) < 160
    assert {step.connection for step in first} == {"one"}
    assert {step.fault.kind for step in first} >= {"cut", "stall", "unrouted", "garbage"}


def test_scripted_in_a_thread() -> None:
    """The thread's simulator runs a script, and its truth can be read during and after."""

    async def listen(url: str) -> Client:
        async with connected(f"{url}?streams={STREAMS}") as client:
            await asyncio.wait_for(client.closed.wait(), 20)
            return client

    script = [Step(1.5, Fault("cut"), "open")]
    with simulated(script=script, rate=400, hold_ms=0, seed=5) as sim:
        client = asyncio.run(listen(sim.ws_url))
        assert sim.send(b"{}") is None
        assert sim.fault("stall", 99) == ()
        assert sim.connections[0].cause == "cut"
        assert sim.wait_for(lambda: sim.counts.events > 700, 20)
        assert len(sim.sent) > 700
    sent = sim.sent
    assert len(sent) == sim.counts.events
    received = set(client.texts)
    written = [event for event in sent if event.written]
    assert 50 < len(written) < len(sent)
    assert all(b'{"stream":"!forceOrder@arr","data":' + event.payload + b"}" in received for event in written)
