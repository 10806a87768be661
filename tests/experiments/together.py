"""Two recorders on one ledger under load, with checkpoints and a reader beside them.

    .venv/bin/python -m tests.experiments.together --seconds 600 --rate 1000

Both write the same file at the same time. Afterwards every event that the exchange sent while either was connected
must be there once, the roll-ups must equal a recount, the frames of both must be accounted for, and the write-ahead
log must have stayed small.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rekt.fields import iso_ms
from rekt.simulator import simulated
from rekt.stores.sqlite import Reader
from tests.experiments.kill import Outcome, Watcher, check, recorder

LOG_BYTES = 128 << 20  # the writer waits for readers at 64 MiB of log


@dataclass
class Together(Outcome):
    """What the experiment found, besides."""

    duplicates: int = 0
    largest_log_bytes: int = 0
    ledger_bytes: int = 0


def together(seconds: float, *, rate: float = 1000.0, seed: int = 1) -> Together:
    """Run two recorders for so long; see the module's docstring for what must hold."""
    outcome = Together()
    with tempfile.TemporaryDirectory() as folder, simulated(rate=rate, hold_ms=0, seed=seed) as exchange:
        ledger = Path(folder) / "ledger.db"
        log = ledger.with_name(ledger.name + "-wal")
        watcher = Watcher(ledger)
        processes = [recorder(ledger, exchange) for _ in range(2)]
        try:
            watcher.wait_for_more(30.0)  # a busy machine starts processes slowly
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(0.2)
                if log.exists():
                    outcome.largest_log_bytes = max(outcome.largest_log_bytes, log.stat().st_size)
                if any(process.poll() is not None for process in processes):
                    outcome.faults.append("a recorder ended by itself")
                    break
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                if process.wait(12):
                    outcome.faults.append(f"a recorder ended with {process.returncode}")
            watcher.close()
        check(ledger, exchange, watcher.seen, outcome)
        outcome.ledger_bytes = ledger.stat().st_size
        with Reader(ledger) as reader:
            counters = reader.counters()
        outcome.duplicates = counters.duplicate
        if (
            counters.received
            != counters.control + counters.stored + counters.duplicate + counters.quarantined
        ):
            outcome.faults.append(f"frames are unaccounted for: {counters}")
        if counters.stored != outcome.stored:
            outcome.faults.append(f"{counters.stored} frames stored, but {outcome.stored} events are there")
        if counters.duplicate < 0.5 * outcome.stored:
            outcome.faults.append("the second recorder recorded next to nothing")
        if outcome.largest_log_bytes > LOG_BYTES:
            outcome.faults.append("the log grew without bound")
    return outcome


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.time()
    outcome = together(given.seconds, rate=given.rate, seed=given.seed)
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}")
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
