"""Random network faults for hours, on one connection of two at a time: nothing may be missing, and no moment uncovered.

    .venv/bin/python -m tests.experiments.network --minutes 120 --rate 500

`rekt run` records with its two connections. A seeded script does harm to them in turn: cuts of every kind (the venue's
cut after a day is one of them, without a close frame), stalls, a feed that acknowledges and then sends nothing, one
that dribbles, an announced shutdown. A connection is hit only while the other one is proven: three canary ticks since
it opened, or since its own last fault was over. Garbage, duplicates and disorder hit any of them at any time. Both
connections are renewed every few minutes besides. A line of JSON each minute, and one at the end, says what was found.

What must hold: each event the exchange sent in between the first tick and the last is there, once, and nothing else
is; coverage of that stretch is 1.0, without a gap; a frame of garbage is in quarantine; the roll-ups equal a recount.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rekt import app
from rekt.fields import iso_ms
from rekt.model import Window
from rekt.simulator import SimulatorThread, simulated
from rekt.stats.coverage import union
from rekt.stats.summary import summarise
from rekt.stores.sqlite import Reader
from tests.experiments.kill import recorder
from tests.experiments.matching import Matching
from tests.experiments.pair import BACK_S, Pair, wait

RENEW_S = 240.0
MILD = ("garbage", "duplicate", "disorder")
HARD = ("cut", "day", "close", "stall", "unrouted", "slow", "shutdown")


@dataclass
class Found:
    """What the experiment found; `faults` is empty when all held."""

    seconds: float = 0.0
    given: dict[str, int] = field(default_factory=dict)  # how often each fault was given
    connections: int = 0
    sent: int = 0
    to_nobody: int = 0  # of the missing ones, those written to no connection: then the script itself erred
    stored: int = 0
    repeats: int = 0
    garbage: int = 0
    quarantined: int = 0
    missing: int = 0
    in_gaps: int = 0  # missing too, but not claimed
    coverage: float = 0.0
    gaps: int = 0
    faults: list[str] = field(default_factory=list)


def give(kind: str, exchange: SimulatorThread, pair: Pair, rng: random.Random) -> bool:
    """Give one fault to one connection; False when none was there for it, or the other was not proven."""
    if kind in MILD:
        lives = pair.open()
        seconds, share = rng.uniform(2, 15), rng.uniform(0.02, 0.3)
        return bool(lives and exchange.fault(kind, rng.choice(lives).id, seconds=seconds, share=share))
    found = pair.proven()
    if not found:
        return False
    connection = rng.choice(found)
    if kind in ("cut", "day", "close"):
        exchange.cut(
            connection, {"cut": "reset", "day": "fin", "close": "close"}[kind], rng.choice((1001, 1006, 1011))
        )
        lasts = None
    elif kind == "shutdown":
        exchange.fault(kind, connection)
        lasts = None
    else:  # short enough to be survived, or until the recorder leaves
        lasts = rng.choice((rng.uniform(0.3, 4), None)) if kind != "slow" else rng.uniform(1, 12)
        exchange.fault(kind, connection, seconds=lasts)
    pair.hurt(connection, lasts)
    return True


def network(
    seconds: float,
    *,
    rate: float = 500.0,
    seed: int = 1,
    mean_s: float = 6.0,
    renew_s: float = RENEW_S,
    told: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
) -> Found:
    """Do harm for so long, and until each fault was given once; see the module's docstring for what must hold."""
    found = Found()
    rng = random.Random(seed)
    with (
        tempfile.TemporaryDirectory() as name,
        simulated(
            rate=rate,
            hold_ms=0,
            seed=seed,
            keep_sent=200_000,
            life_s=renew_s * 1.6,
            ping_period_s=20,
            pong_timeout_s=60,
        ) as exchange,
    ):
        place = folder or Path(name)
        ledger, log = place / "ledger.db", place / "recorder.log"
        matching, pair = Matching(exchange, ledger), Pair(exchange)
        with log.open("wb") as errors:
            process = recorder(ledger, exchange, stderr=errors, REKT_BINANCE_RENEW_AFTER=f"{renew_s:g}")
            try:
                _harm(seconds, mean_s, exchange, process.poll, matching, pair, rng, found, told)
                exchange.clear()
                wait(lambda: bool(pair.proven()), BACK_S)
                matching.step()
            finally:
                process.send_signal(signal.SIGTERM)
                if process.wait(20):
                    found.faults.append(f"the recorder ended with {process.returncode}")
        ended_ms = int(time.time() * 1000)  # the exchange goes on while all is held together
        _finish(ledger, exchange, matching, found, ended_ms)
        with log.open(errors="replace") as lines:
            said = "".join(line for line in lines if " committed " not in line)
        if "Traceback" in said or "decoder failed" in said:
            found.faults.append("the recorder told of a fault of its own")
        if found.faults:
            found.faults.append(said[-4000:])
    return found


