"""A recorder under steady load for an hour: its memory, its log and its latency stay as they are.

    .venv/bin/python -m tests.experiments.soak --minutes 60 --rate 2000

The exchange and the recorder (`rekt run`) are processes of their own. Each second the recorder's resident memory and
the size of the ledger's write-ahead log are read. Latency is from receipt to where another process can read the row,
which is after the commit's sync; a reader looks every two milliseconds, so it is that much too large at most. The
time is cut in quarters. At the end every liquidation that was delivered must be there once, every frame accounted
for, and the roll-ups equal a recount. The long form judges besides: memory of the last quarter ≤ 1.02 × of the second,
and the 99th percentile of latency ≤ 1.25 × of the second's.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import cast

import apsw

from rekt.errors import LedgerError
from rekt.fields import iso_ms
from rekt.stores.sqlite import Reader
from rekt.stores.sqlite.schema import open_reader
from tests.experiments.exchange import Exchange
from tests.experiments.kill import recorder
from tests.experiments.together import LOG_BYTES

LOOK_S = 0.002
PATIENCE_S = 30.0  # for the first event, and for one in a quarter that has none: the machine may stand still
MEMORY_GROWTH = 1.02
LATENCY_GROWTH = 1.25


@dataclass
class Quarter:
    """What was measured in one; `latency_us` one figure for each event."""

    memory_kib: list[int] = field(default_factory=list)
    log_bytes: int = 0  # the largest
    latency_us: array[int] = field(default_factory=lambda: array("q"))

    @property
    def memory(self) -> float:
        """Mean resident memory, MiB."""
        return fmean(self.memory_kib) / 1024 if self.memory_kib else 0.0

    def latency_ms(self, share: float) -> float:
        """So large a share of the events took no longer."""
        found = sorted(self.latency_us)
        return found[min(int(len(found) * share), len(found) - 1)] / 1000 if found else 0.0

    def __str__(self) -> str:
        largest = max(self.memory_kib, default=0) / 1024
        return (
            f"memory {self.memory:.1f} MiB (largest {largest:.1f}), log {self.log_bytes / 1e6:.1f} MB, "
            f"{len(self.latency_us):,} events, latency p50 {self.latency_ms(0.5):.1f} p99 {self.latency_ms(0.99):.1f} "
            f"p99.9 {self.latency_ms(0.999):.1f} ms"
        )


@dataclass
class Soak:
    """What the experiment found; `faults` is empty when all held."""

    quarters: list[Quarter] = field(default_factory=lambda: [Quarter() for _ in range(4)])
    delivered: int = 0
    stored: int = 0
    duplicate: int = 0
    ledger_bytes: int = 0
    paused: int = (
        0  # how often reading paused: on a machine that is too busy memory fills, and its high-water stays
    )
    faults: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Hold the last quarter against the second: for a long run only."""
        second, last = self.quarters[1], self.quarters[3]
        if last.memory > MEMORY_GROWTH * second.memory:
            self.faults.append(f"memory grew from {second.memory:.1f} to {last.memory:.1f} MiB")
        if (p99 := last.latency_ms(0.99)) > LATENCY_GROWTH * second.latency_ms(0.99):
            self.faults.append(f"p99 latency grew from {second.latency_ms(0.99):.1f} to {p99:.1f} ms")

    def __str__(self) -> str:
        lines = [f"quarter {number}: {quarter}" for number, quarter in enumerate(self.quarters, 1)]
        lines.append(
            f"{self.delivered:,} delivered, {self.stored:,} stored, {self.duplicate:,} repeats; "
            f"reading paused {self.paused} times"
        )
        lines.append(f"ledger {self.ledger_bytes / 1e6:.0f} MB, faults: {self.faults or 'none'}")
        return "\n".join(lines)


