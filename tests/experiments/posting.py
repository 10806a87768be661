"""Random faults of X and random kill -9 in between: every hour is posted once, or not at all and reported, none twice.

    .venv/bin/python -m tests.experiments.posting --runs 500

Each run is `rekt tweet` as a process of its own, for an hour of its own, against a stand-in for X that fails as the
dice say. Most are killed with -9: at a random moment, or exactly when X has taken the post and not yet answered, or
just before. Then the hour is called again, without faults, until it is settled, as cron would. Held against what X
has: an hour that X has twice, one that is told as sent and is not there, one that is there and is told as anything
else, or one that stays unsettled, is a fault.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rekt.fields import HOUR, iso_ms
from rekt.model import Connection, Liquidation, Span
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger
from rekt.stores.sqlite.outbox import Outbox
from tests.publishers.x_server import XServer, x_server
from tests.stores.events import START, event

FAULTS = (
    "", "402", "401", "403", "453", "429", "500", "html500", "cut", "slow",
    "cut-accepted", "500-accepted", "html-accepted", "slow-accepted",
)  # fmt: skip
KILLS = ("none", "random", "random", "before", "accepted")
SETTLED = ("sent", "skipped", "failed")
CALLS = 8  # until an hour must be settled


@dataclass
class Outcome:
    """What an experiment found; `faults` is empty when all held."""

    runs: int = 0
    kills: int = 0
    calls: int = 0
    posted: int = 0
    told: Counter[str] = field(default_factory=Counter)  # the states that the last calls told
    not_posted: int = 0
    unknown_on_the_way: int = 0
    faults: list[str] = field(default_factory=list)


def recorded(path: Path, hours: int) -> None:
    """A ledger with so many whole hours from START on."""
    ledger = Ledger(path)
    ledger.begin(Run("r", START * 1000, None, "run", "0", 1))
    end = START + hours * HOUR + 60_000
    life = Connection("c", "r", "binance", "wss://x", START * 1000, START * 1000, end * 1000, end * 1000)
    frames: list[tuple[Liquidation, ...]] = [
        (event(n, at=START + hour * HOUR + n * 1000, notional=(n + 1) * 10**9),)
        for hour in range(hours)
        for n in range(3)
    ]
    ledger.append(Batch("r", frames=frames, connections=[life], spans=[Span("c", START - 1000, end)]))
    ledger.close()


def call(ledger: Path, exchange: XServer, hour: int, *more: str) -> subprocess.Popen[bytes]:
    """`rekt tweet` for an hour, as a process of its own."""
    when = iso_ms(START + hour * HOUR)[:13]
    return subprocess.Popen(
        [sys.executable, "-m", "rekt", "tweet", "--json", "--hour", when, *more],
        env={
            **os.environ,
            **exchange.environment(),
            "REKT_DATABASE_PATH": str(ledger),
            "REKT_POST_SETTLE_SECONDS": "0.3",
            "REKT_POST_MONTHLY_BUDGET_USD": "1000000",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ledger.parent,
    )


def one(ledger: Path, exchange: XServer, hour: int, dice: random.Random) -> tuple[str, bool, int, bool]:
    """One hour: a fault, perhaps a kill, and calls until it is settled. Its last state, killed, calls, once unknown."""
    state = exchange.state
    state.script = [dice.choice(FAULTS)] + ([dice.choice(FAULTS)] if dice.random() < 0.2 else [])
    kill = dice.choice(KILLS)
    process = call(ledger, exchange, hour, *([] if dice.random() < 0.3 else ["--no-image"]))

    def end() -> None:
        process.kill()
        time.sleep(0.05)

    if kill == "before":
        state.before_accept = end
    elif kill == "accepted":
        state.accepted = end
    timer = threading.Timer(dice.uniform(0.2, 4.0) if kill == "random" else 200, end)
    timer.start()
    out, _ = process.communicate(timeout=120)
    timer.cancel()
    state.before_accept = state.accepted = lambda: None
    killed, calls, told = process.returncode == -signal.SIGKILL, 1, _state(out)
    unclear = told == "unknown"
    while told not in SETTLED and calls < CALLS:
        out, _ = call(ledger, exchange, hour, "--no-image").communicate(timeout=120)
        calls, told = calls + 1, _state(out)
    return told, killed, calls, unclear


def lane(hours: int, seed: int, outcome: Outcome, lock: threading.Lock) -> None:
    """Hours one after the other, on a ledger and an account of their own."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, x_server() as exchange:
        exchange.state.slow_s = 0.5
        ledger = Path(folder) / "data" / "ledger.db"
        ledger.parent.mkdir()
        recorded(ledger, hours)
        for hour in range(hours):
            told, killed, calls, unclear = one(ledger, exchange, hour, dice)
            with lock:
                outcome.runs += 1
                outcome.kills += killed
                outcome.calls += calls
                outcome.unknown_on_the_way += unclear
                outcome.told[told] += 1
                if told not in SETTLED:
                    outcome.faults.append(f"lane {seed}, hour {hour}: still {told} after {calls} calls")
        with lock:
            _compare(ledger, exchange, hours, seed, outcome)


def _compare(ledger: Path, exchange: XServer, hours: int, seed: int, outcome: Outcome) -> None:
    """What the outbox says of each hour against what X has."""
    with Outbox(ledger) as outbox:
        for hour in range(hours):
            start = START + hour * HOUR
            label = iso_ms(start)[:16].replace("T", " ") + " UTC"
            there = sum(label in text for text in exchange.texts)
            entry = outbox.entry("x", iso_ms(start)[:13])
            told = entry.state if entry else "nothing"
            outcome.posted += there > 0
            outcome.not_posted += there == 0
            if there > 1 or (there == 1) != (told == "sent") or told not in SETTLED:
                outcome.faults.append(
                    f"lane {seed}, hour {hour}: X has it {there} times, the outbox says {told}"
                )


def _state(out: bytes) -> str:
    lines = out.decode().splitlines()
    return str(json.loads(lines[-1])["state"]) if lines else "killed"


def posting(runs: int, *, seed: int = 1, side_by_side: int = 2) -> Outcome:
    """So many hours; see the module's docstring for what must hold."""
    outcome, lock = Outcome(), threading.Lock()
    with ThreadPoolExecutor(side_by_side) as pool:
        share = [runs // side_by_side + (n < runs % side_by_side) for n in range(side_by_side)]
        lanes = [pool.submit(lane, hours, seed * 100 + n, outcome, lock) for n, hours in enumerate(share)]
        for one_lane in lanes:
            one_lane.result()
    return outcome


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.time()
    outcome = posting(given.runs, seed=given.seed)
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}")
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
