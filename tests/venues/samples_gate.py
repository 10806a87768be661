"""Frames of Gate by hand after its documents and the facts, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

CONTRACTS = (
    Instrument("gate", "BTC_USDT", "linear", "BTC", "USDT", "0.0001", 0),
    Instrument("gate", "ETH_USDT", "linear", "ETH", "USDT", "0.01", 0),
    Instrument("gate", "BTC_USD", "inverse", "BTC", "USD", "1", 0),
)
_LINEAR = ("gate", "linear", "order", "batched")
_INVERSE = ("gate", "inverse", "order", "batched")


def frame(result: str, told: str = '"time":1791565603,"time_ms":1791565603055') -> bytes:
    """A public_liquidates frame around a result."""
    return f'{{"channel":"futures.public_liquidates","event":"update",{told},"result":{result}}}'.encode()


SAMPLES = [
    Sample(  # the documents' own, its times moved into this decade's bounds
        b'{"channel":"futures.public_liquidates","event":"update","time":1791505434,"time_ms":1791505434123,"result":'
        b'[{"price":"215.1","size":"-124.5","time":1791486601123,"contract":"BTC_USDT"}]}',
        [
            {
                "symbol": "BTC_USDT", "side": "long", "order_side": "SELL", "status": None, "price": "215.1",
                "average_price": None, "quantity": "124.5", "filled_quantity": "124.5", "feed": _LINEAR,
                "trade_time": 1_791_486_601_123, "event_time": 1_791_505_434_123, "basis": None,
                "notional": 2_677_995,  # 124.5 contracts × 0.0001 coins × 215.1
            }
        ],
        CONTRACTS,
        "linear",
    ),
    Sample(
        frame('[{"price":60000.5,"size":-2500,"time":1791565602,"contract":"BTC_USD"}]'),
        [
            {
                "symbol": "BTC_USD", "side": "long", "quantity": "2500", "price": "60000.5", "feed": _INVERSE,
                "notional": 2_500_000_000, "trade_time": 1_791_565_602_000,
            }
        ],
        CONTRACTS,
        "inverse",
    ),
    Sample(
        frame(
            '[{"price":"2450.10","size":"3","time_ms":1791565602047,"contract":"ETH_USDT"},'
            '{"price":"2450.10","size":"3","time_ms":1791565602047,"contract":"ETH_USDT"}]'
        ),
        [
            {"side": "short", "order_side": "BUY", "notional": 73_503_000, "trade_time": 1_791_565_602_047},
            {"side": "short", "order_side": "BUY", "notional": 73_503_000, "trade_time": 1_791_565_602_047},
        ],
        CONTRACTS,
        "linear",
    ),
    Sample(
        frame('{"price":"0.5","size":"10","time":1791565602047,"contract":"NEW_USDT"}', '"time":1791565603'),
        [{"side": "short", "notional": None, "basis": None, "feed": _LINEAR, "event_time": 1_791_565_603_000}],
        market="linear",
    ),
    Sample(
        b'{"time":1791565603,"time_ms":1791565603055,"channel":"futures.tickers","event":"update","result":'
        b'[{"contract":"BTC_USDT","last":"60210.5","mark_price":"60211"}]}',
        None,
        market="linear",
    ),
    Sample(
        b'{"time":1791565603,"channel":"futures.public_liquidates","event":"subscribe","error":null,'
        b'"result":{"status":"success"}}',
        "ack",
    ),
    Sample(b'{"time":1791565603,"channel":"futures.tickers","event":"subscribe","result":{"status":"success"}}', "ack"),
    Sample(
        b'{"time":1791565603,"channel":"futures.public_liquidates","event":"subscribe","error":{"code":2,'
        b'"message":"unknown contract"},"result":null}',
        "error",
    ),
    Sample(b'{"time":1791565603,"time_ms":1791565603055,"channel":"futures.pong","event":"","result":null}', "other"),
]  # fmt: skip
