"""Kraken Futures: trades that are no liquidations, the backlog, markets and its list."""

from __future__ import annotations

import json

import pytest

from rekt.errors import FrameError, RestError
from rekt.model import Instrument
from rekt.venue import Notice, Reference, Tick
from rekt.venues.kraken import VENUE
from tests.contracts.test_venue import NOW_US, settings

TRADE = (
    b'{"feed":"trade","product_id":"PI_XRPUSD","uid":"u1","side":"sell","type":"liquidation","seq":41799,'
    b'"time":1593561965283,"qty":12000,"price":0.1736}'
)


@pytest.mark.parametrize("kind", ["fill", "termination", "block", "assignment"])
def test_other_trades_are_no_events(kind: str) -> None:
    """Only trades of type liquidation are told; the others are no fault."""
    assert VENUE.decode(TRADE.replace(b"liquidation", kind.encode()), NOW_US, Reference()) == ()


def test_the_backlog_says_what_was_told_already() -> None:
    """A snapshot at each subscription holds the same ids as the trades did, so the same uids."""
    (told,) = VENUE.decode(TRADE, NOW_US, Reference())  # type: ignore[misc]  # what else would fail the test
    snapshot = b'{"feed":"trade_snapshot","product_id":"PI_XRPUSD","trades":[' + TRADE + b"," + TRADE + b"]}"
    again = VENUE.decode(snapshot, NOW_US + 86_400_000_000, Reference())
    assert isinstance(again, tuple)
    assert [event.uid for event in again] == [told.uid, told.uid]


def test_inverse_contracts_are_dollars_whatever_their_price() -> None:
    """12,000 of PI_XRPUSD are 12,000 USD, not coins."""
    known = Instrument("kraken", "PI_XRPUSD", "inverse", "XRP", "USD", "1", 0)
    (event,) = VENUE.decode(TRADE, NOW_US, Reference({"PI_XRPUSD": known}))  # type: ignore[misc]
    assert event.notional == 12_000_000_000


def test_a_product_of_no_known_market_is_refused() -> None:
    """A prefix that nobody has described may count anything."""
    with pytest.raises(FrameError, match="market"):
        VENUE.decode(TRADE.replace(b"PI_XRPUSD", b"PX_XRPUSD"), NOW_US, Reference())


def test_answers_are_looked_at_before_their_feed() -> None:
    """An answer carries its feed too; it tells the product where there is one."""
    answer = b'{"event":"subscribed","feed":"trade","product_ids":["PF_XBTUSD"]}'
    assert VENUE.decode(answer, NOW_US, Reference()) == Notice("ack", about="PF_XBTUSD")
    assert VENUE.decode(answer.replace(b"subscribed", b"subscribed_failed"), NOW_US, Reference()) == Notice(
        "error", "subscribed_failed", about="PF_XBTUSD"
    )


def test_the_ticker_tells_bitcoins_price() -> None:
    """The mark price's own digits; a heartbeat has none."""
    ticker = b'{"feed":"ticker","product_id":"PF_XBTUSD","time":1791565603000,"markPrice":82000.50}'
    assert VENUE.decode(ticker, NOW_US, Reference()) == Tick(1_791_565_603_000, "82000.50")
    assert VENUE.decode(b'{"feed":"heartbeat","time":1791565603000}', NOW_US, Reference()) == Tick(
        1_791_565_603_000
    )


def test_subscriptions_are_as_the_documents_have_them() -> None:
    """The canary first, then trades; a websocket ping within each minute."""
    (endpoint,) = VENUE.endpoints(settings("kraken"))
    assert endpoint.messages == (
        b'{"event":"subscribe","feed":"heartbeat"}',
        b'{"event":"subscribe","feed":"ticker","product_ids":["PF_XBTUSD"]}',
    )
    assert endpoint.topics is not None
    assert endpoint.topics.subscribe(["PF_XBTUSD"], "1") == (
        b'{"event":"subscribe","feed":"trade","product_ids":["PF_XBTUSD"]}'
    )
    assert endpoint.heartbeat is not None
    assert endpoint.heartbeat.message is None
    assert endpoint.heartbeat.every_s < 60


def test_the_list_tells_market_and_size() -> None:
    """What does not trade, is of another kind or does not fit is left out; sizes count where contracts are dollars."""
    (document,) = VENUE.documents(settings("kraken"))
    entries: list[object] = [
        {"symbol": "PI_XBTUSD", "type": "futures_inverse", "contractSize": 1, "tradeable": True},
        {"symbol": "FI_ETHUSD_261225", "type": "futures_inverse", "contractSize": 1, "tradeable": True},
        {"symbol": "PF_XBTUSD", "type": "flexible_futures", "contractSize": 1, "tradeable": True, "base": "BTC", "quote": "USD"},
        {"symbol": "PF_OLDUSD", "type": "flexible_futures", "contractSize": 1, "tradeable": False},
        {"symbol": "in_xbtusd", "type": "spot index", "tradeable": True},
        {"symbol": 7}, 5,
    ]  # fmt: skip
    assert document.parse(json.dumps({"result": "success", "instruments": entries}).encode(), 5) == [
        Instrument("kraken", "PI_XBTUSD", "inverse", "XBT", "USD", "1", 5),
        Instrument("kraken", "FI_ETHUSD_261225", "inverse", "ETH", "USD", "1", 5),
        Instrument("kraken", "PF_XBTUSD", "linear", "BTC", "USD", None, 5),
    ]
    with pytest.raises(RestError):
        document.parse(b"<html>", 5)
