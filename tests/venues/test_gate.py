from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rekt import app
from rekt.config import Section
from rekt.errors import FrameError, RestError
from rekt.model import Instrument, Liquidation
from rekt.simulator import simulated
from rekt.venue import Notice, Reference, Tick
from rekt.venues.gate import VENUE
from tests.venues.samples_gate import CONTRACTS, frame

NOW_US = 1_791_565_603_100_000
AT = 1_791_565_602_047
SETTINGS = Section("GATE", {name: key.default for name, key in VENUE.keys.items()})


def decode(data: bytes, market: Any = None, *known: Instrument) -> Any:
    """What the decoder says of these bytes, from an endpoint of this market."""
    return VENUE.decode(data, NOW_US, Reference({one.symbol: one for one in known}).of(market))


def order(**changes: Any) -> dict[str, Any]:
    """An entry of a frame; None takes a field out."""
    plain = {"price": "60000.5", "size": "-2", "time": AT, "contract": "BTC_USDT"} | changes
    return {name: value for name, value in plain.items() if value is not None}


def one(market: Any = "linear", *known: Instrument, **changes: Any) -> Liquidation:
    """The one event of a frame with such an entry."""
    (event,) = decode(frame(json.dumps([order(**changes)])), market, *known)
    assert isinstance(event, Liquidation)
    return event


@pytest.mark.parametrize(
    ("size", "side", "quantity"),
    [
        ("-124.5", "long", "124.5"),
        ("124.5", "short", "124.5"),
        (-124, "long", "124"),
        (124, "short", "124"),
        (-0.5, "long", "0.5"),
    ],
)
def test_the_sign_is_the_order_s(size: Any, side: str, quantity: str) -> None:
    """A negative size is a forced sale: a long. Text or number, its digits stay."""
    event = one(size=size)
    assert (event.side, event.quantity) == (side, quantity)


