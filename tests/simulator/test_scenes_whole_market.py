"""Scenes of venues with a subscription for the whole market: what they say is what the venue's decoder reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from rekt import registry
from rekt.config import Section
from rekt.model import Liquidation
from rekt.simulator import Options, Simulator
from rekt.simulator.scene import Order
from rekt.simulator.scenes.gate import Gate, GateSession
from rekt.venue import Document, Endpoint, Notice, Reference, Tick, Venue
from tests.simulator.client import Client, connected

NAMES = ("bitget", "gate", "okx")


def venue(name: str) -> Venue:
    """The venue of this name."""
    found: Venue = registry.load("rekt.venues", name).VENUE
    return found


def section(name: str) -> Section:
    """The venue's own defaults."""
    return Section(name.upper(), {key: spec.default for key, spec in venue(name).keys.items()})


def moved(url: str, origin: str) -> str:
    """The same path and query at the simulator."""
    parts = urlsplit(url)
    return f"{origin}{parts.path}{'?' if parts.query else ''}{parts.query}"


async def listed(name: str, exchange: Simulator) -> Reference:
    """What the venue's documents list."""
    found = Reference()
    async with httpx.AsyncClient() as client:
        documents: list[Document] = venue(name).documents(section(name))
        for document in documents:
            answer = await client.get(moved(document.url, exchange.rest_url))
            found.instruments.update(
                {one.symbol: one for one in document.parse(answer.raise_for_status().content, 0)}
            )
    return found


@asynccontextmanager
async def subscribed(name: str, exchange: Simulator) -> AsyncIterator[list[tuple[Endpoint, Client]]]:
    """A client at each of the venue's endpoints, its messages said."""
    origin = f"ws://127.0.0.1:{exchange.port}"
    async with AsyncExitStack() as stack:
        clients = []
        for endpoint in venue(name).endpoints(section(name)):
            client = await stack.enter_async_context(
                connected(moved(endpoint.url, origin), headers=endpoint.headers)
            )
            for message in endpoint.messages:
                client.say(message.replace(b"{now}", b"1795000000"))
            clients.append((endpoint, client))
        yield clients


