"""From which size on a liquidation is large: one walk through a ledger of 1 and 10 million rows of 30 days.

    .venv/bin/python -m benchmarks.percentile [--rows 1000000 10000000] [--folder DIR]

What `rekt post` does once a day, in a thread, where `[POST] big_percentile` is set: all symbols at once, without and with a
`big_usd` that leaves the small ones out. Beside it the same for one symbol by its events, as the reader gives them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.hour_summary import HOURS, fill
from benchmarks.measure import table
from rekt.cli._watch import HISTORY_DAYS, limits
from rekt.fields import DAY, HOUR
from rekt.model import Window
from rekt.posts.large import Rules
from rekt.stores.sqlite import Reader

PERCENTILE = 99.9
LEAST = 100_000 * 10**6  # micro-dollars


def seconds(work: Callable[[], object]) -> float:
    """The processor's time of this thread, once: it is done once a day, beside a recorder that must not wait."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def one_symbol(reader: Reader, window: Window, symbol: str) -> int:
    """The percentile of one symbol's events, sorted."""
    sizes = sorted(e.notional for e in reader.liquidations(window, symbol=symbol) if e.notional is not None)
    return sizes[min(len(sizes) - 1, int(len(sizes) * PERCENTILE / 100))]


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "rekt-benchmarks")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    today = time.time_ns() // 1_000_000 // DAY
    start = (today - HISTORY_DAYS) * DAY
    rows = [["rows", "all symbols, CPU s", "from $100,000", "one symbol by its events", "symbols"]]
    for count in given.rows:
        path = given.folder / f"percentile-{count}.db"
        fill(path, count, start, start + HOURS // 2 * HOUR)
        with Reader(path) as reader:
            found = limits(reader, today, Rules(percentile=PERCENTILE))
            window = Window(start, today * DAY)
            symbol = max(found, key=lambda name: found[name])
            if one_symbol(reader, window, symbol) != found[symbol]:
                raise SystemExit(f"{symbol}: the walk and the events do not agree")
            rows.append(
                [
                    f"{count:,}",
                    f"{seconds(partial(limits, reader, today, Rules(percentile=PERCENTILE))):.1f}",
                    f"{seconds(partial(limits, reader, today, Rules(LEAST, PERCENTILE))):.1f}",
                    f"{seconds(partial(one_symbol, reader, window, symbol)):.1f}",
                    f"{len(found)}",
                ]
            )
    table(f"The percentile of 30 days, load {os.getloadavg()[0]:.1f}", rows)


if __name__ == "__main__":
    main()
