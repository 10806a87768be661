"""Ledgers to look at: an empty one, a normal day, a crash, a gap, hostile names. Run by hand it makes one.

python -m tests.dashboard.scenes crash FILE [--rows N]
"""

from __future__ import annotations

import math
import random
import sys
import time
from hashlib import blake2b
from pathlib import Path

from rekt.model import Connection, Feed, Liquidation, Span
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger

FEED = Feed("binance", "linear", "average_fill", "largest_per_symbol_second")
HOUR = 3_600_000
DAY = 24 * HOUR
SYMBOLS = [
    ("BTCUSDT", 92_000.0, 30), ("ETHUSDT", 3_100.0, 26), ("SOLUSDT", 142.0, 14), ("XRPUSDT", 2.1, 8), ("DOGEUSDT", 0.16, 8),
    ("1000PEPEUSDT", 0.0049, 6), ("HYPEUSDT", 31.0, 5), ("SUIUSDT", 1.6, 5), ("ZECUSDT", 520.0, 5), ("ENAUSDT", 0.26, 3),
    ("LINKUSDT", 13.2, 3), ("AVAXUSDT", 13.9, 3), ("BNBUSDT", 850.0, 3), ("ADAUSDT", 0.44, 2), ("XAUUSDT", 4_080.0, 2),
    ("币安人生USDT", 0.13, 2), ("ETHUSDT_260925", 3_140.0, 1), ("LTCUSDT", 88.0, 2), ("WLDUSDT", 0.62, 2), ("TRUMPUSDT", 6.3, 2),
    ("AAVEUSDT", 171.0, 1), ("ASTERUSDT", 1.1, 2), ("FARTCOINUSDT", 0.28, 2), ("NEARUSDT", 1.9, 1), ("UNIUSDT", 6.4, 1),
]  # fmt: skip
HOSTILE = [
    "<script>alert(document.domain)</script>", '"><img src=x onerror=alert(1)>', "\u202eTDSUCTB\u202c", "=cmd|' /C calc'!A0",
    "A" * 90, "{{7*7}}", "%3Cb%3E", "a\u0000b",
]  # fmt: skip


def event(
    rng: random.Random, at: int, symbol: str, price: float, long: bool, scale: float = 1.0
) -> Liquidation:
    """One liquidation of a size as they are: many small ones, few large."""
    usd = min(scale * math.exp(rng.gauss(7.6, 1.9)), 8e6)
    quantity = max(round(usd / price, 3), 0.001)
    average = round(price * rng.uniform(0.985, 1.015), 6)
    notional = round(quantity * average * 1e6)
    uid = blake2b(f"{symbol} {at} {rng.random()}".encode(), digest_size=16).digest()
    return Liquidation(
        FEED, at, uid, symbol, "SELL" if long else "BUY", "FILLED", f"{average * (0.99 if long else 1.01):.6f}",
        f"{average:.6f}", f"{quantity:.3f}", f"{quantity:.3f}", notional, None, at + 1010,
        (at + 1010) * 1000 + rng.randrange(90_000),
    )  # fmt: skip


def sized(at: int, symbol: str, usd: float, *, long: bool, number: int) -> Liquidation:
    """A liquidation of so many dollars."""
    uid = blake2b(f"{symbol} {at} {number}".encode(), digest_size=16).digest()
    notional = round(usd * 1e6)
    return Liquidation(
        FEED, at, uid, symbol, "SELL" if long else "BUY", "FILLED", "1", "1", f"{usd:.6f}", f"{usd:.6f}", notional, None,
        at + 1, at * 1000 + 2000,
    )  # fmt: skip


