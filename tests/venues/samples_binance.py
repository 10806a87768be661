"""Frames of Binance written by hand after its documents, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

_LINEAR = (
    b'{"e":"forceOrder","E":1791565603055,"o":{"s":"SOLUSDT","S":"BUY","o":"LIMIT","f":"IOC","q":"12.50","p":"151.0000",'
    b'"ap":"150.1200","X":"FILLED","l":"3.10","z":"12.50","T":1791565602047,"ps":"SOLUSDT","st":1}}'
)
_INVERSE = (
    b'{"e":"forceOrder","E":1791565603055,"o":{"s":"ETHUSD_PERP","S":"SELL","o":"LIMIT","f":"IOC","q":"120",'
    b'"p":"2400.10","ap":"2410.55","X":"FILLED","l":"20","z":"120","T":1791565602047,"ps":"ETHUSD","st":2}}'
)

SAMPLES = [
    Sample(
        _LINEAR,
        [
            {
                "symbol": "SOLUSDT", "side": "short", "order_side": "BUY", "status": "FILLED", "price": "151.0000",
                "average_price": "150.1200", "quantity": "12.50", "filled_quantity": "12.50",
                "notional": 1_876_500_000, "trade_time": 1_791_565_602_047, "event_time": 1_791_565_603_055,
            }
        ],
        (Instrument("binance", "SOLUSDT", "linear", "SOL", "USDT", None, 0),),
    ),
    Sample(
        b'{"stream":"!forceOrder@arr","data":' + _INVERSE + b"}",
        [
            {
                "symbol": "ETHUSD_PERP", "side": "long", "order_side": "SELL", "filled_quantity": "120",
                "notional": 1_200_000_000, "average_price": "2410.55",
            }
        ],
        (Instrument("binance", "ETHUSD_PERP", "inverse", "ETH", "USD", "10", 0),),
    ),
    Sample(b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1791565603000,"s":"BTCUSDT","p":"8.1"}}', None),
    Sample(b'{"result":null,"id":1}', "ack"),
    Sample(b'{"code":2,"msg":"Invalid request"}', "error"),
]  # fmt: skip
