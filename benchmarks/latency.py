"""From receipt to durable, at a steady pace, beside what the disk needs at least.

    .venv/bin/python -m benchmarks.latency

The whole recorder over a socket, its bounded queue included. In turns with it: one bare write and fdatasync at the
same pace; and the insert of a batch of the same size into a bare table of the same columns, with its fsync.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from benchmarks.decode import reference
from benchmarks.end_to_end import ROOT, recorded
from benchmarks.measure import percentile, table
from benchmarks.traffic import payloads
from rekt.app import venue

RATES = (20, 200, 2_000, 10_000, 50_000)
INSERT = "INSERT INTO event VALUES(NULL, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def probes(work: Callable[[], object], pace: float, count: int) -> list[float]:
    """Milliseconds that each of so many calls takes, begun so many times a second where that can be."""
    taken, due = [], time.perf_counter()
    for _ in range(count):
        due = max(due + 1 / pace, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def bare_fsyncs(folder: Path, pace: float, count: int) -> list[float]:
    """Two pages written and made durable, going round in 4 MiB, as a write-ahead log does."""
    descriptor = os.open(folder / "bare", os.O_RDWR | os.O_CREAT)
    page, place = b"x" * 8192, 0

    def work() -> None:
        nonlocal place
        os.pwrite(descriptor, page, place % (4 << 20))
        os.fdatasync(descriptor)
        place += len(page)

    try:
        return probes(work, pace, count)
    finally:
        os.close(descriptor)


def bare_inserts(folder: Path, pace: float, count: int, size: int) -> list[float]:
    """A batch into a bare table in WAL and FULL; no roll-up, no repeats looked for beyond the unique index."""
    known, decode = reference(), venue("binance").decode
    now_us = time.time_ns() // 1000
    made = payloads(count * size, now_us // 1000 - 600_000)
    connection = apsw.Connection(str(folder / "bare.db"))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    columns = "feed, trade_time INTEGER, uid BLOB, symbol, side, status, p, ap, q, z, notional, basis, e, r"
    connection.execute(f"CREATE TABLE event(seq INTEGER PRIMARY KEY, {columns}, UNIQUE(trade_time, uid))")
    rows = []
    for frame in made:
        found = decode(frame, now_us, known)
        assert isinstance(found, tuple)
        rows.append(tuple(found[0])[1:])
    batches = iter([rows[start : start + size] for start in range(0, len(rows), size)])

    def work() -> None:
        with connection:
            connection.executemany(INSERT, next(batches))

    try:
        return probes(work, pace, count)
    finally:
        connection.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows: list[tuple[str, ...]] = [
        (
            "events/s",
            "p50 ms",
            "p99 ms",
            "fsync p50",
            "p99",
            "ratio p99",
            "batch",
            "insert+fsync p50",
            "p99",
            "ratio p99",
        )
    ]
    for rate in RATES:
        figures: dict[str, list[float]] = {name: [] for name in ("p50", "p99", "size")}
        bare: list[float] = []
        insert: list[float] = []
        for _ in range(given.rounds):
            found = recorded(round(rate * given.seconds), "--rate", str(rate), "--ticks")
            batches = found["batches"]
            assert isinstance(batches, list)
            for name in ("p50", "p99"):
                value = found[f"{name}_ms"]
                assert isinstance(value, float)
                figures[name].append(value)
            size = max(1, round(statistics.mean(batches)))
            figures["size"].append(size)
            pace = min(rate, len(batches) / given.seconds)
            count = min(2000, max(60, round(pace * given.seconds)))
            with tempfile.TemporaryDirectory(dir=ROOT) as folder:
                bare += bare_fsyncs(Path(folder), pace, count)
                if rate >= 2000:
                    insert += bare_inserts(Path(folder), pace, min(count, 200_000 // size), size)
        p50, p99, typical = (statistics.median(figures[name]) for name in ("p50", "p99", "size"))
        fsync = percentile(bare, 50), percentile(bare, 99)
        row = [
            f"{rate:,}",
            f"{p50:.2f}",
            f"{p99:.2f}",
            f"{fsync[0]:.2f}",
            f"{fsync[1]:.2f}",
            f"{p99 / fsync[1]:.1f}",
            f"{typical:.0f}",
        ]
        if insert:
            both = percentile(insert, 50), percentile(insert, 99)
            row += [f"{both[0]:.2f}", f"{both[1]:.2f}", f"{p99 / both[1]:.1f}"]
        rows.append(tuple(row))
    table("receipt to durable, ms", rows)


if __name__ == "__main__":
    main()
