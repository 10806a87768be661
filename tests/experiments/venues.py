"""Every venue at once under load: one process records them all, and nothing is lost.

    .venv/bin/python -m tests.experiments.venues --minutes 10 --rate 2000

The exchanges are one process, `rekt run --venues all` is another, with two connections for each part of a venue. Once
each second the recorder's resident memory is read. At the end every liquidation that was delivered to anyone must be
there once, nothing may be there that was not published, every frame is accounted for, the roll-ups equal a recount,
and the recorder must have been one process. What it took of the processor and of memory is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from rekt import app
from rekt.config import variable
from rekt.errors import LedgerError
from rekt.fields import iso_ms
from rekt.model import Window
from rekt.stores.sqlite import Reader
from tests.experiments.kill import PATIENT_S
from tests.experiments.pair import wait
from tests.experiments.soak import resident_kib
from tests.venues.pointed import environ

READY_S = 180.0  # so long all venues together may take to tell their first events
END_S = 60.0  # so long the exchanges may take to write down what they delivered


@dataclass
class Found:
    """What the experiment found; `faults` is empty when all held."""

    seconds: float = 0.0
    delivered: int = 0
    stored: int = 0
    by_venue: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    duplicate: int = 0
    connections: int = 0
    ended: dict[str, int] = field(default_factory=dict)  # connections that ended before the end, by cause
    cores: float = 0.0  # of the recorder: processor time over time
    memory_mib: list[float] = field(default_factory=list)
    paused: int = 0  # how often reading paused
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        each = ", ".join(f"{name} {count:,}" for name, count in sorted(self.by_venue.items()))
        memory = self.memory_mib or [0.0]
        return (
            f"{self.delivered:,} delivered, {self.stored:,} stored in {self.seconds:.0f} s ({each}); {self.frames:,} "
            f"frames, {self.duplicate:,} of them repeats; {self.connections} connections, ended early: "
            f"{self.ended or 'none'}\n"
            f"one process: {self.cores * 100:.0f} % of a core, memory {memory[len(memory) // 4]:.0f} MiB after a "
            f"quarter, {memory[-1]:.0f} at the end, {max(memory):.0f} at most; reading paused {self.paused} times\n"
            f"faults: {self.faults or 'none'}"
        )


def venues(seconds: float, *, rate: float = 2000.0, seed: int = 1) -> Found:
    """Record all for so long; see the module's docstring for what must hold."""
    outcome = Found()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger, said = folder / "ledger.db", folder / "log"
        exchange = subprocess.Popen(
            [sys.executable, "-m", "tests.experiments.exchanges", "--rate", str(rate), "--seed", str(seed),
             "--folder", name],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        recorder = None
        try:
            addresses = json.loads(cast("IO[str]", exchange.stdout).readline())
            with said.open("wb") as errors:
                recorder = subprocess.Popen(
                    [sys.executable, "-m", "rekt", "run", "--venues", "all"],
                    env={**os.environ, **_environ(addresses), "REKT_DATABASE_PATH": str(ledger)},
                    stdout=subprocess.DEVNULL, stderr=errors,
                )  # fmt: skip
            if not wait(lambda: _heard(ledger) >= addresses.keys(), READY_S):
                outcome.faults.append(f"never heard: {sorted(addresses.keys() - _heard(ledger))}")
            _measure(outcome, seconds, recorder)
            ended_us = time.time_ns() // 1000
            exchange.terminate()  # first: so that nothing is on its way when the recorder goes
            if exchange.wait(END_S):
                outcome.faults.append(f"the exchanges ended with {exchange.returncode}")
            time.sleep(6)  # one venue's events are held for some seconds
            recorder.terminate()
            if recorder.wait(15):
                outcome.faults.append(f"the recorder ended with {recorder.returncode}")
        finally:
            for process in (recorder, exchange):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()
            if exchange.stdout is not None:
                exchange.stdout.close()
        log = said.read_text("utf-8", "replace")
        outcome.paused = log.count("reading pauses")
        if "Traceback" in log:
            outcome.faults.append("the recorder told of a fault: " + log[log.index("Traceback") :][:2000])
        _compare(outcome, ledger, folder, ended_us)
    return outcome


def _environ(addresses: dict[str, tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, (ws_url, rest_url) in addresses.items():
        given |= environ(name, ws_url, rest_url)
        # On a machine that is too busy the exchanges themselves may be late, which is no matter here.
        patient = max(float(PATIENT_S), float(app.venue(name).keys["canary_timeout"].default))
        given[variable(name, "canary_timeout")] = f"{patient:g}"
    return given


def _heard(ledger: Path) -> set[str]:
    """The venues of which something is stored."""
    try:
        with Reader(ledger) as reader:
            return {bucket.venue for bucket in reader.totals(Window(0, 1 << 60), "hour")}
    except LedgerError:  # being made
        return set()


def _measure(outcome: Found, seconds: float, recorder: subprocess.Popen[bytes]) -> None:
    began, before = time.monotonic(), _processor_s(recorder.pid)
    while (passed := time.monotonic() - began) < seconds:
        outcome.memory_mib.append(resident_kib(recorder.pid) / 1024)
        if children := Path(f"/proc/{recorder.pid}/task/{recorder.pid}/children").read_text().split():
            outcome.faults.append(f"the recorder has {len(children)} processes beside it")
        if recorder.poll() is not None:
            outcome.faults.append(f"the recorder ended by itself with {recorder.returncode}")
            return
        time.sleep(max(0.0, min(1.0, seconds - passed)))
    outcome.seconds = time.monotonic() - began
    outcome.cores = (_processor_s(recorder.pid) - before) / outcome.seconds


def _processor_s(pid: int) -> float:
    """Seconds of processor time that a process has taken, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _identities(path: Path) -> set[bytes]:
    data = path.read_bytes()
    return {data[at : at + 16] for at in range(0, len(data), 16)}


def _compare(outcome: Found, ledger: Path, folder: Path, ended_us: int) -> None:
    delivered, published = _identities(folder / "delivered"), _identities(folder / "published")
    with Reader(ledger) as reader:
        outcome.faults += reader.verify()
        rows = [(event.feed.venue, event.uid) for event in reader.liquidations(None)]
        counters = reader.counters()
        connections = [one for one in reader.connections(None) if one.opened_us < ended_us]
    uids = {uid for _, uid in rows}
    outcome.delivered, outcome.stored = len(delivered), len(rows)
    outcome.by_venue = dict(Counter(name for name, _ in rows))
    outcome.frames, outcome.duplicate = counters.received, counters.duplicate
    outcome.connections = len(connections)
    early = (one.cause for one in connections if one.closed_us is not None and one.closed_us < ended_us)
    outcome.ended = dict(Counter(str(cause) for cause in early))
    if len(uids) != len(rows):
        outcome.faults.append("an event is there twice")
    if lost := delivered - uids:
        outcome.faults.append(f"{len(lost)} of {len(delivered)} that were delivered are missing")
    if strange := uids - delivered - published:
        outcome.faults.append(f"{len(strange)} are there that were not published")
    known = counters.control + counters.stored + counters.duplicate + counters.quarantined
    if counters.received != known or counters.quarantined:
        outcome.faults.append(f"frames are unaccounted for: {counters}")


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=2000.0, help="events a second, of all together")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes beside are ended, too
    began = time.time()
    outcome = venues(given.minutes * 60, rate=given.rate, seed=given.seed)
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
    print(outcome, flush=True)
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
