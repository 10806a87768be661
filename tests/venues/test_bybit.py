"""Bybit: its traps, its topics and its paged lists."""

from __future__ import annotations

import json

import pytest

from rekt.errors import FrameError, RestError
from rekt.model import Instrument
from rekt.venue import Heartbeat, Notice, Reference, Tick
from rekt.venues.bybit import VENUE
from tests.contracts.test_venue import NOW_US, settings

EVENT = b'{"topic":"allLiquidation.XUSDT","ts":1791565602500,"data":[{"T":1791565602047,"s":"XUSDT","S":"Buy","v":"5","p":"2"}]}'


def test_a_frame_of_no_known_market_is_refused() -> None:
    """Neither name nor price tells coins from dollars, so no market is guessed."""
    with pytest.raises(FrameError, match="market"):
        VENUE.decode(EVENT, NOW_US, Reference())
    listed = Reference({"XUSDT": Instrument("bybit", "XUSDT", "linear", "X", "USDT", None, 0)})
    (event,) = VENUE.decode(EVENT, NOW_US, listed)  # type: ignore[misc]  # what else would fail the test
    assert (event.feed.market, event.notional) == ("linear", 10_000_000)


def test_equal_events_of_one_frame_stay_two_and_repeats_one() -> None:
    """Equal events of a frame differ in their ordinal; the frame sent again says the same uids."""
    twice = EVENT.replace(
        b'"p":"2"}', b'"p":"2"},{"T":1791565602047,"s":"XUSDT","S":"Buy","v":"5.0","p":"2"}'
    )
    reference = Reference().of("linear")
    first, again = VENUE.decode(twice, NOW_US, reference), VENUE.decode(twice, NOW_US + 9, reference)
    assert isinstance(first, tuple)
    assert isinstance(again, tuple)
    assert len({event.uid for event in first}) == 2
    assert [event.uid for event in first] == [event.uid for event in again]


def test_the_canary_tells_bitcoins_price_where_it_changed() -> None:
    """A delta without a mark price is a tick all the same; another coin's price is not bitcoin's."""
    text = (
        b'{"topic":"tickers.BTCUSDT","ts":1791565603000,"data":{"symbol":"BTCUSDT","markPrice":"82000.10"}}'
    )
    assert VENUE.decode(text, NOW_US, Reference()) == Tick(1_791_565_603_000, "82000.10")
    other = text.replace(b"BTCUSDT", b"ETHUSDT")
    assert VENUE.decode(other, NOW_US, Reference()) == Tick(1_791_565_603_000, None)
    without = b'{"topic":"tickers.BTCUSDT","ts":1791565603000,"data":{"symbol":"BTCUSDT"}}'
    assert VENUE.decode(without, NOW_US, Reference()) == Tick(1_791_565_603_000, None)


def test_answers_repeat_the_requests_number() -> None:
    """A refusal says which request it answers, so that its group is asked for symbol by symbol."""
    refusal = b'{"success":false,"ret_msg":"Invalid symbol","conn_id":"x","req_id":"7","op":"subscribe"}'
    assert VENUE.decode(refusal, NOW_US, Reference()) == Notice("error", "Invalid symbol", about="7")
    bare = b'{"success":true,"ret_msg":"subscribe","op":"subscribe","conn_id":"x"}'
    assert VENUE.decode(bare, NOW_US, Reference()) == Notice("ack")


def test_topics_are_the_markets_own_and_within_the_limit() -> None:
    """Each endpoint asks for its own market's contracts; all topics of a connection stay below 21,000 characters."""
    linear, inverse = VENUE.endpoints(settings("bybit"))
    contracts = [
        Instrument("bybit", "BTCUSDT", "linear", "BTC", "USDT", None, 0),
        Instrument("bybit", "BTCUSD", "inverse", "BTC", "USD", "1", 0),
    ]
    assert linear.topics is not None
    assert inverse.topics is not None
    assert linear.topics.wanted(contracts) == ["allLiquidation.BTCUSDT"]
    assert inverse.topics.wanted(contracts) == ["allLiquidation.BTCUSD"]
    group = ["allLiquidation.BTCUSDT", "allLiquidation.ETHUSDT"]
    assert linear.topics.subscribe(group, "1") == (
        b'{"op":"subscribe","req_id":"1","args":["allLiquidation.BTCUSDT","allLiquidation.ETHUSDT"]}'
    )
    assert json.loads(linear.topics.unsubscribe(group, "2"))["op"] == "unsubscribe"
    assert linear.heartbeat == inverse.heartbeat == Heartbeat(20, b'{"op":"ping"}')
    longest = len("allLiquidation.1000000BABYDOGEUSDT-25DEC26")
    assert linear.topics.per_connection * (longest + 3) < 21_000


def page(*entries: object, cursor: str = "", code: int = 0) -> bytes:
    """A page of the list of instruments."""
    result = {"category": "linear", "list": list(entries), "nextPageCursor": cursor}
    return json.dumps({"retCode": code, "retMsg": "OK", "result": result, "time": 1}).encode()


def entry(symbol: str, status: str = "Trading", quote: str = "USDT") -> dict[str, str]:
    """A contract as the list has it."""
    return {
        "symbol": symbol, "contractType": "LinearPerpetual", "status": status, "baseCoin": "BTC", "quoteCoin": quote,
        "settleCoin": quote,
    }  # fmt: skip


def test_the_lists_are_read_page_by_page() -> None:
    """A cursor leads on, quoted, until it is empty; what does not trade or does not fit is left out."""
    linear, inverse = VENUE.documents(settings("bybit"))
    assert linear.url == "https://api.bybit.com/v5/market/instruments-info?category=linear&limit=1000"
    body = page(entry("BTCUSDT"), entry("OLDUSDT", "Closed"), {"symbol": 7}, 5, cursor="first%3DA&b")
    assert linear.parse(body, 5) == [Instrument("bybit", "BTCUSDT", "linear", "BTC", "USDT", None, 5)]
    assert linear.following(body) == linear.url + "&cursor=first%253DA%26b"
    assert linear.following(page()) is None
    assert inverse.parse(page(entry("BTCUSD", quote="USD")), 5) == [
        Instrument("bybit", "BTCUSD", "inverse", "BTC", "USD", "1", 5)
    ]
    for wrong in (b"<html>", page(code=10006), b'{"retCode":0}'):
        with pytest.raises(RestError):
            linear.parse(wrong, 5)
