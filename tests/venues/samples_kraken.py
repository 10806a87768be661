"""Frames of Kraken Futures written by hand after its documents and captures of 2020-07, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

_XRP = Instrument("kraken", "PI_XRPUSD", "inverse", "XRP", "USD", "1", 0)
_PF = Instrument("kraken", "PF_ETHUSD", "linear", "ETH", "USD", None, 0)

SAMPLES = [
    Sample(
        b'{"feed":"trade","product_id":"PI_XRPUSD","uid":"3ee209b8-bc9f-4ed5-965b-8c6208b26411","side":"sell",'
        b'"type":"liquidation","seq":41799,"time":1593561965283,"qty":12000,"price":0.1736}',
        [
            {
                "symbol": "PI_XRPUSD", "side": "long", "order_side": "SELL", "status": None, "price": None,
                "average_price": "0.1736", "quantity": "12000", "filled_quantity": "12000",
                "notional": 12_000_000_000, "basis": None, "trade_time": 1_593_561_965_283, "event_time": None,
            }
        ],
        (_XRP,),
    ),
    Sample(
        b'{"feed":"trade","product_id":"PF_ETHUSD","uid":"a","side":"buy","type":"liquidation","seq":7,'
        b'"time":1791565602047,"qty":0.350,"price":2413.10}',
        [
            {
                "symbol": "PF_ETHUSD", "side": "short", "order_side": "BUY", "average_price": "2413.10",
                "filled_quantity": "0.350", "notional": 844_585_000,  # 0.35 × 2413.1
            }
        ],
        (_PF,),
    ),
    # The backlog: only its liquidations, in their order.
    Sample(
        b'{"feed":"trade_snapshot","product_id":"PF_ETHUSD","trades":[{"feed":"trade","product_id":"PF_ETHUSD","uid":"a",'
        b'"side":"buy","type":"liquidation","seq":7,"time":1791565602047,"qty":0.350,"price":2413.10},{"feed":"trade",'
        b'"product_id":"PF_ETHUSD","uid":"b","side":"sell","type":"fill","seq":6,"time":1791565602040,"qty":1,"price":2413},'
        b'{"feed":"trade","product_id":"PF_ETHUSD","uid":"c","side":"sell","type":"liquidation","seq":5,'
        b'"time":1791565602000,"qty":2e-1,"price":2400}]}',
        [
            {"side": "short", "notional": 844_585_000, "trade_time": 1_791_565_602_047},
            {"side": "long", "notional": 480_000_000, "filled_quantity": "0.2"},
        ],
        (_PF,),
    ),
    Sample(
        b'{"feed":"trade","product_id":"PF_ETHUSD","uid":"b","side":"sell","type":"fill","seq":6,"time":1791565602040,'
        b'"qty":1,"price":2413}',
        [],
    ),
    Sample(
        b'{"feed":"trade","product_id":"FI_NEWUSD_261225","uid":"d","side":"sell","type":"liquidation","seq":6,'
        b'"time":1791565602040,"qty":5,"price":2}',
        [{"symbol": "FI_NEWUSD_261225", "side": "long", "notional": None}],
    ),
    Sample(b'{"feed":"heartbeat","time":1791565603000}', None),
    Sample(
        b'{"feed":"ticker","product_id":"PF_XBTUSD","time":1791565603000,"bid":82000,"ask":82001,"markPrice":82000.5,'
        b'"tag":"perpetual"}',
        None,
    ),
    Sample(b'{"event":"info","version":1}', "other"),
    Sample(b'{"event":"subscribed","feed":"trade","product_ids":["PF_XBTUSD"]}', "ack"),
    Sample(b'{"event":"subscribed","feed":"heartbeat"}', "ack"),
    Sample(b'{"event":"unsubscribed","feed":"trade","product_ids":["PF_XBTUSD"]}', "ack"),
    Sample(b'{"event":"subscribed_failed","feed":"trade","product_ids":["PF_NOUSD"]}', "error"),
    Sample(b'{"event":"error","message":"Invalid product id"}', "error"),
    Sample(b'{"event":"alert","message":"Bad request"}', "error"),
]  # fmt: skip