def heard(name: str, clients: list[tuple[Endpoint, Client]], reference: Reference, now_ms: int) -> list[Any]:
    """All that was told, decoded."""
    return [
        venue(name).decode(text, now_ms * 1000, reference.of(endpoint.market))
        for endpoint, client in clients
        for text in client.texts
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_decoder_reads_what_the_scene_says(name: str) -> None:
    """Over a socket: every subscription acknowledged, a tick with bitcoin's price, each liquidation of both markets valued."""

    async def record() -> None:
        async with Simulator(Options(venue=name, rate=60.0, seed=4, hold_ms=0, late_share=0)) as exchange:
            reference = await listed(name, exchange)
            assert {one.symbol for one in reference.instruments.values()} == {
                one.symbol for one in exchange.scene.instruments
            }
            async with subscribed(name, exchange) as clients:

                def told() -> list[Any]:
                    return heard(name, clients, reference, exchange.now_ms())

                def enough() -> bool:
                    ticks = [one for one in told() if isinstance(one, Tick)]
                    events = [event for one in told() if type(one) is tuple for event in one]
                    both = len({event.feed.market for event in events}) == 2
                    return both and len(events) >= 60 and len(ticks) >= len(clients)

                await clients[0][1].until(enough, 20)
                all_told = told()
            asked = sum(
                len(json.loads(message.replace(b"{now}", b"1")).get("args", [None]))
                for endpoint, _ in clients
                for message in endpoint.messages
            )
            assert len([one for one in all_told if isinstance(one, Notice) and one.kind == "ack"]) == asked
            assert not [one for one in all_told if isinstance(one, Notice) and one.kind != "ack"]
            ticks = [one for one in all_told if isinstance(one, Tick)]
            assert ticks
            assert all(70_000 < float(tick.price or 0) < 90_000 for tick in ticks)
            events = [event for one in all_told if type(one) is tuple for event in one]
            assert len({event.uid for event in events}) == len(events) >= 60
            assert {event.feed.market for event in events} == {"linear", "inverse"}
            assert all(event.notional is not None for event in events)

    asyncio.run(record())


def worth(name: str, row: dict[str, Any], sizes: dict[str, Decimal]) -> Decimal:
    """Dollars of an entry, by the facts: contract × size × price, dollars a contract, or the amount itself."""
    if name == "bitget":
        return Decimal(row["amount"])
    symbol = row["instId"] if name == "okx" else row["contract"]
    quantity = abs(Decimal(row["sz"] if name == "okx" else row["size"]))
    price = Decimal(row["bkPx"] if name == "okx" else row["price"])
    inverse = "-USD-" in symbol or symbol.endswith("_USD")
    return quantity * sizes[symbol] * (1 if inverse else price)


SIZES = {
    "okx": {
        "BTC-USDT-SWAP": "0.01", "ETH-USDT-SWAP": "0.1", "SOL-USDT-SWAP": "1", "CNPY-USDT-SWAP": "10",
        "BTC-USDT-261225": "0.01", "BTC-USD_UM_XPERP-310404": "0.0001", "BTC-USD-SWAP": "100", "ETH-USD-SWAP": "10",
        "BTC-USD-261225": "100",
    },
    "gate": {"BTC_USDT": "0.0001", "ETH_USDT": "0.01", "SOL_USDT": "1", "DOGE_USDT": "10", "BTC_USD": "1"},
    "bitget": {},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_market_is_worth_what_the_facts_say(name: str) -> None:
    """Side and value of every published liquidation agree with an independent reading of its frame."""

    async def record() -> None:
        sizes = {symbol: Decimal(size) for symbol, size in SIZES[name].items()}
        async with Simulator(Options(venue=name, rate=200.0, seed=9, hold_ms=0, late_share=0)) as exchange:
            reference = await listed(name, exchange)
            async with subscribed(name, exchange) as clients:
                await clients[0][1].until(lambda: len(exchange.sent) >= 150, 20)
            sides = set()
            for sent in exchange.sent:
                frame = json.loads(sent.payload)
                (row,) = frame["result"] if name == "gate" else frame["data"]
                (event,) = venue(name).decode(sent.payload, exchange.now_ms() * 1000, reference)  # type: ignore[misc]
                assert isinstance(event, Liquidation)
                if name == "okx":
                    row |= row["details"][0]
                long = {
                    "okx": lambda row: row["side"] == "sell",
                    "gate": lambda row: row["size"].startswith("-"),
                    "bitget": lambda row: row["side"] == "buy",
                }[name](row)
                assert event.side == ("long" if long else "short")
                assert event.notional == round(worth(name, row, sizes) * 1_000_000)
                publication = exchange.scene.frame(sent.payload)
                assert publication is not None
                assert publication.event_time_ms >= event.trade_time
                sides.add(event.side)
            assert sides == {"long", "short"}

    asyncio.run(record())


@pytest.mark.parametrize("name", NAMES)
def test_another_venue_s_frames_and_paths_are_nothing(name: str) -> None:
    """A scene makes no publication of noise and has no other documents."""

    async def look() -> None:
        async with Simulator(Options(venue=name, rate=0)) as exchange:
            for noise in (b"", b"pong", b"{}", b'{"e":"forceOrder"}', b"[" * 5000):
                assert exchange.scene.frame(noise) is None
            assert exchange.scene.document("/fapi/v1/exchangeInfo", 0) is None
            assert isinstance(exchange.scene.session("/stream"), str)
            notice = exchange.scene.shutdown_notice(exchange.now_ms())
            told = venue(name).decode(notice.payload, exchange.now_ms() * 1000, Reference())
            assert isinstance(told, Notice)
            assert told.kind == ("reconnect" if name == "okx" else "other")

    asyncio.run(look())


def test_a_backlog_comes_again_at_okx() -> None:
    """Who subscribes later is told the latest liquidations first: the same events, with the same identities."""

    async def record() -> None:
        async with Simulator(Options(venue="okx", rate=50.0, seed=2, hold_ms=0, late_share=0)) as exchange:
            async with subscribed("okx", exchange) as clients:
                await clients[0][1].until(lambda: len(exchange.sent) >= 20, 20)
            async with subscribed("okx", exchange) as clients:
                await clients[0][1].until(lambda: len(clients[0][1].texts) > 30, 20)
                told = heard("okx", clients, Reference(), exchange.now_ms())
            later = exchange.connections[-1].id
            uids = {True: set[bytes](), False: set[bytes]()}  # by whether it was published to this connection
            for sent in exchange.sent:
                (event,) = venue("okx").decode(sent.payload, exchange.now_ms() * 1000, Reference())  # type: ignore[misc]
                assert isinstance(event, Liquidation)
                uids[later in [connection for connection, _ in sent.written]].add(event.uid)
            heard_uids = [event.uid for one in told if type(one) is tuple for event in one]
            assert len(set(heard_uids)) == len(heard_uids)
            assert 3 <= len(set(heard_uids) & uids[False]) <= 6
            assert set(heard_uids) <= uids[True] | uids[False]

    asyncio.run(record())


def gate(path: str = "/v4/ws/usdt") -> GateSession:
    """A dialogue with Gate."""
    session = Gate(Options(venue="gate")).session(path)
    assert isinstance(session, GateSession)
    return session


def answer(session: GateSession, **request: Any) -> Any:
    """The one reply to a request."""
    (reply,) = session.receive(json.dumps({"time": 1_795_000_000} | request).encode())
    return json.loads(reply)


def test_gate_s_addresses_know_their_own_contracts() -> None:
    """The whole market is for liquidations only; a contract of the other settlement coin is an error with a code."""
    session = gate()
    told = answer(session, channel="futures.public_liquidates", event="subscribe", payload=["!all"])
    assert (told["error"], told["result"]) == (None, {"status": "success"})
    for channel, what in (
        ("futures.tickers", "BTC_USD"),
        ("futures.tickers", "!all"),
        ("futures.liquidates", "!all"),
        ("futures.public_liquidates", "X_USDT"),
    ):
        told = answer(session, channel=channel, event="subscribe", payload=[what])
        assert told["error"]["code"] == 2
    assert list(session.streams) == ["futures.public_liquidates usdt !all"]
    assert answer(gate("/v4/ws/btc"), channel="futures.tickers", event="subscribe", payload=["BTC_USD"])[
        "result"
    ]
    answer(session, channel="futures.public_liquidates", event="unsubscribe", payload=["!all"])
    assert not session.streams


def test_gate_cuts_sizes_for_who_does_not_ask_for_their_digits() -> None:
    """With the header a size is a decimal in quotes, without it what is before the point, as a number."""
    scene = Gate(Options(venue="gate"))
    btc = next(i for i in scene.instruments if i.symbol == "BTC_USDT")
    publication = scene.liquidation(Order(btc, "SELL", "FILLED", 820_000, 820_000, 1245, 1245, 1245, 5), 6)
    assert publication is not None
    for headers, size in (({"x-gate-size-decimal": "1"}, "-124.5"), ({}, -124)):
        session = gate()
        session.meet(headers)
        answer(session, channel="futures.public_liquidates", event="subscribe", payload=["!all"])
        (frame,) = session.encode(publication)
        assert json.loads(frame)["result"][0]["size"] == size


def test_gate_answers_its_own_ping() -> None:
    """A ping message is answered by a pong message; one that is no request by an error."""
    session = gate()
    assert answer(session, channel="futures.ping")["channel"] == "futures.pong"
    (reply,) = session.receive(b"ping")
    assert json.loads(reply)["error"]["code"] == 1
    assert not gate("/v4/ws/silent").routed
