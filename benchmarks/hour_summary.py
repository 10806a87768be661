"""The summary of one hour while history grows: the call, and the whole command.

    .venv/bin/python -m benchmarks.hour_summary            # 1 and 10 million rows
    .venv/bin/python -m benchmarks.hour_summary --full     # and 50 million: about 15 GB in --folder, and an hour

The rows go in through the ledger itself, roll-ups included, spread over 30 days; the hour asked for has
the same 1,400 rows at every size. Above 10 million a ledger is grown from the one before it: its days, events and
roll-ups alike, are repeated before themselves by SQL. The summaries are compared with a recount of the events.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import apsw

from benchmarks.decode import reference
from benchmarks.measure import interleaved, table
from benchmarks.traffic import payloads
from rekt.app import traits, venue
from rekt.fields import DAY, HOUR, iso_ms
from rekt.model import Liquidation, Window
from rekt.stats.summary import summarise
from rekt.store import Batch
from rekt.stores.sqlite import Ledger, Reader

ROOT = Path(__file__).resolve().parents[1]
SIZES = (1_000_000, 10_000_000)
DAYS = 30
HOURS = DAYS * 24
IN_HOUR = 1_400
BATCH = 10_000


def events(count: int, start_ms: int, asked_ms: int) -> Iterator[list[Liquidation]]:
    """Batches of so many events over the days by trade time; in the hour that is asked for always the same."""
    decode, known = venue("binance").decode, reference()

    def decoded(number: int, at_ms: int, per_ms: float, seed: int) -> Iterator[Liquidation]:
        for frame in payloads(number, at_ms, per_ms, seed):
            found = decode(frame, at_ms * 1000 + HOUR * 1000, known)
            assert isinstance(found, tuple)
            yield found[0]

    def all_of_them() -> Iterator[Liquidation]:
        each, rest = divmod(count - IN_HOUR, HOURS - 1)
        for hour in range(HOURS):
            at_ms = start_ms + hour * HOUR
            number = IN_HOUR if at_ms == asked_ms else each
            if hour == 0:
                number += rest
            yield from decoded(number, at_ms, number / (HOUR - 60_000), 0 if at_ms == asked_ms else hour)

    batch: list[Liquidation] = []
    for event in all_of_them():
        batch.append(event)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def fill(path: Path, count: int, start_ms: int, asked_ms: int) -> None:
    """Make the ledger, unless it is there."""
    if path.exists():
        return
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    started, done = time.monotonic(), 0
    ledger = Ledger(part)
    for batch in events(count, start_ms, asked_ms):
        ledger.append(Batch("bench", frames=[(event,) for event in batch]))
        done += len(batch)
        if ledger.checkpoint_due:
            ledger.checkpoint()
        if done % 1_000_000 < BATCH:
            print(
                f"\r{done:,} of {count:,} rows, {time.monotonic() - started:.0f} s", end="", file=sys.stderr
            )
    print(file=sys.stderr)
    ledger.close()
    part.rename(path)


def grow(path: Path, source: Path, times: int) -> None:
    """Make a ledger of so many times the source's days, unless it is there; the copies lie before the source's."""
    if path.exists():
        return
    part = path.with_suffix(".part")
    shutil.copyfile(source, part)
    connection = apsw.Connection(str(part))
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    last = cast("int", connection.execute("SELECT max(seq) FROM liquidation").get)
    columns = (
        "symbol, order_side, status, price, average_price, quantity, filled_quantity, notional, basis, event_time,"
        " received_us"
    )
    with connection:
        for copy in range(1, times):
            for low in range(0, last, 500_000):
                connection.execute(
                    f"INSERT INTO liquidation SELECT NULL, feed, trade_time - ?1, uid, {columns} FROM liquidation"
                    " WHERE seq > ?2 AND seq <= ?3 ORDER BY seq",
                    (copy * DAYS * DAY, low, min(low + 500_000, last)),
                )
                print(f"\r{copy * last + low:,} rows", end="", file=sys.stderr)
            connection.execute(
                "INSERT INTO bucket SELECT scope, start - ?1, feed, symbol, order_side, count, unknown_count, dollars,"
                " micros, largest, largest_time - ?1, largest_uid FROM bucket WHERE start > ?2",
                (
                    copy * DAYS * DAY,
                    cast("int", connection.execute("SELECT max(start) FROM bucket").get) - DAYS * DAY,
                ),
            )
        connection.execute("UPDATE run SET events = events * ?1, stored = stored * ?1", (times,))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    print(file=sys.stderr)
    part.rename(path)


def prove(path: Path, window: Window) -> None:
    """The hour's roll-ups against a recount of its events."""
    with Reader(path) as reader:
        found = summarise(reader, window, window.end + HOUR, traits=traits())
        buckets = reader.count(window)
        counted, total = sum(bucket.count for bucket in buckets), sum(bucket.total for bucket in buckets)
        if (found.count, found.total) != (counted, total) or counted != IN_HOUR:
            sys.exit(f"{path}: rolled up {found.count} and {found.total}, recounted {counted} and {total}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="rows (%(default)s)")
    parser.add_argument("--full", action="store_true", help="also 50 million rows")
    parser.add_argument(
        "--folder", type=Path, help="where the ledgers are made and kept; otherwise thrown away"
    )
    parser.add_argument("--rounds", type=int, default=41)
    given = parser.parse_args()
    sizes = [*given.sizes, *([50_000_000] if given.full else [])]
    start_ms = (time.time_ns() // 1_000_000 // DAY - DAYS - 1) * DAY
    kept = sorted(given.folder.glob("*-*.db")) if given.folder and given.folder.exists() else []
    if kept:  # of an earlier day
        start_ms = int(kept[0].stem.rpartition("-")[2])
    window = Window(start_ms + (HOURS - 12) * HOUR, start_ms + (HOURS - 11) * HOUR)
    with tempfile.TemporaryDirectory(dir=ROOT) as thrown_away:
        folder = given.folder or Path(thrown_away)
        folder.mkdir(parents=True, exist_ok=True)
        paths = {size: folder / f"{size}-{start_ms}.db" for size in sizes}
        largest = max(SIZES)
        for size, path in paths.items():
            if size > largest and size % largest == 0 and largest in paths:
                grow(path, paths[largest], size // largest)
                prove(path, Window(*(time - DAYS * DAY for time in window)))
            else:
                fill(path, size, start_ms, window.start)
            prove(path, window)
        readers = {size: Reader(path) for size, path in paths.items()}

        def call(size: int) -> float:
            start = time.perf_counter()
            summarise(readers[size], window, window.end + HOUR, traits=traits())
            return (time.perf_counter() - start) * 1000

        def command(size: int) -> float:
            environment = {**os.environ, "REKT_DATABASE_PATH": str(paths[size])}
            hour = iso_ms(window.start)[:13]
            start = time.perf_counter()
            line = [sys.executable, "-m", "rekt", "summary", "--hour", hour, "--json"]
            subprocess.run(line, env=environment, stdout=subprocess.DEVNULL, check=True)
            return (time.perf_counter() - start) * 1000

        calls = interleaved({str(size): partial(call, size) for size in sizes}, given.rounds)
        commands = interleaved({str(size): partial(command, size) for size in sizes}, given.rounds // 2)
        for reader in readers.values():
            reader.close()
    first = str(sizes[0])
    rows = [("rows", "call ms", "of the first", "command ms", "of the first")]
    rows += [
        (
            f"{int(name):,}",
            f"{calls[name]:.2f}",
            f"{calls[name] / calls[first]:.2f}",
            f"{commands[name]:.0f}",
            f"{commands[name] / commands[first]:.2f}",
        )
        for name in calls
    ]
    table("one hour's summary", rows)


if __name__ == "__main__":
    main()
