"""Frames of Bybit written by hand after its documents and a live look of 2026-09-18, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

_ICP = Instrument("bybit", "ICPUSDT", "linear", "ICP", "USDT", None, 0)
_LIVE = (
    b'{"topic":"allLiquidation.ICPUSDT","type":"snapshot","ts":1789670094412,"data":[{"T":1789670094099,"s":"ICPUSDT",'
    b'"S":"Buy","v":"19.7","p":"2.585"}]}'
)

SAMPLES = [
    Sample(
        _LIVE,
        [
            {
                "symbol": "ICPUSDT", "side": "long", "order_side": "SELL", "status": None, "price": "2.585",
                "average_price": None, "quantity": "19.7", "filled_quantity": "19.7",
                "notional": 50_924_500,  # 19.7 × 2.585 = 50.9245
                "basis": None, "trade_time": 1_789_670_094_099, "event_time": 1_789_670_094_412,
            }
        ],
        (_ICP,), "linear",
    ),
    # Two equal events stay two.
    Sample(
        _LIVE.replace(b'"2.585"}', b'"2.585"},{"T":1789670094099,"s":"ICPUSDT","S":"Buy","v":"19.7","p":"2.585"}'),
        [{"side": "long", "notional": 50_924_500}, {"side": "long", "notional": 50_924_500}],
        (_ICP,), "linear",
    ),
    Sample(
        b'{"topic":"allLiquidation.ETHUSD","type":"snapshot","ts":1791565602500,"data":[{"T":1791565602047,"s":"ETHUSD",'
        b'"S":"Sell","v":"1250","p":"2513.40"}]}',
        [
            {
                "symbol": "ETHUSD", "side": "short", "order_side": "BUY", "price": "2513.40", "filled_quantity": "1250",
                "notional": 1_250_000_000, "trade_time": 1_791_565_602_047,
            }
        ],
        (Instrument("bybit", "ETHUSD", "inverse", "ETH", "USD", "1", 0),), "inverse",
    ),
    # In no list: its value is not guessed.
    Sample(
        b'{"topic":"allLiquidation.NEWUSDT","type":"snapshot","ts":1791565602500,"data":[{"T":1791565602047,"s":"NEWUSDT",'
        b'"S":"Sell","v":"5","p":"2"}]}',
        [{"symbol": "NEWUSDT", "side": "short", "notional": None, "basis": None}],
        (), "linear",
    ),
    # An object, as the documents have it.
    Sample(
        b'{"topic":"allLiquidation.ICPUSDT","type":"snapshot","ts":1791565602500,"data":{"T":1791565602047,"s":"ICPUSDT",'
        b'"S":"Sell","v":"0.5","p":"3"}}',
        [{"side": "short", "notional": 1_500_000}],
        (_ICP,), "linear",
    ),
    Sample(
        b'{"topic":"tickers.BTCUSDT","type":"snapshot","ts":1791565603000,"cs":1,"data":{"symbol":"BTCUSDT",'
        b'"lastPrice":"82001.10","markPrice":"82000.10"}}',
        None,
    ),
    Sample(b'{"topic":"tickers.BTCUSD","type":"delta","ts":1791565603000,"data":{"symbol":"BTCUSD"}}', None),
    Sample(b'{"success":true,"ret_msg":"subscribe","op":"subscribe","conn_id":"x"}', "ack"),
    Sample(b'{"success":true,"ret_msg":"","op":"unsubscribe","conn_id":"x","req_id":"3"}', "ack"),
    Sample(b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}', "other"),
    Sample(b'{"success":false,"ret_msg":"Invalid symbol","conn_id":"x","req_id":"7","op":"subscribe"}', "error"),
    Sample(
        b'{"success":false,"ret_msg":"error:handler not found,topic:liquidation.BTCUSDT","conn_id":"x","req_id":"",'
        b'"op":"subscribe"}',
        "error",
    ),
]  # fmt: skip