def events(scene: str, now: int, days: float, per_hour: float, seed: int = 1) -> list[Liquidation]:
    """The events of the days up to now."""
    rng = random.Random(seed)
    symbols = [(name, price) for name, price, _ in SYMBOLS]
    weights = [weight for _, _, weight in SYMBOLS]
    if scene == "hostile":
        symbols = [(name, 10.0) for name in HOSTILE] + symbols[:4]
        weights = [1] * len(symbols)
    found, at = [], now - round(days * DAY)
    while at < now:
        into = now - at
        crash = scene == "crash" and 25 * 60_000 < into < 115 * 60_000
        wave = 1 + 0.6 * math.sin(at / DAY * 2 * math.pi) + 0.5 * math.sin(at / HOUR * 0.7)
        rate = per_hour * (14 if crash else max(wave, 0.15))
        at += max(1, round(rng.expovariate(rate / HOUR)))
        if at >= now:
            break
        name, price = rng.choices(symbols, weights)[0]
        long = rng.random() < (0.93 if crash else 0.5 + 0.2 * math.sin(at / HOUR * 0.4))
        found.append(event(rng, at, name, price, long, 2.6 if crash else 1.0))
    return found


def lives(scene: str, now: int, days: float) -> tuple[list[Connection], list[Span]]:
    """The connections of those days: a planned renewal each day, and holes in the scene `gap`."""
    start, open_ends = now - round(days * DAY) - 5_000, now - 300
    stretches: list[tuple[int, int, str | None]] = []
    if scene in ("gap", "dead"):
        holes = [(now - 20 * HOUR, now - 17 * HOUR, "stall"), (now - 5 * HOUR, now - 4 * HOUR - 20 * 60_000, "stopped"),
                 (now - 25 * 60_000, now - 12 * 60_000, "mis-routed")]  # fmt: skip
        at = start
        for begin, end, cause in holes:
            stretches.append((at, begin, cause))
            at = end
        stretches.append((at, now - 95_000, "stall") if scene == "dead" else (at, open_ends, None))
    else:
        at = start
        while at + DAY < open_ends:
            stretches.append((at, at + DAY + 2_000, "renewed"))
            at += DAY
        stretches.append((at, open_ends, None))
    connections, spans = [], []
    for number, (begin, end, why) in enumerate(stretches):
        name = f"{number:016x}"
        closed = end * 1000 if why else None
        connections.append(
            Connection(name, "r1", "binance", "wss://fstream.binance.com/market/stream", begin * 1000, begin * 1000,
                       end * 1000, end * 1000, closed, why)
        )  # fmt: skip
        spans.append(Span(name, begin, end))
    return connections, spans


def make(path: Path, scene: str, *, days: float = 31, per_hour: float = 140, now: int | None = None) -> int:
    """Write a ledger; returns how many events it holds."""
    now = time.time_ns() // 1_000_000 if now is None else now
    ledger = Ledger(path)
    if scene == "empty":
        ledger.close()
        return 0
    ledger.begin(Run("r1", (now - round(days * DAY)) * 1000, None, "run", "0.1.0", 1))
    connections, spans = lives(scene, now, days)
    holes = [(a[1], b[0]) for a, b in zip(sorted((s.start_ms, s.end_ms) for s in spans),
                                          sorted((s.start_ms, s.end_ms) for s in spans)[1:], strict=False)]  # fmt: skip
    end = max(span.end_ms for span in spans)
    found = [
        one for one in events(scene, now - 1_500, days, per_hour)
        if one.trade_time <= end and not any(a < one.trade_time < b for a, b in holes)
    ]  # fmt: skip
    ledger.append(Batch("r1", control=round(days * 86_400), connections=connections, spans=spans))
    for first in range(0, len(found), 5_000):
        ledger.append(Batch("r1", frames=[(one,) for one in found[first : first + 5_000]]))
    ledger.close()
    return len(found)


if __name__ == "__main__":
    scene, file = sys.argv[1:3]
    rows = int(sys.argv[4]) if sys.argv[3:4] == ["--rows"] else 0
    rate = rows / 31 / 24 if rows else 140
    sys.stdout.write(f"{make(Path(file), scene, per_hour=rate):,} events\n")
