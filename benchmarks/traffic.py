"""Liquidations as Binance sends them, made up and all distinct. Standard library only: every side reads the same bytes."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator

SYMBOLS = 320
INVERSE = 16  # of these so many are COIN-M contracts
_COINS = (
    "BTC",
    "ETH",
    "SOL",
    "XRP",
    "DOGE",
    "1000PEPE",
    "BNB",
    "ADA",
    "SUI",
    "LINK",
    "AVAX",
    "LTC",
    "币安人生",
    "WIF",
)


def symbols() -> list[tuple[str, str, int]]:
    """Each symbol with its base coin and market (1 = USD-M, 2 = COIN-M)."""
    coins = [*_COINS, *(f"COIN{number}" for number in range(SYMBOLS))]
    linear = [(f"{coin}USDT", coin, 1) for coin in coins[: SYMBOLS - INVERSE]]
    return linear + [(f"{coin}USD_PERP", coin, 2) for coin in coins[:INVERSE]]


def payloads(count: int, start_ms: int, per_ms: float = 10.0, seed: int = 0) -> Iterator[bytes]:
    """Wrapped frames of one liquidation each; `per_ms` of them fall in the same millisecond of trade time.

    Distinct by (symbol, time), because the symbols go round and per_ms is less than their number.
    """
    if per_ms >= SYMBOLS:
        raise ValueError(f"per_ms is at most {SYMBOLS}")
    numbers = random.Random(seed)
    names = symbols()
    numbers.shuffle(names)
    levels = [round(10 ** numbers.uniform(-3, 4.8), 4) for _ in names]
    for index in range(count):
        name, coin, market = names[index % SYMBOLS]
        price = levels[index % SYMBOLS] * numbers.uniform(0.98, 1.02)
        sell = numbers.random() < 0.6
        limit = price * (0.985 if sell else 1.015)
        dollars = 10 ** numbers.uniform(1, 5)
        digits = max(0, min(7, 4 - len(str(int(price)))))
        filled = f"{dollars / 10:.0f}" if market == 2 else f"{max(dollars / price, 0.001):.3f}"
        time_ms = start_ms + int(index / per_ms)
        yield (
            f'{{"stream":"!forceOrder@arr","data":{{"e":"forceOrder","E":{time_ms + 1008},"o":{{"s":"{name}",'
            f'"S":"{"SELL" if sell else "BUY"}","o":"LIMIT","f":"IOC","q":"{filled}","p":"{limit:.{digits + 2}f}",'
            f'"ap":"{price:.{digits + 2}f}","X":"FILLED","l":"{filled}","z":"{filled}","T":{time_ms},'
            f'"ps":"{coin}USD{"T" if market == 1 else ""}","st":{market}}}}}}}'
        ).encode()


def canary(time_ms: int) -> bytes:
    """The tick that proves a feed alive."""
    return (
        f'{{"stream":"btcusdt@markPrice@1s","data":{{"e":"markPriceUpdate","E":{time_ms},"s":"BTCUSDT",'
        f'"p":"82651.90000000","i":"82650.10","P":"82649.20","r":"0.00010000","T":{time_ms + 3_600_000}}}}}'
    ).encode()


def framed(payload: bytes) -> bytes:
    """A payload as an unmasked text frame of the websocket protocol, as servers send it."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    return struct.pack(">BBH", 0x81, 126, size) + payload


def documents() -> dict[str, bytes]:
    """Both instrument documents by path."""
    found: dict[str, list[dict[str, object]]] = {"/fapi/v1/exchangeInfo": [], "/dapi/v1/exchangeInfo": []}
    for name, coin, market in symbols():
        if market == 1:
            entry: dict[str, object] = {"symbol": name, "baseAsset": coin, "quoteAsset": "USDT"}
            found["/fapi/v1/exchangeInfo"].append(entry)
        else:
            size = 100 if coin == "BTC" else 10
            entry = {"symbol": name, "baseAsset": coin, "quoteAsset": "USD", "contractSize": size}
            found["/dapi/v1/exchangeInfo"].append(entry)
    return {path: json.dumps({"symbols": entries}).encode() for path, entries in found.items()}