def resident_kib(pid: int) -> int:
    """The memory of a process that is in use now; OSError where it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


class _Latency:
    """Reads what is new in the ledger, again and again, and notes how long after its receipt it could be read."""

    def __init__(self, ledger: Path) -> None:
        self.found: array[int] = array("q")  # of the current quarter
        self.error: Exception | None = None  # why it reads no more
        self._ledger = ledger
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._read()
        except (apsw.Error, LedgerError) as error:
            self.error = error

    def _read(self) -> None:
        if (connection := self._open()) is None:
            return
        seen = 0
        sql = "SELECT seq, received_us FROM liquidation WHERE seq > ? ORDER BY seq LIMIT 20000"
        with closing(connection):
            while not self._stop.wait(LOOK_S):
                rows = cast("list[tuple[int, int]]", connection.execute(sql, (seen,)).fetchall())
                now_us = time.time_ns() // 1000
                if rows:
                    seen = rows[-1][0]
                    self.found.extend(now_us - received_us for _, received_us in rows)

    def _open(self) -> apsw.Connection | None:
        """The ledger once it is there and of our version; it waits where another has it locked. None when told to stop."""
        while not self._stop.wait(0.05):
            with suppress(LedgerError):
                return open_reader(self._ledger)
        return None

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)


def soak(seconds: float, *, rate: float = 2000.0, seed: int = 1, tell_s: float | None = None) -> Soak:
    """Record for so long; see the module's docstring for what must hold. `tell_s`: print how it stands so often."""
    outcome = Soak()
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.db"
        log = ledger.with_name(ledger.name + "-wal")
        exchange = Exchange.start("--rate", str(rate), "--hold-ms", "0", "--seed", str(seed))
        latency = None
        said = Path(folder) / "log"
        try:
            with said.open("wb") as errors:
                process = recorder(ledger, exchange, stderr=errors, program=("rekt",))
            try:
                latency = _Latency(ledger)
                _wait_for_some(latency, process)
                _measure(outcome, seconds, process.pid, log, latency, tell_s)
                if latency.error is not None:
                    outcome.faults.append(f"the reader ended: {latency.error}")
                if process.poll() is not None:
                    outcome.faults.append(f"the recorder ended by itself with {process.returncode}")
                outcome.delivered = (
                    exchange.stop()
                )  # first: so that nothing is on its way when the recorder goes
                time.sleep(2)
            finally:
                process.send_signal(signal.SIGTERM)
                if process.wait(15):
                    outcome.faults.append(f"the recorder ended with {process.returncode}")
        finally:
            exchange.stop()
            if latency is not None:
                latency.close()
        outcome.paused = said.read_text("utf-8", "replace").count("reading pauses")
        with Reader(ledger) as reader:
            outcome.faults += reader.verify()
            counters = reader.counters()
        outcome.stored, outcome.duplicate = counters.stored, counters.duplicate
        outcome.ledger_bytes = ledger.stat().st_size
        known = counters.control + counters.stored + counters.duplicate + counters.quarantined
        if counters.received != known or counters.quarantined:
            outcome.faults.append(f"frames are unaccounted for: {counters}")
        if outcome.stored != outcome.delivered:
            outcome.faults.append(f"{outcome.delivered} were delivered, {outcome.stored} are there")
        if not all(quarter.memory_kib and quarter.latency_us for quarter in outcome.quarters):
            outcome.faults.append("in a quarter nothing was measured")
        if max(quarter.log_bytes for quarter in outcome.quarters) > LOG_BYTES:
            outcome.faults.append("the log grew without bound")
    return outcome


def _wait_for_some(latency: _Latency, process: subprocess.Popen[bytes]) -> None:
    """Until the first events can be read, or none will be."""
    end = time.monotonic() + PATIENCE_S
    while not latency.found and latency.error is None and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)


def _measure(
    outcome: Soak, seconds: float, pid: int, log: Path, latency: _Latency, tell_s: float | None
) -> None:
    began = told = time.monotonic()
    for number, quarter in enumerate(outcome.quarters, 1):
        latency.found = quarter.latency_us
        end = began + seconds * number / 4
        # One in which the machine stood still all the time goes on for a while, until something was measured.
        while (now := time.monotonic()) < end or (
            not (quarter.memory_kib and quarter.latency_us)
            and latency.error is None
            and now < end + PATIENCE_S
        ):
            try:
                quarter.memory_kib.append(resident_kib(pid))
            except OSError:  # it ended; the caller tells
                return
            if log.exists():
                quarter.log_bytes = max(quarter.log_bytes, log.stat().st_size)
            if tell_s is not None and now - told >= tell_s:
                told = now
                kib, size = quarter.memory_kib[-1], log.stat().st_size if log.exists() else 0
                print(
                    f"{iso_ms(time.time_ns() // 1_000_000)} {now - began:.0f} s, quarter {number}: "
                    f"memory {kib / 1024:.1f} MiB, log {size / 1e6:.1f} MB, {len(quarter.latency_us):,} events",
                    flush=True,
                )
            time.sleep(max(0.05, min(1.0, end - now)))


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.time()
    outcome = soak(given.minutes * 60, rate=given.rate, seed=given.seed, tell_s=60.0)
    outcome.judge()
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s")
    print(outcome, flush=True)
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
