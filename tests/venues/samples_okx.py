"""Frames of OKX by hand after its documents and the facts, and what they say."""

from __future__ import annotations

from rekt.model import Instrument
from tests.contracts.test_venue import Sample

CONTRACTS = (
    Instrument("okx", "CNPY-USDT-SWAP", "linear", "CNPY", "USDT", "10", 0),
    Instrument("okx", "BTC-USDT-SWAP", "linear", "BTC", "USDT", "0.01", 0),
    Instrument("okx", "BTC-USD-SWAP", "inverse", "BTC", "USD", "100", 0),
    Instrument("okx", "BTC-USD_UM_XPERP-310404", "linear", "BTC", "USD", "0.0001", 0),
)


def frame(kind: str, instrument: str, family: str, *details: str) -> bytes:
    """A liquidation-orders frame of one instrument."""
    return (
        f'{{"arg":{{"channel":"liquidation-orders","instType":"{kind}"}},"data":[{{"details":[{",".join(details)}],'
        f'"instFamily":"{family}","instId":"{instrument}","instType":"{kind}","uly":"{family}"}}]}}'
    ).encode()


def detail(position: str, side: str, size: str, price: str, ts: str = "1791565602047") -> str:
    """One order of such a frame."""
    return f'{{"bkLoss":"0","bkPx":"{price}","ccy":"","posSide":"{position}","side":"{side}","sz":"{size}","ts":"{ts}"}}'


SAMPLES = [
    Sample(
        b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0","bkPx":"0.4162",'
        b'"ccy":"","posSide":"short","side":"buy","sz":"2137","ts":"1789669898955"}],"instFamily":"CNPY-USDT",'
        b'"instId":"CNPY-USDT-SWAP","instType":"SWAP","uly":"CNPY-USDT"}]}',
        [
            {
                "symbol": "CNPY-USDT-SWAP", "side": "short", "order_side": "BUY", "status": None, "price": "0.4162",
                "average_price": None, "quantity": "2137", "filled_quantity": "2137",
                "feed": ("okx", "linear", "bankruptcy", "unspecified"),
                "trade_time": 1_789_669_898_955, "event_time": None, "basis": None,
                "notional": 8_894_194_000,  # 2137 contracts × 10 coins × 0.4162
            }
        ],
        CONTRACTS,
    ),
    Sample(
        frame("SWAP", "BTC-USD-SWAP", "BTC-USD", detail("net", "sell", "7.5", "61234.5")),
        [
            {
                "side": "long", "quantity": "7.5", "notional": 750_000_000, "trade_time": 1_791_565_602_047,
                "feed": ("okx", "inverse", "bankruptcy", "unspecified"),
            }
        ],
        CONTRACTS,
    ),
    Sample(
        frame("FUTURES", "BTC-USD_UM_XPERP-310404", "BTC-USD_UM", detail("long", "sell", "30", "60000.1")),
        [{"side": "long", "notional": 180_000_300, "feed": ("okx", "linear", "bankruptcy", "unspecified")}],
        CONTRACTS,
    ),
    Sample(
        frame(
            "SWAP", "BTC-USDT-SWAP", "BTC-USDT",
            detail("net", "buy", "0.1", "60000"), detail("net", "buy", "0.1", "60000"),
            detail("short", "buy", "12.34", "60000.5"),
        ),
        [
            {"side": "short", "notional": 60_000_000},
            {"side": "short", "notional": 60_000_000},
            {"side": "short", "notional": 7_404_061_700},
        ],
        CONTRACTS,
    ),
    Sample(
        frame("SWAP", "BTC-EUR-SWAP", "BTC-EUR", detail("long", "sell", "3", "55000")),
        [{"side": "long", "notional": None, "basis": None, "feed": ("okx", "linear", "bankruptcy", "unspecified")}],
    ),
    Sample(
        b'{"arg":{"channel":"mark-price","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","instType":"SWAP",'
        b'"markPx":"60210.5","ts":"1791565603000"}]}',
        None,
    ),
    Sample(b'{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"},"connId":"x"}', "ack"),
    Sample(b'{"id":"1","event":"error","code":"60018","msg":"The channel doesn\'t exist.","connId":"x"}', "error"),
    Sample(b'{"event":"notice","code":"64008","msg":"The connection will soon be closed.","connId":"x"}', "reconnect"),
]  # fmt: skip
