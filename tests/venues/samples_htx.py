"""Frames of HTX written by hand after its documents and a live look of 2026-09-18, packed as it sends them."""

from __future__ import annotations

import gzip

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

_ETH = Instrument("htx", "ETH-USDT", "linear", "ETH", "USDT", None, 0)
_COIN = Instrument("htx", "BTC-USD", "inverse", "BTC", "USD", "100", 0)


def _sample(text: bytes, *more: object) -> Sample:
    return Sample(gzip.compress(text, mtime=0), *more)  # type: ignore[arg-type]  # as Sample takes them


SAMPLES = [
    _sample(
        b'{"op":"notify","topic":"public.ETH-USDT.liquidation_orders","ts":1789670297217,"data":[{"symbol":"ETH",'
        b'"contract_code":"ETH-USDT","direction":"buy","offset":"close","volume":500,"price":2446.26,'
        b'"created_at":1789670297212,"amount":5,"trade_turnover":12231.3,"contract_type":"swap","pair":"ETH-USDT",'
        b'"business_type":"swap","trade_partition":"USDT"}]}',
        [
            {
                "symbol": "ETH-USDT", "side": "short", "order_side": "BUY", "status": None, "price": "2446.26",
                "average_price": None, "quantity": "5", "filled_quantity": "5",
                "notional": 12_231_300_000,  # 5 × 2446.26
                "basis": None, "trade_time": 1_789_670_297_212, "event_time": 1_789_670_297_217,
            }
        ],
        (_ETH,), "linear",
    ),
    # Of a coin swap: contracts, 100 USD each; numbers quoted; two equal ones in a frame are two.
    _sample(
        b'{"op":"notify","topic":"public.BTC-USD.liquidation_orders","ts":"1791565602500","data":[{"symbol":"BTC",'
        b'"contract_code":"BTC-USD","direction":"sell","offset":"close","volume":"26","price":"81999.10",'
        b'"created_at":1791565602120,"amount":"0.0317"},{"symbol":"BTC","contract_code":"BTC-USD","direction":"sell",'
        b'"offset":"close","volume":"26","price":"81999.10","created_at":1791565602120,"amount":"0.0317"}]}',
        [
            {
                "symbol": "BTC-USD", "side": "long", "order_side": "SELL", "price": "81999.10", "filled_quantity": "26",
                "notional": 2_600_000_000, "trade_time": 1_791_565_602_120, "event_time": 1_791_565_602_500,
            },
            {"side": "long", "notional": 2_600_000_000},
        ],
        (_COIN,), "inverse",
    ),
    # A coin swap that no list has told of: its size is not known.
    _sample(
        b'{"op":"notify","topic":"public.NEW-USD.liquidation_orders","ts":1791565602500,"data":[{"symbol":"NEW",'
        b'"contract_code":"NEW-USD","direction":"sell","offset":"close","volume":2,"price":10,'
        b'"created_at":1791565602120,"amount":2.0}]}',
        [{"symbol": "NEW-USD", "side": "long", "notional": None}],
        (), "inverse",
    ),
    # A quote that is no dollar: its turnover is not one either.
    _sample(
        b'{"op":"notify","topic":"public.ETH-BTC.liquidation_orders","ts":1791565602500,"data":[{"symbol":"ETH",'
        b'"contract_code":"ETH-BTC","direction":"sell","offset":"close","volume":2,"price":0.03,'
        b'"created_at":1791565602120,"amount":2.0,"trade_turnover":0.06}]}',
        [{"symbol": "ETH-BTC", "filled_quantity": "2.0", "notional": None}],
        (), "linear",
    ),
    _sample(
        b'{"op":"notify","topic":"public.BTC-USDT.funding_rate","ts":1791565603000,"data":[{"symbol":"BTC",'
        b'"contract_code":"BTC-USDT","fee_asset":"USDT","funding_rate":"0.0001","funding_time":"1791565603000"}]}',
        None,
    ),
    _sample(b'{"op":"ping","ts":"1791565603000"}', "other"),
    _sample(b'{"op":"sub","cid":"1","topic":"public.*.liquidation_orders","ts":1791565603000,"err-code":0}', "ack"),
    _sample(
        b'{"op":"sub","cid":"1","topic":"public.*.liquidation_orders","ts":1791565603000,"err-code":2014,'
        b'"err-msg":"already subscribed"}',
        "ack",
    ),
    _sample(
        b'{"op":"sub","cid":"1","topic":"public.x","ts":1791565603000,"err-code":2011,"err-msg":"invalid topic"}', "error"
    ),
    _sample(b'{"op":"error","ts":1791565603000,"err-code":2002,"err-msg":"invalid auth"}', "error"),
    _sample(b'{"op":"close","ts":1791565603000}', "reconnect"),
]  # fmt: skip
