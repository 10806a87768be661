"""kill -9 of `rekt run` under load, again and again: what was committed stays, and what was missed shows.

    .venv/bin/python -m tests.experiments.kill --kills 1000 --at-once 2
    .venv/bin/python -m tests.experiments.kill --kills 1000 --at-once 2 --beside

After every kill the ledger must open, pass SQLite's integrity check, and have roll-ups equal to a recount. Every
event that a reader had seen there before the kill must still be there, once; nothing may be there that the exchange
did not send; and every event that the exchange sent inside a span the ledger calls covered must be there.

With --beside a second recorder writes the same ledger and lives: then every event that the exchange delivered to
anyone must be there, and the whole time is covered. Each fifty kills have an exchange and a ledger of their own.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Protocol

import msgspec

from rekt import app
from rekt.errors import LedgerError
from rekt.fields import iso_ms
from rekt.model import Window
from rekt.simulator import SimulatorThread, simulated
from rekt.stats.coverage import union
from rekt.stats.summary import summarise
from rekt.stores.sqlite import Reader

ROUND = 50  # kills with one exchange and one ledger
PATIENT_S = "30"  # canary time-out: on a machine that is too busy the exchange itself may be late, which is no matter here


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
    program: Sequence[str] = ("rekt", "-v"),
    **environment: str,
) -> subprocess.Popen[bytes]:
    """`rekt run` as a process of its own (by this module, with these arguments), recording this exchange."""
    return subprocess.Popen(
        [sys.executable, "-m", *program, "run"],
        cwd=Path(__file__).parents[2],
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
        order = msgspec.json.decode(entry.payload)["o"]
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
    kills: int,
    *,
    rate: float = 500.0,
    seed: int = 1,
    up_s: tuple[float, float] = (0.2, 4.0),
    beside: bool = False,
) -> Outcome:
    """Kill a recorder so many times at random moments; see the module's docstring for what must hold."""
    rng = random.Random(seed)
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder, simulated(rate=rate, hold_ms=0, seed=seed) as exchange:
        ledger = Path(folder) / "ledger.db"
        watcher = Watcher(ledger)
        began = int(time.time() * 1000)
        process = second = None
        try:
            if beside:
                second = recorder(ledger, exchange, REKT_BINANCE_CANARY_TIMEOUT=PATIENT_S)
                watcher.wait_for_more()
            for _ in range(kills):
                process = recorder(ledger, exchange, REKT_BINANCE_CANARY_TIMEOUT=PATIENT_S)
                watcher.wait_for_more()
                time.sleep(rng.uniform(*up_s))
                process.kill()
                process.wait()
                outcome.kills += 1
                with Reader(ledger) as reader:
                    outcome.faults += reader.verify()
                if second is not None and second.poll() is not None:
                    outcome.faults.append(f"the second recorder ended by itself with {second.returncode}")
                if outcome.faults:
                    break
            process = recorder(ledger, exchange, REKT_BINANCE_CANARY_TIMEOUT=PATIENT_S)
            watcher.wait_for_more()
            time.sleep(up_s[1])
            if beside:
                exchange.stop()  # first, so that nothing is on its way when the recorders go
                time.sleep(2)
        finally:
            for one in (process, second):
                if one is not None and one.poll() is None:
                    one.terminate()
                    if one.wait(12):
                        outcome.faults.append(f"a recorder that was told to stop ended with {one.returncode}")
            watcher.close()
        check(ledger, exchange, watcher.seen, outcome)
        with Reader(ledger) as reader:
            spans = union(reader.alive(Window(0, 1 << 60)))
            window = Window(spans[0][0], spans[-1][1]) if beside else Window(began, int(time.time() * 1000))
            found = summarise(reader, window, window.end, settle=app.settle_ms())
        outcome.coverage, outcome.holes = found.coverage, len(found.gaps)
        if beside:
            delivered = sum(1 for entry in exchange.sent if entry.written)
            if outcome.stored != delivered:
                outcome.faults.append(f"{delivered} events were delivered, {outcome.stored} are there")
            if found.coverage < 1.0:
                outcome.faults.append(f"one recorder lived all the while, yet: {found.gaps}")
        else:
            if not len(spans) - 1 <= outcome.holes <= len(spans) + 1:
                outcome.faults.append(
                    f"{len(spans)} stretches were proved alive, but there are {outcome.holes} holes"
                )
            if {gap.cause for gap in found.gaps} != {"process down"}:
                outcome.faults.append(f"holes have other causes: {found.gaps}")
    return outcome


def rounds(kills: int, *, rate: float, seed: int, beside: bool, at_once: int) -> Outcome:
    """Many kills in rounds of fifty, some at once; figures are added up, `coverage` is the lowest."""
    sizes = [min(ROUND, kills - start) for start in range(0, kills, ROUND)]
    one = partial(_round, rate=rate, beside=beside)
    total = Outcome(coverage=1.0)
    with ProcessPoolExecutor(at_once, get_context("spawn")) as pool:
        for number, outcome in enumerate(pool.map(one, sizes, range(seed, seed + len(sizes))), 1):
            print(f"{iso_ms(time.time_ns() // 1_000_000)} round {number}: {outcome}", flush=True)
            for item in fields(Outcome):
                if item.name != "coverage":
                    setattr(total, item.name, getattr(total, item.name) + getattr(outcome, item.name))
            total.coverage = min(total.coverage, outcome.coverage)
    return total


def _round(kills: int, seed: int, *, rate: float, beside: bool) -> Outcome:
    return kill(kills, rate=rate, seed=seed, beside=beside)


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1, help="rounds of fifty kills that run side by side")
    parser.add_argument("--beside", action="store_true", help="a second recorder on the same ledger lives")
    given = parser.parse_args()
    began = time.time()
    outcome = rounds(
        given.kills, rate=given.rate, seed=given.seed, beside=given.beside, at_once=given.at_once
    )
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}")
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