def test_digits_of_bare_numbers_stay() -> None:
    """A price that came as a number is not passed through a float."""
    text = (
        '[{"price":0.1000000000000000055511151231257827,"size":-1,"time":1791565602047,"contract":"X_USDT"}]'
    )
    (event,) = decode(frame(text), "linear")
    assert event.price == "0.1000000000000000055511151231257827"


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"time": AT}, AT),
        ({"time": AT // 1000}, AT // 1000 * 1000),
        ({"time": None, "time_ms": AT}, AT),
        ({"time": None, "time_ms": AT // 1000}, AT // 1000 * 1000),
        ({"time": AT // 1000, "time_ms": AT}, AT),
    ],
)
def test_both_names_and_units_of_the_trade_time(changes: dict[str, Any], at: int) -> None:
    """`time` or `time_ms`, seconds or milliseconds: told by its size; the finer one where both are there."""
    assert one(**changes).trade_time == at


def test_an_object_instead_of_a_list() -> None:
    """A result that is one object is one event, the same as a list of one."""
    text = json.dumps(order())
    assert decode(frame(text), "linear") == decode(frame(f"[{text}]"), "linear")


def test_equal_events_of_a_frame_are_two() -> None:
    """A batch may hold the same twice: they are told apart by their ordinal, and stay the same when told again."""
    text = frame(json.dumps([order(), order()]))
    uids = [event.uid for event in decode(text, "linear")]
    assert len(set(uids)) == 2
    assert [event.uid for event in decode(text, "linear")] == uids


@pytest.mark.parametrize(
    ("market", "contract", "found"),
    [
        ("linear", "BTC_USD", "linear"),
        ("inverse", "BTC_USDT", "inverse"),
        (None, "BTC_USDT", "linear"),
        (None, "BTC_USD", "inverse"),
    ],
)
def test_the_market_is_the_address_s(market: Any, contract: str, found: str) -> None:
    """The address tells the market; only a bare frame of an unlisted contract is told by its name."""
    assert one(market, contract=contract).feed.market == found


def test_a_listed_contract_tells_its_market() -> None:
    """Without an address (a bare tape) the document does."""
    listed = Instrument("gate", "ODD_USD", "linear", "ODD", "USD", "10", 0)
    event = one(None, listed, contract="ODD_USD", size="3", price="2")
    assert (event.feed.market, event.notional) == ("linear", 60_000_000)


def test_a_size_belongs_to_its_exact_contract() -> None:
    """A contract that only begins like a known one has no value until it is known."""
    event = one("linear", *CONTRACTS, contract="BTC_USDT2")
    assert event.notional is None
    known = Instrument("gate", "BTC_USDT2", "linear", "BTC", "USDT", "0.001", 0)
    assert VENUE.value(event, known) == 120_001_000


def test_the_canary_tells_bitcoins_price() -> None:
    """The ticker's last price at the frame's time, in milliseconds where it has them; of another contract no price."""
    text = (
        b'{"time":1791565603,"time_ms":1791565603055,"channel":"futures.tickers","event":"update",'
        b'"result":[{"contract":"BTC_USDT","last":"60210.5"}]}'
    )
    assert decode(text, "linear") == Tick(1_791_565_603_055, "60210.5")
    assert decode(text.replace(b'"time_ms":1791565603055,', b""), "linear") == Tick(
        1_791_565_603_000, "60210.5"
    )
    assert decode(text.replace(b"_USDT", b"_USD"), "inverse") == Tick(1_791_565_603_055, "60210.5")
    assert decode(text.replace(b"BTC", b"ETH"), "linear") == Tick(1_791_565_603_055, None)


def test_an_error_is_told_with_its_channel() -> None:
    """A refusal says what it is about and the venue's words."""
    notice = decode(
        b'{"time":1,"channel":"futures.tickers","event":"subscribe","error":{"code":2,"message":"no such"}}'
    )
    assert isinstance(notice, Notice)
    assert (notice.kind, notice.about) == ("error", "futures.tickers")
    assert "no such" in notice.text


def bad(**changes: Any) -> bytes:
    """A frame whose one entry has these changes."""
    return frame(json.dumps([order(**changes)]))


BAD = [
    b"", b"pong", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"channel":"x","result":' + b"[" * 100_000,
    b'{"channel":"x","error":' + b"[" * 100_000, frame("[]"), frame("7"), frame("null"), frame("[{}]"),
    b'{"channel":"futures.trades","event":"update","time":1791565603,"result":[]}',
    b'{"channel":"futures.public_liquidates","event":"update","result":[]}',
    b'{"channel":"futures.public_liquidates","event":"all","time":1791565603,"result":[]}',
    b'{"channel":"futures.tickers","event":"update","time":1791565603,"result":[]}',
    bad(size="0"), bad(size=0), bad(size="-0.0"), bad(size="--1"), bad(size="+1"), bad(size="1e3"), bad(size=None),
    bad(size=[1]), bad(price=None), bad(price="-1"), bad(price=1e300), bad(time=None), bad(time="x"), bad(time=0),
    bad(contract=""), bad(contract="A" * 65), frame(json.dumps([order(), {}])),
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_does_not_fit_is_one_error(data: bytes) -> None:
    """Malformed, out of bounds, without a side or not asked for: FrameError, with a reason."""
    with pytest.raises(FrameError) as caught:
        decode(data, "linear")
    assert caught.value.message


def test_documents_list_contracts_with_their_sizes() -> None:
    """A linear contract's size is its multiplier; an inverse one with multiplier 0 is a dollar; the rest is left out."""
    linear, inverse = VENUE.documents(SETTINGS)
    assert linear.url == "https://api.gateio.ws/api/v4/futures/usdt/contracts"
    assert inverse.url == "https://api.gateio.ws/api/v4/futures/btc/contracts"
    entries: list[Any] = [
        {"name": "BTC_USDT", "type": "direct", "quanto_multiplier": "0.0001"},
        {"name": "ETH_USDT", "type": "direct", "quanto_multiplier": 0.010},
        {"name": "BTC_USD", "type": "inverse", "quanto_multiplier": "0"},
        {"name": "A_USDT", "type": "direct", "quanto_multiplier": "0"},
        {"name": "B_USD", "type": "inverse", "quanto_multiplier": "0.5"},
        {"name": "C_USDT", "type": "direct", "quanto_multiplier": "x"},
        {"name": "D", "type": "direct", "quanto_multiplier": "1"},
        {"name": "E_USDT", "type": "direct"},
        7,
    ]
    body = json.dumps(entries).encode()
    assert linear.parse(body, 5) == [
        Instrument("gate", "BTC_USDT", "linear", "BTC", "USDT", "0.0001", 5),
        Instrument("gate", "ETH_USDT", "linear", "ETH", "USDT", "0.01", 5),
    ]
    assert inverse.parse(body, 6) == [Instrument("gate", "BTC_USD", "inverse", "BTC", "USD", "1", 6)]
    for document in (linear, inverse):
        with pytest.raises(RestError):
            document.parse(b'{"label":"ERROR"}', 0)


def test_what_is_said_after_connecting() -> None:
    """Each address: the whole market, its own canary, the header for whole sizes, and a ping of Gate's own."""
    linear, inverse = VENUE.endpoints(SETTINGS)
    assert (linear.market, inverse.market) == ("linear", "inverse")
    assert linear.url == "wss://fx-ws.gateio.ws/v4/ws/usdt"
    assert inverse.url == "wss://fx-ws.gateio.ws/v4/ws/btc"
    for endpoint, contract in ((linear, "BTC_USDT"), (inverse, "BTC_USD")):
        assert dict(endpoint.headers) == {"X-Gate-Size-Decimal": "1"}
        told = [json.loads(message.replace(b"{now}", b"1791565603")) for message in endpoint.messages]
        assert told == [
            {"time": 1791565603, "channel": channel, "event": "subscribe", "payload": [what]}
            for channel, what in (("futures.public_liquidates", "!all"), ("futures.tickers", contract))
        ]
        assert endpoint.heartbeat is not None
        assert endpoint.heartbeat.message == b'{"time":{now},"channel":"futures.ping"}'
        assert endpoint.heartbeat.every_s == 15


def test_the_header_is_sent() -> None:
    """On a real socket both addresses are opened with it."""
    with simulated(venue="gate", scene="none") as exchange:

        async def opened() -> None:
            for endpoint in VENUE.endpoints(app.pointed_at(SETTINGS, exchange.ws_url, exchange.rest_url)):
                await (await app.connect(endpoint)).close("stopped")

        asyncio.run(opened())
        found = [life.headers.get("x-gate-size-decimal") for life in exchange.connections]
    assert found == ["1", "1"]
