"""A small ledger that tests of the commands read."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from rekt.model import Connection, Feed, Liquidation, OrderSide, Side, Span
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger

NOON = 1_784_203_200_000  # 2026-07-16T12:00Z
LINEAR = Feed("binance", "linear", "average_fill", "largest_per_symbol_second")


class Result(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        """Standard output as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def event(
    seconds: float, symbol: str, side: Side, notional: int | None, status: str = "FILLED"
) -> Liquidation:
    """A liquidation so many seconds after noon."""
    time = NOON + round(seconds * 1000)
    uid = blake2b(f"{symbol} {time} {side}".encode(), digest_size=16).digest()
    order: OrderSide = "SELL" if side == "long" else "BUY"
    received = (time + 1000) * 1000
    return Liquidation(
        LINEAR, time, uid, symbol, order, status, "1.10", "1.00", "5", "5", notional, None, time + 900, received
    )  # fmt: skip


def fill(path: Path) -> None:
    """Noon's hour recorded for 54 minutes: 4 events that count and 1 that does not, and one before noon."""
    path.parent.mkdir(exist_ok=True)
    book = Ledger(path)
    book.begin(Run("r1", NOON * 1000, None, "run", "0", 1))
    frames: list[tuple[Liquidation, ...]] = [
        (event(-60, "BTCUSDT", "short", 7_000_000),),
        (event(1, "BTCUSDT", "long", 2_500_000_000_000),),
        (event(2, "币安人生USDT", "long", 30_000_500_000),),
        (event(3, "EVIL\x1b[2J\u202eUSDT", "short", 1_000_000),),
        (event(4, "XUSDT_260925", "short", None),),
        (event(5, "XRPUSDT", "long", 9_000_000, status="NEW"),),
    ]
    start, end = NOON - 1000, NOON + 54 * 60_000
    life = Connection(
        "c1",
        "r1",
        "binance",
        "wss://x/m",
        start * 1000,
        start * 1000,
        end * 1000,
        end * 1000,
        end * 1000,
        "cut",
    )
    book.append(Batch("r1", frames=frames, control=10, connections=[life], spans=[Span("c1", start, end)]))
    book.close()
