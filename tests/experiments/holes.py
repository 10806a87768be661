"""Both connections down, hundreds of times: each hole is recorded as long as it was, and nothing is claimed in it.

    .venv/bin/python -m tests.experiments.holes --holes 200 --parallel 4

The holes last 0.2 to 120 s, log-uniform: both connections are cut (in each of three ways) and new ones are refused (in
each of five) for so long; or, where the hole is longer than the canary time-out, both stay and fall silent, as do all
that are opened meanwhile. (Frames that the venue leaves out for less than the time-out on a connection that lives on
can't be told from a quiet market; coverage is defined so.) What really happened is the exchange's own log: a hole goes
from the last liquidation delivered on any connection to the next one delivered on any. Several pairs of exchange and
recorder work side by side. A line of JSON for each hole, and one at the end, says what was found.

What must hold: as many holes are recorded as there were, each begins and ends within 2 s of the truth and has the cause
of its fault; every event sent in covered time is there, once, and nothing else is; the roll-ups equal a recount.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rekt import app
from rekt.fields import iso_ms
from rekt.model import Gap, Window
from rekt.simulator import SimulatorThread, simulated
from rekt.stats.coverage import CANARY_MS, union
from rekt.stats.summary import summarise
from rekt.stores.sqlite import Reader
from tests.experiments.kill import Outcome, check, recorder
from tests.experiments.pair import BACK_S, Pair, wait

RIGHT_MS = 2_000
CUTS = ("reset", "fin", "close")
REFUSALS = ("status", "close", "hang", "garbled", "unreachable")
CAUSES = {
    "cut": "cut",
    "stall": "stall",
    "unrouted": "stall",
    "stopped": "machine asleep",
    "slept": "machine asleep",
}


@dataclass
class Hole:
    """One hole: what was done, what really happened, what the ledger says; times in Unix ms."""

    kind: str
    how: str
    seconds: float
    at_ms: int
    last_ms: int = 0
    first_ms: int = 0
    start_ms: int = 0
    end_ms: int = 0
    causes: list[str] = field(default_factory=list)


@dataclass
class Found:
    """What the experiment found; `faults` is empty when all held."""

    holes: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    shortest_s: float = math.inf  # as they really were
    longest_s: float = 0.0
    start_off_ms: tuple[int, int] = (0, 0)  # recorded minus real: the least and the most
    end_off_ms: tuple[int, int] = (0, 0)
    sent: int = 0
    stored: int = 0
    sent_in_covered_time: int = 0
    coverage: list[float] = field(default_factory=list)  # of each pair
    faults: list[str] = field(default_factory=list)


def script(count: int, rng: random.Random, seconds: tuple[float, float]) -> list[tuple[str, str, float]]:
    """(kind, how, seconds) for so many holes, their lengths log-uniform."""
    found = []
    low, high = math.log(seconds[0]), math.log(seconds[1])
    for _ in range(count):
        lasts = math.exp(rng.uniform(low, high))
        silent = lasts > CANARY_MS / 1000 and rng.random() < 0.5
        kind = rng.choice(("stall", "unrouted")) if silent else "cut"
        found.append((kind, "" if silent else f"{rng.choice(CUTS)}, {rng.choice(REFUSALS)}", lasts))
    return found


def dig(exchange: SimulatorThread, kind: str, how: str, seconds: float) -> Hole:
    """Take both connections down for so long."""
    hole = Hole(kind, how, round(seconds, 3), 0)
    if kind == "cut":
        cut, _, refusal = how.partition(", ")
        exchange.fault("refuse", how=refusal)
        exchange.cut("open", cut)
    else:
        exchange.fault(kind, "every")
    hole.at_ms = exchange.simulator.now_ms()
    time.sleep(seconds)
    exchange.clear()
    return hole


def one_pair(
    number: int, holes: list[tuple[str, str, float]], rate: float, told: Callable[[str], None]
) -> tuple[list[Hole], Found, Outcome]:
    """Dig these holes under one recorder, one after the other, and compare."""
    found, outcome, dug, rng = Found(), Outcome(), list[Hole](), random.Random(number)
    with tempfile.TemporaryDirectory() as name, simulated(rate=rate, hold_ms=0, seed=number) as exchange:
        ledger, log = Path(name) / "ledger.db", Path(name) / "recorder.log"
        pair = Pair(exchange)
        with log.open("wb") as errors:
            process = recorder(ledger, exchange, stderr=errors)
            try:
                for kind, how, seconds in holes:
                    if not wait(lambda: bool(pair.proven()), BACK_S):
                        found.faults.append(f"after {len(dug)} holes both connections did not come back")
                        break
                    time.sleep(rng.random())  # anywhere between two ticks
                    dug.append(dig(exchange, kind, how, seconds))
                    state = {"pair": number, "hole": len(dug), "of": len(holes), "kind": kind, "how": how}
                    told(json.dumps({**state, "seconds": round(seconds, 2)}))
                wait(lambda: bool(pair.proven()), BACK_S)
                time.sleep(1.5)
            finally:
                process.send_signal(signal.SIGTERM)
                if process.wait(20):
                    found.faults.append(f"the recorder ended with {process.returncode}")
        check(ledger, exchange, set(), outcome)
        found.faults += outcome.faults
        compare(ledger, exchange, dug, found)
        with log.open(errors="replace") as lines:
            said = "".join(line for line in lines if " committed " not in line)
        if "Traceback" in said:
            found.faults.append("the recorder told of a fault of its own")
        if found.faults:
            found.faults.append(said[-3000:])
    return dug, found, outcome


def compare(
    ledger: Path,
    exchange: SimulatorThread,
    dug: list[Hole],
    found: Found,
    venue_ms: Callable[[int], int] = lambda ns: ns // 1_000_000,
) -> None:
    """Fill in what really happened and what the ledger says, and hold them together.

    `venue_ms`: what the exchange's clock showed at a moment of this machine's (ns).
    """
    delivered = sorted(venue_ms(at) for entry in exchange.sent for _, at in entry.written)
    with Reader(ledger) as reader:
        stretches = union(reader.alive(Window(0, 1 << 60)))
        if not stretches:
            found.faults.append("nothing was covered")
            return
        window = Window(stretches[0][0], stretches[-1][1])
        summary = summarise(reader, window, window.end, settle=app.settle_ms())
    found.coverage.append(summary.coverage)
    gaps: list[list[Gap]] = []  # those that follow on each other, being parts of one hole, together
    for gap in summary.gaps:
        if gaps and gaps[-1][-1].end == gap.start:
            gaps[-1].append(gap)
        else:
            gaps.append([gap])
    if len(gaps) != len(dug):
        found.faults.append(
            f"there were {len(dug)} holes, but {len(gaps)} are recorded: {gaps[:50]}; {dug[:50]}"
        )
        return
    for hole, parts in zip(dug, gaps, strict=True):
        # What was on its way as the fault came counts as delivered.
        at = bisect_right(delivered, hole.at_ms + 20)
        if not 0 < at < len(delivered):
            found.faults.append(f"the exchange delivered nothing before or after {hole}")
            continue
        hole.last_ms, hole.first_ms = delivered[at - 1], delivered[at]
        hole.start_ms, hole.end_ms = parts[0].start, parts[-1].end
        hole.causes = [part.cause for part in parts]
        off = hole.start_ms - hole.last_ms, hole.end_ms - hole.first_ms
        if max(map(abs, off)) > RIGHT_MS:
            found.faults.append(f"recorded off by {off} ms: {hole}")
        if hole.causes[0] != CAUSES[hole.kind]:
            found.faults.append(f"the cause is not {CAUSES[hole.kind]}: {hole}")


def holes(
    count: int,
    *,
    parallel: int = 1,
    seconds: tuple[float, float] = (0.2, 120.0),
    rate: float = 50.0,
    seed: int = 1,
    told: Callable[[str], None] = lambda _: None,
) -> Found:
    """Dig so many holes; see the module's docstring for what must hold."""
    found, dug = Found(), list[Hole]()
    todo = script(count, random.Random(seed), seconds)
    lock = threading.Lock()

    def tell(line: str) -> None:
        with lock:
            told(line)

    with ThreadPoolExecutor(parallel) as pool:
        jobs = [pool.submit(one_pair, n, todo[n::parallel], rate, tell) for n in range(parallel)]
        for job in jobs:
            its, part, outcome = job.result()
            dug += its
            found.faults += part.faults
            found.coverage += [round(one, 4) for one in part.coverage]
            found.sent += outcome.sent
            found.stored += outcome.stored
            found.sent_in_covered_time += outcome.sent_in_covered_time
    found.holes = len(dug)
    found.kinds = dict(Counter(hole.kind for hole in dug))
    compared = [hole for hole in dug if hole.causes]
    if compared:
        lengths = [(hole.first_ms - hole.last_ms) / 1000 for hole in compared]
        found.shortest_s, found.longest_s = min(lengths), max(lengths)
        starts = [hole.start_ms - hole.last_ms for hole in compared]
        ends = [hole.end_ms - hole.first_ms for hole in compared]
        found.start_off_ms, found.end_off_ms = (min(starts), max(starts)), (min(ends), max(ends))
    if len(compared) != count:
        found.faults.append(f"{count} holes were wanted, {len(compared)} could be compared")
    return found


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--holes", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=4, help="pairs of exchange and recorder side by side")
    parser.add_argument("--rate", type=float, default=50.0, help="events a second, of each exchange")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.time()
    found = holes(
        given.holes,
        parallel=given.parallel,
        rate=given.rate,
        seed=given.seed,
        told=lambda line: print(line, flush=True),
    )
    print(
        json.dumps(
            {"began": iso_ms(int(began * 1000)), "seconds": round(time.time() - began), **asdict(found)}
        )
    )
    sys.exit(1 if found.faults else 0)


if __name__ == "__main__":
    main()
