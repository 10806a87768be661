from __future__ import annotations

import json
from typing import Any

import pytest

from rekt.config import Section
from rekt.errors import FrameError, RestError
from rekt.model import Instrument, Liquidation
from rekt.venue import Notice, Reference, Tick
from rekt.venues.okx import VENUE
from tests.venues.samples_okx import CONTRACTS, detail, frame

NOW_US = 1_791_565_603_100_000
SETTINGS = Section("OKX", {name: key.default for name, key in VENUE.keys.items()})


def decode(data: bytes, *known: Instrument) -> Any:
    """What the decoder says of these bytes."""
    return VENUE.decode(data, NOW_US, Reference({one.symbol: one for one in known}))


def swap(*details: str) -> bytes:
    """A frame of the USDT swap of bitcoin."""
    return frame("SWAP", "BTC-USDT-SWAP", "BTC-USDT", *details)


@pytest.mark.parametrize(
    ("position", "order", "side"),
    [
        ("long", "sell", "long"),
        ("short", "buy", "short"),
        ("net", "sell", "long"),
        ("net", "buy", "short"),
    ],
)
def test_the_side_is_the_position_or_what_the_order_closed(position: str, order: str, side: str) -> None:
    """`posSide` names the position; of a net position the order's side tells it."""
    (event,) = decode(swap(detail(position, order, "1", "60000")))
    assert event.side == side


@pytest.mark.parametrize(("position", "order"), [("long", "buy"), ("short", "sell")])
def test_a_side_that_contradicts_itself_is_not_guessed(position: str, order: str) -> None:
    """A long closed by a buy was never seen: it is kept as a frame that does not fit."""
    with pytest.raises(FrameError, match="closed by"):
        decode(swap(detail(position, order, "1", "60000")))


def test_a_backlog_is_the_same_events_again() -> None:
    """What a first message after subscribing repeats, minutes later and beside newer ones, has the same identities."""
    one, two = (
        detail("long", "sell", "1", "60000", "1791565000000"),
        detail("net", "buy", "2", "60001", "1791565001000"),
    )
    live = [*decode(swap(one)), *decode(swap(two))]
    told = VENUE.decode(swap(two, one), NOW_US + 600_000_000, Reference())
    assert type(told) is tuple
    assert {event.uid for event in told} == {event.uid for event in live}
    assert len({event.uid for event in live}) == 2


def test_a_size_belongs_to_its_exact_symbol() -> None:
    """A contract that only begins like a known one has no size, and so no value."""
    known = next(one for one in CONTRACTS if one.symbol == "BTC-USDT-SWAP")
    (event,) = decode(
        frame("FUTURES", "BTC-USDT-261225", "BTC-USDT", detail("net", "sell", "1", "60000")), known
    )
    assert isinstance(event, Liquidation)
    assert event.notional is None
    dated = Instrument("okx", "BTC-USDT-261225", "linear", "BTC", "USDT", "0.001", 0)
    assert VENUE.value(event, dated) == 60_000_000


def test_a_missing_price_leaves_a_linear_value_unknown() -> None:
    """OKX writes an absent value as an empty text: the event counts, its value is unknown."""
    (event,) = decode(swap(detail("net", "sell", "1", "")), *CONTRACTS)
    assert (event.price, event.notional) == (None, None)


@pytest.mark.parametrize(
    ("symbol", "family", "market"),
    [
        ("ETH-USD-SWAP", "ETH-USD", "inverse"),
        ("ETH-USD-SWAP", "", "inverse"),
        ("ETH-USDT-261225", "ETH-USDT", "linear"),
        ("ETH-USD_UM_XPERP-310404", "ETH-USD_UM", "linear"),
        ("ETH-USD_UM_XPERP-310404", "", "linear"),
    ],
)
def test_the_market_of_an_unlisted_contract(symbol: str, family: str, market: str) -> None:
    """In no document: plain USD is inverse, its `_UM` perpetuals and the rest are linear; no value either way."""
    (event,) = decode(frame("SWAP", symbol, family, detail("net", "sell", "1", "60000")))
    assert (event.feed.market, event.notional) == (market, None)


def test_the_document_tells_the_market_not_the_name() -> None:
    """`ctType` decides, whatever the name looks like."""
    listed = Instrument("okx", "ETH-USD-SWAP", "linear", "ETH", "USD", "1", 0)
    (event,) = decode(frame("SWAP", "ETH-USD-SWAP", "ETH-USD", detail("net", "sell", "2", "2500")), listed)
    assert (event.feed.market, event.notional) == ("linear", 5_000_000_000)


