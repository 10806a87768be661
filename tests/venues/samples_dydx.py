"""Frames of dYdX v4 written by hand after its documents and a live look of 2026-09-17, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

_BTC = Instrument("dydx", "BTC-USD", "linear", "BTC", "USD", None, 0)
_TRADE = (
    b'{"id":"064e89330000000200000002","side":"SELL","size":"0.0004","price":"75974","type":"LIQUIDATED",'
    b'"createdAt":"2026-09-17T13:39:47.542Z","createdAtHeight":"105810227"}'
)
_OTHER = (
    b'{"id":"064e89330000000200000005","side":"BUY","size":"1","price":"75975","type":"LIMIT",'
    b'"createdAt":"2026-09-17T13:39:47.542Z","createdAtHeight":"105810227"}'
)
_SHORT = (
    b'{"id":"064e89330000000200000008","side":"BUY","size":"2.50","price":"76000.5","type":"LIQUIDATED",'
    b'"createdAt":"2026-09-17T13:39:46.000Z","createdAtHeight":"105810226"}'
)
_SAYS = {
    "symbol": "BTC-USD", "side": "long", "order_side": "SELL", "status": None, "price": None, "average_price": "75974",
    "quantity": "0.0004", "filled_quantity": "0.0004", "notional": 30_389_600,  # 0.0004 × 75974 = 30.3896
    "basis": None, "trade_time": 1_789_652_387_542, "event_time": None,
}  # fmt: skip

SAMPLES = [
    Sample(
        b'{"type":"channel_data","connection_id":"x","message_id":7,"id":"BTC-USD","channel":"v4_trades","version":"2.4.0",'
        b'"contents":{"trades":[' + _TRADE + b"]}}",
        [_SAYS],
        (_BTC,), "linear",
    ),
    # The answer to a subscription is a backlog.
    Sample(
        b'{"type":"subscribed","connection_id":"x","message_id":1,"channel":"v4_trades","id":"BTC-USD","contents":{"trades":['
        + _TRADE + b"," + _OTHER + b"," + _SHORT + b"]}}",
        [
            _SAYS,
            {"side": "short", "order_side": "BUY", "filled_quantity": "2.50", "notional": 190_001_250_000},
        ],
        (_BTC,), "linear",
    ),
    Sample(
        b'{"type":"channel_batch_data","connection_id":"x","message_id":7,"id":"BTC-USD","channel":"v4_trades",'
        b'"version":"2.4.0","contents":[{"trades":[' + _OTHER + b']},{"trades":[' + _TRADE + b"]}]}",
        [_SAYS],
        (_BTC,),
    ),
    Sample(
        b'{"type":"channel_data","connection_id":"x","message_id":8,"id":"NEW-USD","channel":"v4_trades",'
        b'"contents":{"trades":[' + _SHORT + b"]}}",
        [{"symbol": "NEW-USD", "side": "short", "notional": None}],
    ),
    Sample(
        b'{"type":"channel_data","connection_id":"x","message_id":8,"id":"BTC-USD","channel":"v4_trades",'
        b'"contents":{"trades":[' + _OTHER + b"]}}",
        [],
    ),
    Sample(
        b'{"type":"channel_data","connection_id":"x","message_id":9,"id":null,"channel":"v4_block_height","version":"1.0.0",'
        b'"contents":{"blockHeight":"105810228","time":"2026-09-17T13:39:48.611Z"}}',
        None,
    ),
    Sample(b'{"type":"connected","connection_id":"x","message_id":0}', "other"),
    Sample(
        b'{"type":"subscribed","connection_id":"x","message_id":1,"channel":"v4_trades","id":"BTC-USD","contents":{"trades":['
        + _OTHER + b"]}}",
        "ack",
    ),
    Sample(
        b'{"type":"subscribed","connection_id":"x","message_id":1,"channel":"v4_block_height","contents":{"height":"105810227",'
        b'"time":"2026-09-17T13:39:47.500Z"}}',
        "ack",
    ),
    Sample(b'{"type":"unsubscribed","connection_id":"x","message_id":5,"channel":"v4_trades","id":"BTC-USD"}', "ack"),
    Sample(b'{"type":"error","message":"Invalid subscription id","connection_id":"x","message_id":4}', "error"),
]  # fmt: skip
