"""Aster: what differs from Binance, whose API it has."""

from __future__ import annotations

import json

import pytest

from rekt.config import Section
from rekt.errors import FrameError, RestError
from rekt.model import Instrument
from rekt.venue import Reference, Tick
from rekt.venues.aster import VENUE
from tests.contracts.test_venue import NOW_US, settings

EVENT = (
    b'{"e":"forceOrder","E":1791565602500,"o":{"s":"XUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"5","p":"2","ap":"3",'
    b'"X":"FILLED","l":"1","z":"4","T":1791565602047}}'
)


def test_it_says_latest_not_largest() -> None:
    """Its sampling is its own, not Binance's."""
    (event,) = VENUE.decode(EVENT, NOW_US, Reference())  # type: ignore[misc]  # what else would fail the test
    assert event.feed.sampling == "latest_per_symbol_second"
    assert event.counts


def test_a_repeat_is_the_same_event() -> None:
    """An event sent again, wrapped or not, has the same uid; equal ones in one frame have not."""
    (once,) = VENUE.decode(EVENT, NOW_US, Reference())  # type: ignore[misc]
    both = VENUE.decode(b'{"data":[' + EVENT + b"," + EVENT + b"]}", NOW_US + 60_000_000, Reference())
    assert isinstance(both, tuple)
    assert both[0].uid == once.uid
    assert both[1].uid != once.uid


@pytest.mark.parametrize(
    "wrong",
    [
        EVENT.replace(b'"q":"5"', b'"q":"5e1"'),
        EVENT.replace(b'"z":"4"', b'"z":"-4"'),
        EVENT.replace(b'"SELL"', b'"sell"'),
        EVENT.replace(b'"E":1791565602500,', b""),
        b'{"e":"aggTrade","E":1791565602500}',
        b'{"data":[]}',
        b'{"data":[' + EVENT + b',{"e":"markPriceUpdate","E":1791565602500}]}',
    ],
)
def test_what_does_not_fit_is_refused(wrong: bytes) -> None:
    """Digits, sides and times that don't fit are quarantined."""
    with pytest.raises(FrameError):
        VENUE.decode(wrong, NOW_US, Reference())


def test_the_canary_tells_bitcoins_price() -> None:
    """The mark price of BTCUSDT, and no other's."""
    tick = b'{"e":"markPriceUpdate","E":1791565603000,"s":"BTCUSDT","p":"82000.10"}'
    assert VENUE.decode(tick, NOW_US, Reference()) == Tick(1_791_565_603_000, "82000.10")
    other = tick.replace(b"BTCUSDT", b"ETHUSDT")
    assert VENUE.decode(other, NOW_US, Reference()) == Tick(1_791_565_603_000, None)


def test_streams_are_part_of_the_address() -> None:
    """Both forms of path carry the liquidations and the canary."""
    (endpoint,) = VENUE.endpoints(settings("aster"))
    assert endpoint.url == "wss://fstream.asterdex.com/stream?streams=!forceOrder@arr/btcusdt@markPrice@1s"
    raw = Section(
        "ASTER",
        {name: key.default for name, key in VENUE.keys.items()} | {"ws_url": "wss://fstream.asterdex.com/ws"},
    )
    assert VENUE.endpoints(raw)[0].url == "wss://fstream.asterdex.com/ws/!forceOrder@arr/btcusdt@markPrice@1s"


def test_the_list_tells_base_and_quote() -> None:
    """What does not trade or does not fit is left out."""
    (document,) = VENUE.documents(settings("aster"))
    assert document.url == "https://fapi.asterdex.com/fapi/v1/exchangeInfo"
    symbols = [
        {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "status": "TRADING"},
        {"symbol": "OLDUSDT", "baseAsset": "OLD", "quoteAsset": "USDT", "status": "SETTLING"},
        {"symbol": ""}, 7,
    ]  # fmt: skip
    assert document.parse(json.dumps({"symbols": symbols}).encode(), 5) == [
        Instrument("aster", "BTCUSDT", "linear", "BTC", "USDT", None, 5)
    ]
    with pytest.raises(RestError):
        document.parse(b"[]", 5)
