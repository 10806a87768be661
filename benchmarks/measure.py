"""What the benchmarks share: medians, percentiles, the machine in a line, rows of a table."""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence


def interleaved(candidates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each candidate's figures, taken in turns, so that a disturbance hits all of them alike."""
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            figures[name].append(candidate())
    return {name: statistics.median(found) for name, found in figures.items()}


def each_ns(work: Callable[[], object], count: int) -> float:
    """Nanoseconds that `work`, which handles `count` things, takes for each."""
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / count


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def machine() -> str:
    """What this runs on, as far as the figures depend on it."""
    release = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {release}"


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, the first left, the others right."""
    print(f"\n{title}  ({machine()})")
    widths = [
        max(len(row[column]) for row in rows if column < len(row)) for column in range(max(map(len, rows)))
    ]
    for row in rows:
        cells = [
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        print("  " + "  ".join(cells).rstrip())
    sys.stdout.flush()
