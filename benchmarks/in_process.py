"""One event without a socket: ours with validation, uid and a full row, and again durable; others up to their row.

.venv/bin/python -m benchmarks.in_process
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import peers
from benchmarks.decode import reference
from benchmarks.measure import each_ns, interleaved, table
from benchmarks.traffic import payloads
from rekt.app import venue
from rekt.store import Batch
from rekt.stores.sqlite import Ledger

ROOT = Path(__file__).resolve().parents[1]
BATCH = 1000
OTHERS = {
    "cryptofeed": "cryptofeed: its handler and QuestDB encoder",
    "ccxt": "ccxt: its handler",
    "unicorn": "unicorn: UnicornFy",
}


def other(name: str, count: int, stack: ExitStack) -> Callable[[], float]:
    """One of the compared libraries, imported and waiting in a process of its own."""
    process = stack.enter_context(
        subprocess.Popen(
            [peers.python(), "-m", "benchmarks.others", name, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    )
    questions, answers = process.stdin, process.stdout
    assert questions is not None
    assert answers is not None
    stack.callback(questions.close)
    answers.readline()

    def ask() -> float:
        questions.write("\n")
        questions.flush()
        return float(answers.readline())

    return ask


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000, help="events of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    now_us = time.time_ns() // 1000
    known, decode = reference(), venue("binance").decode
    frames = list(payloads(given.count, now_us // 1000 - 60_000))
    starts = range(0, given.count, BATCH)

    def row() -> None:
        for frame in frames:
            decode(frame, now_us, known)

    def durable() -> float:
        with tempfile.TemporaryDirectory(dir=ROOT) as folder:
            ledger = Ledger(Path(folder, "ledger.db"))

            def work() -> None:
                for start in starts:
                    batch = [decode(frame, now_us, known) for frame in frames[start : start + BATCH]]
                    ledger.append(Batch("bench", frames=batch))  # type: ignore[arg-type]  # all hold events

            taken = each_ns(work, given.count)
            ledger.close()
        return taken

    ours = (
        "rekt: validated, uid, notional, full row",
        f"rekt: and durable and rolled up, {BATCH:,} at a time",
    )
    with ExitStack() as stack:
        candidates = {ours[0]: lambda: each_ns(row, given.count), ours[1]: durable}
        candidates |= {text: other(name, given.count, stack) for name, text in OTHERS.items()}
        found = interleaved(candidates, given.rounds)
    rows = [("", "µs an event", "the row is", "durable is")]
    for name, taken in found.items():
        times = [f"× {taken / found[one]:.1f}" for one in ours] if name not in ours else ["", ""]
        rows.append((name, f"{taken / 1000:.2f}", times[0], times[1]))
    table("one event, in process", rows)


if __name__ == "__main__":
    main()
