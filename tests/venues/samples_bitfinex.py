"""Frames of Bitfinex written by hand after its documents and a capture of 2020-07, and what they say in the end."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

_ETH = Instrument("bitfinex", "tETHF0:USTF0", "linear", "ETH", "USDT", None, 0)
_TRIGGER = b'["pos",143679087,1594036710534,null,"tETHF0:USTF0",-8.6007,222.248906484356,null,0,1,null,null]'
_EXECUTED = (
    b'["pos",143679087,1594036710543,null,"tETHF0:USTF0",-4.56671421,222.248906484356,null,1,1,null,235.52]'
)
_SHORT = {
    "symbol": "tETHF0:USTF0", "side": "short", "order_side": "BUY", "status": None, "price": None,
    "quantity": "8.6007", "filled_quantity": "8.6007", "trade_time": 1_594_036_710_534, "event_time": None,
}  # fmt: skip

SAMPLES = [
    # A trigger alone has no price: its value is unknown.
    Sample(b"[907,[" + _TRIGGER + b"]]", [_SHORT | {"average_price": None, "notional": None}], (_ETH,)),
    # One position, told twice (the execution first): the largest amount, the price, the first time.
    Sample(
        b"[907,[" + _EXECUTED + b"," + _TRIGGER + b"]]",
        [_SHORT | {"average_price": "235.52", "notional": 2_025_636_864, "basis": None}],  # 8.6007 × 235.52
        (_ETH,),
    ),
    Sample(
        b'[907,[["pos",11,1791565602120,null,"tETHF0:USTF0",-2.5,222.25,null,1,0,null,235.52]]]',
        [{"side": "short", "filled_quantity": "2.5", "notional": 588_800_000}],
        (_ETH,),
    ),
    # One row instead of a list of rows; a fraction of a millisecond; a margin pair that no list has.
    Sample(
        b'[907,["pos",7,1791565602120.75,null,"tBSVUSD",2.5e-1,60.1,null,1,0,null,48.2]]',
        [
            {
                "symbol": "tBSVUSD", "side": "long", "order_side": "SELL", "filled_quantity": "0.25",
                "average_price": "48.2", "notional": 12_050_000, "basis": "inferred", "trade_time": 1_791_565_602_120,
            }
        ],
    ),
    # A snapshot: paper trading is dropped, an amount of nothing tells nothing, euros have no value here.
    Sample(
        b'[3,[["pos",8,1791565602120,null,"tTESTBTCF0:TESTUSDTF0",1,60,null,1,0,null,48],'
        b'["pos",9,1791565602120,null,"tBTCUSD",0,60,null,1,0,null,48],'
        b'["pos",10,1791565602121,null,"tBTCF0:EUTF0",-1,60,null,1,0,null,70000]]]',
        [{"symbol": "tBTCF0:EUTF0", "side": "short", "notional": None}],
    ),
    Sample(b"[3,[]]", "other"),
    Sample(b'[3,[["pos",8,1791565602120,null,"tTESTBTC:TESTUSD",1,60,null,1,0,null,48]]]', "other"),
    Sample(b'[907,"hb"]', None),
    Sample(b"[12,[82000,1.5,82001,2.5,-100,-0.0012,82000.5,1234.5,83000,81000]]", None),
    Sample(b'{"event":"info","version":2,"serverId":"x","platform":{"status":1}}', "other"),
    Sample(b'{"event":"info","version":2,"serverId":"x","platform":{"status":0}}', "error"),
    Sample(b'{"event":"info","code":20051,"msg":"Stopping. Please try to reconnect"}', "reconnect"),
    Sample(b'{"event":"info","code":20060,"msg":"Entering maintenance mode"}', "error"),
    Sample(b'{"event":"info","code":20061,"msg":"Maintenance ended"}', "other"),
    Sample(b'{"event":"subscribed","channel":"status","chanId":907,"key":"liq:global"}', "ack"),
    Sample(b'{"event":"subscribed","channel":"ticker","chanId":12,"symbol":"tBTCUSD","pair":"BTCUSD"}', "ack"),
    Sample(b'{"event":"error","msg":"key: invalid","code":10300,"channel":"status","key":"liq:x"}', "error"),
    Sample(b'{"event":"pong","ts":1791565603000,"cid":1}', "other"),
]  # fmt: skip
