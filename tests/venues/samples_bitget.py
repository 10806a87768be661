"""Frames of Bitget by hand after its documents and the facts, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

CONTRACTS = (
    Instrument("bitget", "APEUSDT", "linear", "APE", "USDT", None, 0),
    Instrument("bitget", "BTCPERP", "linear", "BTC", "USDC", None, 0),
    Instrument("bitget", "BTCUSD_CM", "inverse", "BTC", "USD", None, 0),
)
_SAMPLING = "largest_per_symbol_second"


def frame(kind: str, *rows: str, told: str = "1791565603055") -> bytes:
    """A liquidation frame of one kind of futures."""
    return (
        f'{{"action":"update","arg":{{"instType":"{kind}","topic":"liquidation"}},"data":[{",".join(rows)}],'
        f'"ts":{told}}}'
    ).encode()


def row(symbol: str, side: str, price: str, amount: str, ts: str = "1791565590047") -> str:
    """One event of such a frame, 13 seconds old."""
    return f'{{"symbol":"{symbol}","side":"{side}","price":"{price}","amount":"{amount}","ts":"{ts}"}}'


SAMPLES = [
    Sample(
        b'{"action":"update","arg":{"instType":"usdt-futures","topic":"liquidation"},"data":[{"symbol":"APEUSDT",'
        b'"side":"buy","price":"0.1649","amount":"13.70319","ts":"1777358886549"}],"ts":1777358897167}',
        [
            {
                "symbol": "APEUSDT", "side": "long", "order_side": "SELL", "status": None, "price": None,
                "average_price": "0.1649", "quantity": "13.70319", "filled_quantity": "13.70319",
                "feed": ("bitget", "linear", "average_fill", _SAMPLING), "basis": None,
                "trade_time": 1_777_358_886_549, "event_time": 1_777_358_897_167,
                "notional": 13_703_190,  # 83.1 coins × 0.1649
            }
        ],
        CONTRACTS,
    ),
    Sample(
        frame(
            "usdc-futures",
            row("BTCPERP", "sell", "60210.500000000001", "1204.21"), row("BTCPERP", "buy", "60210.5", "60.2105"),
        ),
        [
            {"side": "short", "order_side": "BUY", "notional": 1_204_210_000, "trade_time": 1_791_565_590_047},
            {"side": "long", "order_side": "SELL", "notional": 60_210_500, "event_time": 1_791_565_603_055},
        ],
        CONTRACTS,
    ),
    Sample(
        frame("coin-futures", row("BTCUSD_CM", "buy", "60000", "2500")),
        [
            {
                "symbol": "BTCUSD_CM", "side": "long", "notional": 2_500_000_000, "basis": "inferred",
                "feed": ("bitget", "inverse", "average_fill", _SAMPLING),
            }
        ],
        CONTRACTS,
    ),
    Sample(
        frame("usdt-futures", row("NEWUSDT", "sell", "2", "7"), row("NEWUSDT", "sell", "2", "7")),
        [{"side": "short", "notional": 7_000_000}, {"side": "short", "notional": 7_000_000}],
    ),
    Sample(
        b'{"action":"snapshot","arg":{"instType":"usdt-futures","topic":"ticker","symbol":"BTCUSDT"},"data":['
        b'{"highPrice24h":"61000","markPrice":"60210.5","lastPrice":"60210"}],"ts":1791565603000}',
        None,
    ),
    Sample(b'{"event":"subscribe","arg":{"instType":"usdt-futures","topic":"liquidation"},"connId":"x"}', "ack"),
    Sample(
        b'{"event":"error","arg":{"instType":"usdt-futures","topic":"liquidation","symbol":"BTCUSDT"},"code":30001,'
        b'"msg":"topic does not exist"}',
        "error",
    ),
]  # fmt: skip
