"""BitMEX: orders without a time, contracts of three kinds, its text heartbeat and its list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rekt.errors import FrameError, RestError
from rekt.model import Instrument
from rekt.pipeline.instruments import settle
from rekt.store import Settled
from rekt.venue import Notice, Reference, Tick
from rekt.venues.bitmex import VENUE
from tests.contracts.test_venue import NOW_US, settings

LATER_US = NOW_US + 3_600_000_000


def order(action: str, symbol: str, quantity: str, price: str) -> bytes:
    """A frame of one forced sale."""
    return (
        f'{{"table":"liquidation","action":"{action}","data":[{{"orderID":"o1","symbol":"{symbol}","side":"Sell",'
        f'"price":{price},"leavesQty":{quantity}}}]}}'
    ).encode()


def decode(data: bytes, known: Reference | None = None, now_us: int = NOW_US) -> Any:
    """What a frame says."""
    return VENUE.decode(data, now_us, known or Reference())


def test_an_order_that_stands_at_subscription_is_told_once() -> None:
    """A later connection's `partial` has the order again, at another time: the same identity, and no time of its own."""
    (first,) = decode(order("insert", "XBTUSD", "9214", "10106"))
    (again,) = decode(order("partial", "XBTUSD", "5000", "10106"), now_us=LATER_US)
    assert first.uid == again.uid
    assert (first.trade_time, again.trade_time) == (NOW_US // 1000, LATER_US // 1000)
    assert first.event_time is again.event_time is None  # so the ledger keeps the first telling


def test_a_guessed_market_gives_the_same_identity_as_the_listed_one() -> None:
    """Before the list is read, bitcoin's own contracts are taken for inverse, the others for linear."""
    for symbol, market in [
        ("XBTUSD", "inverse"), ("XBTEUR", "inverse"), ("XBTZ26", "inverse"), ("XBTUSDT", "linear"),
        ("XBTUSDTZ26", "linear"), ("ETHUSD", "linear"), ("ETHUSDT", "linear"),
    ]:  # fmt: skip
        (event,) = decode(order("insert", symbol, "1", "2"))
        assert event.feed.market == market, symbol


def test_quanto_contracts_are_valued_by_bitcoins_price() -> None:
    """4,000 × 2,450.25 × 100 satoshi = 9.801 XBT, times the last mark price told before it came."""
    known = Reference({"ETHUSD": Instrument("bitmex", "ETHUSD", "linear", "ETH", "XBT", "0.000001", 0)})
    for second, price in ((41, "81000"), (42, "82000.5"), (59, "90000")):
        tick = decode(
            f'{{"table":"instrument","action":"update","data":[{{"symbol":"XBTUSD","markPrice":{price},'
            f'"timestamp":"2026-10-09T17:06:{second}.000Z"}}]}}'.encode()
        )
        known.tick(tick)
    (event,) = decode(order("insert", "ETHUSD", "4000", "2450.25"), known)
    assert (event.notional, event.basis) == (803_686_900_500, "BTC 82000.5")


def test_a_tick_has_the_venues_time_where_it_tells_one() -> None:
    """Else the receive time; the price where the row has it, and only XBTUSD's."""
    row = b'{"table":"instrument","action":"update","data":[{"symbol":"%b"%b}]}'
    moment = b',"timestamp":"2026-10-09T17:06:42.500Z"'
    assert decode(row % (b"XBTUSD", b',"markPrice":82000.50' + moment)) == Tick(1_791_565_602_500, "82000.50")
    assert decode(row % (b"XBTUSD", b',"markPrice":null')) == Tick(NOW_US // 1000)
    assert decode(row % (b"ETHUSD", b',"markPrice":2450')) == Tick(NOW_US // 1000)


def test_a_quanto_contract_learnt_later_is_settled_at_the_price_of_its_moment() -> None:
    """An event that came before its list is valued by bitcoin's price just before it; by an older one never."""
    known = Reference()
    at = NOW_US // 1000
    known.tick(Tick(at - 500, "80000"))
    known.tick(Tick(at + 500, "90000"))
    (event,) = decode(order("insert", "ETHUSD", "4000", "2450.25"), known)
    assert event.notional is None
    known.instruments["ETHUSD"] = Instrument("bitmex", "ETHUSD", "linear", "ETH", "XBT", "0.000001", 0)
    later = event._replace(trade_time=at + 3_600_000)
    assert settle(VENUE, known, [event, later]) == [
        Settled(at, event.uid, 784_080_000_000, "BTC 80000")  # 4,000 × 10⁻⁶ × 2,450.25 bitcoin
    ]


def test_its_heartbeat_is_text() -> None:
    """`ping` within 5 s, answered by a `pong` that is no JSON; bitcoin's price is asked for before the orders."""
    assert decode(b"pong") == Notice("other", "pong")
    (endpoint,) = VENUE.endpoints(settings("bitmex"))
    assert endpoint.heartbeat is not None
    assert endpoint.heartbeat.message == b"ping"
    assert endpoint.heartbeat.every_s <= 5
    assert endpoint.messages == (b'{"op":"subscribe","args":["instrument:XBTUSD","liquidation"]}',)
    ack = b'{"success":true,"subscribe":"liquidation","request":{}}'
    assert decode(ack) == Notice("ack", about="liquidation")
    with pytest.raises(FrameError, match="action"):
        decode(order("replace", "XBTUSD", "1", "2"))


def test_the_list_tells_what_a_contract_is_worth() -> None:
    """Inverse, linear, quanto; what does not trade, has no exact size or does not fit is left out."""
    (document,) = VENUE.documents(settings("bitmex"))
    inverse = {"isInverse": True, "isQuanto": False}
    linear = {
        "isInverse": False,
        "isQuanto": False,
        "multiplier": 1,
        "quoteCurrency": "USDT",
        "settlCurrency": "USDt",
    }
    quanto = {"isInverse": False, "isQuanto": True, "quoteCurrency": "USD", "settlCurrency": "XBt"}
    entries: list[object] = [
        {"symbol": "XBTUSD", "state": "Open", **inverse, "multiplier": -100000000, "quoteCurrency": "USD", "underlying": "XBT"},
        {"symbol": "XBTEUR", "state": "Open", **inverse, "multiplier": -100000000, "quoteCurrency": "EUR", "underlying": "XBT"},
        {"symbol": "XBTUSDT", "state": "Open", **linear, "underlyingToPositionMultiplier": 1000000, "underlying": "XBT"},
        {"symbol": "ODDUSDT", "state": "Open", **linear, "underlyingToPositionMultiplier": 3},
        {"symbol": "NOUSDT", "state": "Open", **linear, "underlyingToPositionMultiplier": None},
        {"symbol": "ZEROUSDT", "state": "Open", **linear, "underlyingToPositionMultiplier": 0},
        {"symbol": "ETHUSD", "state": "Open", **quanto, "multiplier": 100, "underlying": "ETH"},
        {"symbol": "SOLUSD", "state": "Open", **quanto, "multiplier": 100, "settlCurrency": "USDt"},
        {"symbol": "XBTU26", "state": "Settled", **inverse, "multiplier": -100000000, "quoteCurrency": "USD"},
        {"symbol": 7}, 5,
    ]  # fmt: skip
    assert document.parse(json.dumps(entries).encode(), 5) == [
        Instrument("bitmex", "XBTUSD", "inverse", "XBT", "USD", "1", 5),
        Instrument("bitmex", "XBTEUR", "inverse", "XBT", "EUR", "1", 5),
        Instrument("bitmex", "XBTUSDT", "linear", "XBT", "USDT", "0.000001", 5),
        Instrument("bitmex", "ETHUSD", "linear", "ETH", "XBT", "0.000001", 5),
    ]
    with pytest.raises(RestError):
        document.parse(b'{"error":{}}', 5)
