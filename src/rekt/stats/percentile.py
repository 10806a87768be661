"""What size so many percent of each symbol's liquidations do not exceed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappush, heapreplace
from typing import Final

SAMPLE: Final = 200  # events of a symbol before a percentile of them means anything


def percentiles(
    counts: Mapping[str, int], sizes: Iterable[tuple[str, int]], percent: float, least: int = 0
) -> dict[str, int]:
    """The size by symbol, at least `least`; only of symbols with enough events.

    `counts`: how many events of known size each symbol has. `sizes`: theirs (symbol, size), in any order; those below
    `least` may be left out. Of each symbol only as many as lie above the percentile are kept in memory.

    >>> percentiles({"A": 1000, "B": 10}, (("A", size) for size in range(1000)), 99.0)
    {'A': 990}
    """
    above = {
        symbol: count - min(count - 1, int(count * percent / 100))
        for symbol, count in counts.items()
        if count >= SAMPLE
    }
    largest: dict[str, list[int]] = {symbol: [] for symbol in above}
    for symbol, size in sizes:
        kept = largest.get(symbol)
        if kept is None:
            continue
        if len(kept) < above[symbol]:
            heappush(kept, size)
        elif size > kept[0]:
            heapreplace(kept, size)
    return {
        symbol: max(least, kept[0]) if len(kept) == above[symbol] else least
        for symbol, kept in largest.items()
    }