def _harm(
    seconds: float,
    mean_s: float,
    exchange: SimulatorThread,
    poll: Callable[[], int | None],
    matching: Matching,
    pair: Pair,
    rng: random.Random,
    found: Found,
    told: Callable[[str], None],
) -> None:
    """The script: the next fault after a random while, as soon as it may be given."""
    began = time.monotonic()
    given: Counter[str] = Counter()
    minute = 0
    kinds: list[str] = []
    next_s, waits_since = 0.0, began
    if not wait(lambda: bool(pair.proven()), BACK_S):
        found.faults.append("the two connections were never proven")
        return
    matching.since_ms = int(time.time() * 1000)
    while (now := time.monotonic()) - began < seconds or len(given) < len(MILD + HARD):
        time.sleep(0.1)
        matching.step()
        if poll() is not None:
            found.faults.append(f"the recorder ended by itself, with {poll()}")
            break
        if pair.proven():
            waits_since = now
        elif now - waits_since > BACK_S:
            found.faults.append(
                f"after {now - began:.0f} s the two connections were not proven for {BACK_S:g} s"
            )
            break
        if now - began >= next_s:
            kinds = kinds or rng.sample(MILD + HARD, len(MILD + HARD))  # each as often as any other
            if give(kinds[-1], exchange, pair, rng):
                given[kinds.pop()] += 1
                next_s = now - began + rng.expovariate(1 / mean_s)
        if (now - began) // 60 > minute:
            minute += 1
            _tell(told, exchange, matching, given, now - began)
    found.seconds, found.given = round(time.monotonic() - began, 1), dict(given)


def _tell(
    told: Callable[[str], None],
    exchange: SimulatorThread,
    matching: Matching,
    given: Counter[str],
    seconds: float,
) -> None:
    state = {
        "seconds": round(seconds), "given": given.total(), "connections": len(exchange.connections),
        "sent": matching.sent, "stored": matching.matched, "late": matching.late(int(time.time() * 1000)),
        "faults": matching.faults,
    }  # fmt: skip
    told(json.dumps(state))


def _finish(ledger: Path, exchange: SimulatorThread, matching: Matching, found: Found, ended_ms: int) -> None:
    """After the recorder has ended: hold all of it together."""
    matching.step()
    found.faults += matching.faults
    with Reader(ledger) as reader:
        found.faults += reader.verify()
        spans = reader.alive(Window(0, 1 << 60))
        counters = reader.counters()
        rows = reader.rows()
        stretches = union(spans)
        if not stretches:
            found.faults.append("nothing was covered")
            return
        first, last = stretches[0][0], stretches[-1][1]
        summary = summarise(reader, Window(first, last), last, traits=app.traits())
    found.connections, found.sent, found.stored = len(exchange.connections), matching.sent, matching.matched
    found.repeats, found.quarantined, found.garbage = (
        counters.duplicate,
        counters.quarantined,
        exchange.counts.garbage,
    )
    found.coverage, found.gaps = summary.coverage, len(summary.gaps)
    starts = [start for start, _ in stretches]
    gone = []
    for sent in matching.outstanding.values():
        at = bisect_right(starts, sent.event_time_ms) - 1
        if at >= 0 and sent.event_time_ms <= stretches[at][1]:
            found.missing += 1
            found.to_nobody += not sent.written
            gone.append((sent.event_time_ms, sent.written))
        elif first <= sent.event_time_ms <= last:
            found.in_gaps += 1
    if gone:
        found.faults.append(f"{len(gone)} events of covered time are missing: {gone[:20]}")
    if found.in_gaps:
        found.faults.append(f"{found.in_gaps} events of gaps are missing")
    if summary.coverage != 1.0 or summary.gaps:
        found.faults.append(f"coverage is {summary.coverage}, with gaps {summary.gaps[:20]}")
    if rows != matching.matched:
        found.faults.append(f"the ledger has {rows} rows, but {matching.matched} events were matched")
    if last < ended_ms - 30_000:
        found.faults.append("the proof ends long before the end")
    # What waited unread on a connection that was cut may be gone; all other garbage must be there.
    certain = sum(
        life.garbage for life in exchange.connections if not {"cut", "slow", "shutdown"} & {*life.faults}
    )
    if not certain <= counters.quarantined <= found.garbage:
        found.faults.append(
            f"{counters.quarantined} frames in quarantine; {certain} to {found.garbage} were garbage"
        )


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=500.0, help="events a second")
    parser.add_argument("--mean", type=float, default=6.0, help="seconds between two faults, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where ledger and log stay (default: they go at the end)")
    given = parser.parse_args()
    if given.folder is not None:
        given.folder.mkdir(parents=True)  # a new one
    began = time.time()
    found = network(
        given.minutes * 60,
        rate=given.rate,
        seed=given.seed,
        mean_s=given.mean,
        told=lambda line: print(line, flush=True),
        folder=given.folder,
    )
    print(json.dumps({"began": iso_ms(int(began * 1000)), **asdict(found)}))
    sys.exit(1 if found.faults else 0)


if __name__ == "__main__":
    main()
