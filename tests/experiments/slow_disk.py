"""A disk whose syncs take seconds: reading pauses, nothing is dropped, and memory is bounded.

    .venv/bin/python -m tests.experiments.slow_disk --minutes 10

The recorder runs on a disk that is slow on demand (see poor_disk.py). Again and again every sync takes so long that
more arrives meanwhile than the recorder's memory for it may hold. Reading must pause; what the exchange sends then
waits in the network's buffers. Once the disk is quick again, reading goes on. At the end every liquidation that was
delivered must be there, once, with no connection ended and no hole.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rekt import app
from rekt.fields import iso_ms
from rekt.model import Window
from rekt.pipeline.committer import LIMIT
from rekt.stats.summary import summarise
from rekt.stores.sqlite import Reader
from tests.experiments.exchange import Exchange
from tests.experiments.kill import recorder
from tests.experiments.soak import resident_kib

MEMORY_KIB = 400 << 10  # both queues full, and the transaction being written
WAIT_S = 120.0


@dataclass
class Slow:
    """What the experiment found; `faults` is empty when all held."""

    cycles: int = 0
    paused: int = 0
    resumed: int = 0
    delivered: int = 0
    stored: int = 0
    repeats: int = 0
    connections: int = 0
    holes: int = 0
    coverage: float = 0.0
    largest_memory_kib: int = 0
    largest_memory_first_half_kib: int = 0
    faults: tuple[str, ...] = ()


def slow_disk(
    seconds: float, *, rate: float = 3000.0, sync_s: float | None = None, queue: int = LIMIT, seed: int = 1
) -> Slow:
    """Make the disk slow again and again for so long, at least once; see the module's docstring for what must hold.

    `sync_s`: how long a sync takes then; None: as long as a queue and a quarter take to come (repeats don't wait).
    """
    outcome = Slow()
    with tempfile.TemporaryDirectory() as name:
        ledger, how, log = Path(name) / "ledger.db", Path(name) / "how", Path(name) / "log"
        exchange = Exchange.start(
            "--rate", str(rate), "--hold-ms", "0", "--seed", str(seed), "--buffer", str(64 << 20)
        )
        slow = sync_s or 1.25 * queue / rate
        try:
            with log.open("wb") as errors:
                process = recorder(
                    ledger, exchange, stderr=errors, program=("tests.experiments.poor_disk", "-v"),
                    POOR_DISK=str(how), POOR_DISK_QUEUE=str(queue),
                )  # fmt: skip
                try:
                    _cycles(outcome, seconds, process.pid, how, log, slow)
                    if process.poll() is not None:
                        outcome.faults += (f"the recorder ended by itself with {process.returncode}",)
                    outcome.delivered = exchange.stop()  # first: so that nothing is on its way
                    time.sleep(3)
                finally:
                    how.write_text("")
                    process.terminate()
                    if process.wait(15):
                        outcome.faults += (f"the recorder ended with {process.returncode}",)
        finally:
            exchange.stop()
        _check(outcome, ledger)
        if outcome.faults:
            outcome.faults += (log.read_text("utf-8", "replace")[-3000:],)
    return outcome


def _cycles(outcome: Slow, seconds: float, pid: int, how: Path, log: Path, slow: float) -> None:
    """Slow until reading pauses, quick until it goes on, and as long again."""

    def said(what: str) -> int:
        return log.read_text("utf-8", "replace").count(what)

    def wait_for(what: str, more_than: int) -> bool:
        end = time.monotonic() + WAIT_S
        while said(what) <= more_than and time.monotonic() < end:
            kib = resident_kib(pid)
            outcome.largest_memory_kib = max(outcome.largest_memory_kib, kib)
            time.sleep(0.1)
        return said(what) > more_than

    began = time.monotonic()
    if not wait_for("the feed is alive", 1):
        outcome.faults += ("the two connections never came alive",)
        return
    while not outcome.cycles or time.monotonic() - began < seconds:
        paused, resumed = said("reading pauses"), said("reading on")
        how.write_text(f"slow {slow}")
        if not wait_for("reading pauses", paused):
            outcome.faults += (f"reading did not pause in {WAIT_S:g} s of a slow disk",)
            return
        how.write_text("")
        if not wait_for("reading on", resumed):
            outcome.faults += (f"reading did not go on in {WAIT_S:g} s of a quick disk",)
            return
        time.sleep(min(2 * slow, 10.0))  # catching up
        outcome.cycles += 1
        outcome.paused, outcome.resumed = said("reading pauses"), said("reading on")
        if time.monotonic() - began < seconds / 2:
            outcome.largest_memory_first_half_kib = outcome.largest_memory_kib


def _check(outcome: Slow, ledger: Path) -> None:
    with Reader(ledger) as reader:
        outcome.faults += tuple(reader.verify())
        counters = reader.counters()
        spans = reader.alive(Window(0, 1 << 60))
        window = Window(min(span.start_ms for span in spans), max(span.end_ms for span in spans))
        found = summarise(reader, window, window.end, traits=app.traits())
        outcome.connections = len({span.connection for span in spans})
    outcome.stored, outcome.repeats = counters.stored, counters.duplicate
    outcome.coverage, outcome.holes = found.coverage, len(found.gaps)
    if outcome.stored != outcome.delivered or counters.quarantined:
        outcome.faults += (f"{outcome.delivered} were delivered, {counters} are there",)
    if outcome.connections != 2 or found.gaps:
        outcome.faults += (f"{outcome.connections} connections, holes: {found.gaps}",)
    if outcome.largest_memory_kib > MEMORY_KIB:
        outcome.faults += (f"memory grew to {outcome.largest_memory_kib / 1024:.0f} MiB",)


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=3000.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.time()
    outcome = slow_disk(given.minutes * 60, rate=given.rate, seed=given.seed)
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}", flush=True)
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
