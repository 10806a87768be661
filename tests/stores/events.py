"""Made-up events, and a writer in a process of its own that can be killed."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count as count_from
from itertools import islice
from pathlib import Path

from rekt.model import Feed, Liquidation, OrderSide
from rekt.store import Batch

LINEAR = Feed("binance", "linear", "average_fill", "largest_per_symbol_second")
INVERSE = Feed("binance", "inverse", "average_fill", "largest_per_symbol_second")
START = 1_700_000_400_000 - 1_700_000_400_000 % 3_600_000  # an hour's start, ms


def event(
    n: int = 0,
    *,
    at: int = START,
    notional: int | None = 1_000_000,
    symbol: str = "BTCUSDT",
    side: OrderSide = "SELL",
    status: str | None = "FILLED",
    feed: Feed = LINEAR,
) -> Liquidation:
    """An event told from others by its number."""
    uid = blake2b(f"{feed.venue} {symbol} {at} {n}".encode(), digest_size=16).digest()
    received = (at + 25) * 1000
    return Liquidation(
        feed,
        at,
        uid,
        symbol,
        side,
        status,
        "0.10",
        "0.1234",
        "1.50",
        "1.5",
        notional,
        None,
        at + 20,
        received,
    )


def events(count: int, *, seed: int = 1, start: int = START, length: int = 7_200_000) -> list[Liquidation]:
    """Random events of several symbols, statuses and feeds: the first ones of a stream."""
    return list(islice(stream(seed=seed, start=start, length=length), count))


def stream(*, seed: int, start: int = START, length: int = 7_200_000) -> Iterator[Liquidation]:
    """Random events without end."""
    chance = random.Random(seed)
    for n in count_from(seed * 10_000_000):
        yield event(
            n,
            at=start + chance.randrange(length),
            notional=None if chance.random() < 0.05 else chance.randrange(10**12),
            symbol=chance.choice(["BTCUSDT", "ETHUSDT", "1000PEPEUSDT", "币安人生USDT"]),
            side=chance.choice(["SELL", "BUY"]),
            status=chance.choice(["FILLED", "FILLED", "FILLED", "NEW", None]),
            feed=chance.choice([LINEAR, INVERSE]),
        )


def batch(*found: Liquidation, run: str = "run", **more: object) -> Batch:
    """One frame for each event."""
    return Batch(run, [(one,) for one in found], **more)  # type: ignore[arg-type]


WRITER = """
    import sys, time
    from pathlib import Path
    from rekt.stores.sqlite import Ledger
    from itertools import islice
    from tests.stores.events import batch, stream
    path, seed, batches, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    ledger = Ledger(path)
    made = stream(seed=seed)
    print("ready", flush=True)
    for n in range(batches):
        ledger.append(batch(*islice(made, size), run=f"run {seed}"))
        if ledger.checkpoint_due:
            ledger.checkpoint()
        print((n + 1) * size, flush=True)
    ledger.close()
"""


def writer(path: Path, *, seed: int = 1, batches: int = 100, size: int = 20) -> subprocess.Popen[str]:
    """A process that writes `events(batches * size, seed=seed)`, telling after each commit how many it wrote."""
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(seed), str(batches), str(size)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{root / 'src'}:{root}", "PATH": "/usr/bin:/bin"},
    )