def test_the_canary_tells_bitcoins_price() -> None:
    """The mark price of the bitcoin swap, at the venue's time; of another instrument only the time."""
    text = (
        b'{"arg":{"channel":"mark-price","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP",'
        b'"instType":"SWAP","markPx":"60210.50","ts":"1791565603000"}]}'
    )
    assert decode(text) == Tick(1_791_565_603_000, "60210.50")
    assert decode(text.replace(b"BTC", b"ETH")) == Tick(1_791_565_603_000, None)


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (b"pong", Notice("other", "pong")),
        (
            b'{"event":"subscribe","arg":{"channel":"mark-price","instId":"BTC-USDT-SWAP"},"connId":"x"}',
            Notice("ack", about="mark-price BTC-USDT-SWAP"),
        ),
        (b'{"event":"error","code":"60012","msg":"Invalid"}', Notice("error", "60012: Invalid")),
        (b'{"event":"notice","code":"64008","msg":"closing"}', Notice("reconnect", "64008: closing")),
        (b'{"event":"notice","code":"1","msg":"news"}', Notice("other", "1: news")),
    ],
)
def test_answers_are_notices(text: bytes, notice: Notice) -> None:
    """The text pong, acknowledgements, errors and the announced close are told for what they are."""
    assert decode(text) == notice


GOOD = detail("net", "sell", "1", "60000")
BAD = [
    b"", b"ping", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"data":' + b"[" * 100_000,
    b'{"event":"login"}', b'{"arg":{"channel":"trades"},"data":[]}', b'{"arg":{"channel":"liquidation-orders"}}',
    b'{"arg":{"channel":"mark-price"},"data":[]}', b'{"arg":{"channel":"liquidation-orders"},"data":[]}',
    swap(), swap(GOOD.replace('"1"', '"-1"')), swap(GOOD.replace('"1"', "1")), swap(GOOD.replace("net", "both")),
    swap(GOOD.replace("60000", "6e4")), swap(GOOD.replace("1791565602047", "179156560204700000000")),
    swap(GOOD.replace("1791565602047", "")), swap(GOOD.replace("1791565602047", "1.5")), frame("SWAP", "", "", GOOD),
    frame("SWAP", "A" * 65, "", GOOD), swap(GOOD, "{}"),
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_does_not_fit_is_one_error(data: bytes) -> None:
    """Malformed, out of bounds or not asked for: FrameError, with a reason."""
    with pytest.raises(FrameError) as caught:
        decode(data)
    assert caught.value.message


def contract(**changes: Any) -> dict[str, Any]:
    """An entry of the instruments document."""
    plain = {
        "instId": "BTC-USDT-SWAP", "instType": "SWAP", "ctType": "linear", "ctVal": "0.01", "ctMult": "1",
        "ctValCcy": "BTC", "settleCcy": "USDT", "state": "live", "uly": "BTC-USDT",
    }  # fmt: skip
    return plain | changes


def test_documents_list_contracts_with_their_sizes() -> None:
    """A size is ctVal × ctMult, in coins or in dollars; an entry that does not fit is left out."""
    swaps, futures = VENUE.documents(SETTINGS)
    assert swaps.url == "https://www.okx.com/api/v5/public/instruments?instType=SWAP"
    assert futures.url == "https://www.okx.com/api/v5/public/instruments?instType=FUTURES"
    assert swaps.following(b"{}") is None
    inverse = {"ctType": "inverse", "ctVal": "100", "ctValCcy": "USD", "settleCcy": "BTC"}
    entries = [
        contract(),
        contract(instId="BTC-USD-SWAP", **inverse),
        contract(instId="X-USDT-SWAP", ctVal="0.10", ctMult="25", ctValCcy="X"),
        contract(instId="BTC-USD_UM_XPERP-310404", instType="FUTURES", ctVal="0.0001", settleCcy="USDC"),
        contract(instId="USDC-USDT-SWAP", ctVal="10", ctValCcy="USDC"),
        contract(instId="A", state="preopen"),
        contract(instId="B", ctVal=""),
        contract(instId="C", ctVal="0"),
        contract(instId="D", ctValCcy="USDT"),
        contract(instId="E", ctType="quanto"),
        contract(instId="F", **(inverse | {"ctValCcy": "BTC"})),
        7,
        {},
    ]
    assert swaps.parse(json.dumps({"code": "0", "data": entries}).encode(), 5) == [
        Instrument("okx", "BTC-USDT-SWAP", "linear", "BTC", "USDT", "0.01", 5),
        Instrument("okx", "BTC-USD-SWAP", "inverse", "BTC", "USD", "100", 5),
        Instrument("okx", "X-USDT-SWAP", "linear", "X", "USDT", "2.5", 5),
        Instrument("okx", "BTC-USD_UM_XPERP-310404", "linear", "BTC", "USDC", "0.0001", 5),
        Instrument("okx", "USDC-USDT-SWAP", "linear", "USDC", "USDT", "10", 5),
    ]
    with pytest.raises(RestError):
        swaps.parse(b"<html>", 0)


def test_what_is_said_after_connecting() -> None:
    """Both kinds and the canary in one request, and a text ping more often than the venue's patience of 30 s."""
    (endpoint,) = VENUE.endpoints(SETTINGS)
    assert endpoint.url == "wss://ws.okx.com:8443/ws/v5/public"
    (message,) = endpoint.messages
    assert json.loads(message) == {
        "id": "1",
        "op": "subscribe",
        "args": [
            {"channel": "liquidation-orders", "instType": "SWAP"},
            {"channel": "liquidation-orders", "instType": "FUTURES"},
            {"channel": "mark-price", "instId": "BTC-USDT-SWAP"},
        ],
    }
    assert endpoint.heartbeat is not None
    assert endpoint.heartbeat.message == b"ping"
    assert endpoint.heartbeat.every_s < 30
