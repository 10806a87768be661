"""Frames of BitMEX written by hand after its documents and tardis-node's test data, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import NOW_US, Sample

_XBT = Instrument("bitmex", "XBTUSD", "inverse", "XBT", "USD", "1", 0)
_EUR = Instrument("bitmex", "XBTEUR", "inverse", "XBT", "EUR", "1", 0)
_LINEAR = Instrument("bitmex", "XBTUSDT", "linear", "XBT", "USDT", "0.000001", 0)
_QUANTO = Instrument("bitmex", "ETHUSD", "linear", "ETH", "XBT", "0.000001", 0)

SAMPLES = [
    Sample(
        b'{"table":"liquidation","action":"insert","data":[{"orderID":"dd9cea25-207c-0dab-15b5-b88da776f500",'
        b'"symbol":"XBTUSD","side":"Buy","price":10106,"leavesQty":9214}]}',
        [
            {
                "symbol": "XBTUSD", "side": "short", "order_side": "BUY", "status": None, "price": "10106",
                "average_price": None, "quantity": "9214", "filled_quantity": "9214",
                "notional": 9_214_000_000,  # 9,214 contracts of a dollar
                "basis": None, "trade_time": NOW_US // 1000, "event_time": None,
            }
        ],
        (_XBT,),
    ),
    # What stands at subscription: linear, 250,000 × 10⁻⁶ BTC × 82,000.5; quanto, no price of bitcoin yet; in euros.
    Sample(
        b'{"table":"liquidation","action":"partial","keys":["orderID"],"types":{},"data":['
        b'{"orderID":"a1","symbol":"XBTUSDT","side":"Sell","price":82000.5,"leavesQty":250000},'
        b'{"orderID":"a2","symbol":"ETHUSD","side":"Sell","price":2450.25,"leavesQty":4000},'
        b'{"orderID":"a3","symbol":"XBTEUR","side":"Buy","price":75000,"leavesQty":300}]}',
        [
            {"symbol": "XBTUSDT", "side": "long", "filled_quantity": "250000", "notional": 20_500_125_000},
            {"symbol": "ETHUSD", "side": "long", "price": "2450.25", "notional": None, "basis": None},
            {"symbol": "XBTEUR", "side": "short", "notional": None},
        ],
        (_LINEAR, _QUANTO, _EUR),
    ),
    Sample(
        b'{"table":"liquidation","action":"insert","data":[{"orderID":"c1","symbol":"XBTUSDT","side":"Sell","price":82000.5,'
        b'"leavesQty":500000}]}',
        [{"symbol": "XBTUSDT", "side": "long", "filled_quantity": "500000", "notional": 41_000_250_000}],
        (_LINEAR,),
    ),
    Sample(
        b'{"table":"liquidation","action":"insert","data":[{"orderID":"c2","symbol":"ETHUSD","side":"Buy","price":2450.25,'
        b'"leavesQty":4000}]}',
        [{"symbol": "ETHUSD", "side": "short", "notional": None}],  # no price of bitcoin yet
        (_QUANTO,),
    ),
    Sample(
        b'{"table":"liquidation","action":"insert","data":[{"orderID":"b","symbol":"NEWUSDT","side":"Sell","price":1.5,'
        b'"leavesQty":7}]}',
        [{"symbol": "NEWUSDT", "side": "long", "notional": None}],
    ),
    Sample(b'{"table":"liquidation","action":"partial","keys":["orderID"],"types":{},"data":[]}', []),
    Sample(
        b'{"table":"liquidation","action":"update","data":[{"orderID":"b","symbol":"NEWUSDT","leavesQty":3}]}', []
    ),
    Sample(b'{"table":"liquidation","action":"delete","data":[{"orderID":"b","symbol":"NEWUSDT"}]}', []),
    Sample(
        b'{"table":"instrument","action":"update","data":[{"symbol":"XBTUSD","markPrice":82000.5,'
        b'"timestamp":"2026-10-09T17:06:43.000Z"}]}',
        None,
    ),
    Sample(b'{"table":"instrument","action":"update","data":[{"symbol":"XBTUSD","openInterest":7}]}', None),
    Sample(
        b'{"info":"Welcome to the BitMEX Realtime API.","version":"2.0.0","timestamp":"2026-10-09T17:06:43.000Z",'
        b'"docs":"https://www.bitmex.com/app/wsAPI","limit":{"remaining":39}}',
        "other",
    ),
    Sample(
        b'{"success":true,"subscribe":"liquidation","request":{"op":"subscribe","args":["instrument:XBTUSD","liquidation"]}}',
        "ack",
    ),
    Sample(b'{"status":400,"error":"Unknown table: x","meta":{},"request":{"op":"subscribe","args":["x"]}}', "error"),
]  # fmt: skip
