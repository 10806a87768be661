"""kill -9 of `rekt run` under load, again and again: what was committed stays, and what was missed shows.

    .venv/bin/python -m tests.experiments.kill --kills 50 --rate 500

After every kill the ledger must open, pass SQLite's integrity check, and have roll-ups equal to a recount. Every
event that a reader had seen there before the kill must still be there, once; nothing may be there that the exchange
did not send; and every event that the exchange sent inside a span the ledger calls covered must be there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from rekt import app
from rekt.errors import LedgerError
from rekt.fields import iso_ms
from rekt.model import Window
from rekt.simulator import SimulatorThread, simulated
from rekt.stats.coverage import union
from rekt.stats.summary import summarise
from rekt.stores.sqlite import Reader


@dataclass
class Outcome:
    """What an experiment found; `faults` is empty when all held."""

    kills: int = 0
    sent: int = 0
    stored: int = 0
    seen_before_a_kill: int = 0
    sent_in_covered_time: int = 0
    coverage: float = 0.0
    holes: int = 0
    faults: list[str] = field(default_factory=list)


class Addresses(Protocol):
    """Where an exchange is reached."""

    @property
    def ws_url(self) -> str: ...

    @property
    def rest_url(self) -> str: ...


def recorder(
    ledger: Path,
    exchange: Addresses,
    *,
    stderr: IO[bytes] | int = subprocess.DEVNULL,
    **environment: str,
) -> subprocess.Popen[bytes]:
    """`rekt run` as a process of its own, recording this exchange."""
    return subprocess.Popen(
        [sys.executable, "-m", "rekt", "-v", "run"],
        env={
            **os.environ,
            "REKT_BINANCE_WS_URL": exchange.ws_url,
            "REKT_BINANCE_UM_REST_URL": exchange.rest_url,
            "REKT_BINANCE_CM_REST_URL": exchange.rest_url,
            "REKT_DATABASE_PATH": str(ledger),
            **environment,
        },
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )


class Watcher:
    """Reads the ledger all the while, as another process would, and remembers what it saw."""

    def __init__(self, ledger: Path) -> None:
        self.seen: set[bytes] = set()
        self._ledger = ledger
        self._stop = threading.Event()
        self._seq = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                with Reader(self._ledger) as reader:
                    while not self._stop.is_set():
                        for row in reader.after(self._seq, 5_000):
                            self._seq = row.seq
                            self.seen.add(row.event.uid)
                        self._stop.wait(0.02)
            except LedgerError:  # not there yet, or just being recovered
                self._stop.wait(0.05)

    def wait_for_more(self, timeout_s: float = 15.0) -> None:
        """Wait until something new is committed: a machine that is busy starts a process slowly."""
        had, end = len(self.seen), time.monotonic() + timeout_s
        while len(self.seen) == had and time.monotonic() < end:
            time.sleep(0.02)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join(10)


def check(ledger: Path, exchange: SimulatorThread, seen: set[bytes], outcome: Outcome) -> None:
    """Hold the ledger against what was seen in it and against what the exchange sent."""
    with Reader(ledger) as reader:
        outcome.faults += reader.verify()
        events = list(reader.liquidations(None))
        spans = reader.alive(Window(0, 1 << 60))
    uids = [event.uid for event in events]
    if len(uids) != len(set(uids)):
        outcome.faults.append("an event is there twice")
    if lost := seen - set(uids):
        outcome.faults.append(f"{len(lost)} events that had been committed are gone")
    sent = {}
    for entry in exchange.sent:
        order = json.loads(entry.payload)["o"]
        sent[order["s"], order["S"], order["p"], order["ap"], order["z"], order["T"]] = entry.event_time_ms
    stored = {
        (e.symbol, e.order_side, e.price, e.average_price, e.filled_quantity, e.trade_time) for e in events
    }
    if stored - sent.keys():
        outcome.faults.append("something is there that was never sent")
    covered = sorted((span.start_ms, span.end_ms) for span in spans)
    inside = missing = 0
    at = 0
    for key, event_time in sorted(sent.items(), key=lambda item: item[1]):
        while at < len(covered) and covered[at][1] < event_time:
            at += 1
        if at < len(covered) and covered[at][0] <= event_time:
            inside += 1
            missing += key not in stored
    if missing:
        outcome.faults.append(f"{missing} of {inside} events of covered time are missing")
    outcome.sent, outcome.stored, outcome.sent_in_covered_time = len(sent), len(stored), inside
    outcome.seen_before_a_kill = len(seen)


def kill(
    kills: int, *, rate: float = 500.0, seed: int = 1, up_s: tuple[float, float] = (0.2, 4.0)
) -> Outcome:
    """Kill a recorder so many times at random moments; see the module's docstring for what must hold."""
    rng = random.Random(seed)
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder, simulated(rate=rate, hold_ms=0, seed=seed) as exchange:
        ledger = Path(folder) / "ledger.db"
        watcher = Watcher(ledger)
        began = int(time.time() * 1000)
        try:
            for _ in range(kills):
                process = recorder(ledger, exchange)
                watcher.wait_for_more()
                time.sleep(rng.uniform(*up_s))
                process.kill()
                process.wait()
                outcome.kills += 1
                with Reader(ledger) as reader:
                    outcome.faults += reader.verify()
                if outcome.faults:
                    break
            process = recorder(ledger, exchange)
            watcher.wait_for_more()
            time.sleep(up_s[1])
            process.terminate()
            if process.wait(12):
                outcome.faults.append(f"the last recorder ended with {process.returncode}")
        finally:
            watcher.close()
        check(ledger, exchange, watcher.seen, outcome)
        window = Window(began, int(time.time() * 1000))
        with Reader(ledger) as reader:
            found = summarise(reader, window, window.end, settle=app.settle_ms())
            proved = len(union(reader.alive(window)))
        outcome.coverage, outcome.holes = found.coverage, len(found.gaps)
        if not proved - 1 <= outcome.holes <= proved + 1:
            outcome.faults.append(
                f"{proved} stretches were proved alive, but there are {outcome.holes} holes"
            )
        if {gap.cause for gap in found.gaps} != {"process down"}:
            outcome.faults.append(f"holes have other causes: {found.gaps}")
    return outcome


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.time()
    outcome = kill(given.kills, rate=given.rate, seed=given.seed)
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}")
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
