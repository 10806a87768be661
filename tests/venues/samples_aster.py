"""Frames of Aster written by hand after its documents and a live look of September 2026, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

_PAIR = Instrument("aster", "PAIRUSDT", "linear", "PAIR", "USDT", None, 0)
_LIVE = (
    b'{"e":"forceOrder","E":1789672621589,"o":{"s":"PAIRUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"28448",'
    b'"p":"0.0040681","ap":"0.0044461","X":"FILLED","l":"12417","z":"28448","T":1789672621550}}'
)
_SAYS = {
    "symbol": "PAIRUSDT", "side": "long", "order_side": "SELL", "status": "FILLED", "price": "0.0040681",
    "average_price": "0.0044461", "quantity": "28448", "filled_quantity": "28448",
    "notional": 126_482_653,  # 28448 × 0.0044461 = 126.4826528
    "basis": None, "trade_time": 1_789_672_621_550, "event_time": 1_789_672_621_589,
}  # fmt: skip

SAMPLES = [
    Sample(_LIVE, [_SAYS], (_PAIR,)),
    Sample(b'{"stream":"!forceOrder@arr","data":' + _LIVE + b"}", [_SAYS], (_PAIR,)),
    Sample(b'{"stream":"!forceOrder@arr","data":[' + _LIVE + b"," + _LIVE + b"]}", [_SAYS, _SAYS], (_PAIR,)),
    Sample(
        b'{"e":"forceOrder","E":1791565602500,"o":{"s":"PAIRUSDT","S":"BUY","o":"LIMIT","f":"IOC","q":"2.50","p":"3",'
        b'"ap":"2.9","X":"PARTIALLY_FILLED","l":"1","z":"1.50","T":1791565602047}}',
        [
            {
                "side": "short", "status": "PARTIALLY_FILLED", "quantity": "2.50", "filled_quantity": "1.50",
                "notional": 4_350_000,
            }
        ],
        (_PAIR,),
    ),
    Sample(_LIVE.replace(b"PAIRUSDT", b"NEWUSDT"), [{"symbol": "NEWUSDT", "notional": None}]),
    Sample(
        b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1791565603000,"s":"BTCUSDT","p":"82000.1"}}',
        None,
    ),
    Sample(b'{"result":null,"id":1}', "ack"),
    Sample(b'{"code":2,"msg":"Invalid request"}', "error"),
    Sample(b'{"error":{"code":2,"msg":"Invalid request"},"id":1}', "error"),
]  # fmt: skip
