"""The clock is set by an hour, the recorder is stopped, the machine sleeps: order and coverage stay right.

    .venv/bin/python -m tests.experiments.clock --times 20

Three recorders side by side, each with an exchange of its own:

- *set*: the day's clock goes an hour ahead, then back again, and so on. Nothing is missed: coverage is 1.0 without a gap,
  and each step is noted with its size.
- *stopped*: SIGSTOP for 20 s. What the exchange sent meanwhile waits in the sockets and is recorded: no gap. Each other
  time the exchange cuts both connections meanwhile: a gap from the cut on, with the cause `machine asleep`.
- *slept*: ten minutes pass for the exchange, the day's clock and the clock that goes on in sleep, not for the steady one.
  Each other time the connections have been cut, else they go on: a gap of ten minutes, `machine asleep` or `stall`.

The recorder is `rekt run` (`tests.experiments.stepped` sets its clocks). Held against the exchange's own log as in
tests/experiments/holes.py, and: the ledger's order is the order in which the events were sent.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from rekt.fields import iso_ms
from rekt.model import Window
from rekt.simulator import SimulatorThread, simulated
from rekt.simulator.server import steady_clock
from rekt.stores.sqlite import Reader
from tests.experiments import holes
from tests.experiments.holes import Hole, compare
from tests.experiments.kill import Outcome, check, recorder
from tests.experiments.pair import BACK_S, Pair, wait
from tests.experiments.stepped import set_clocks

HOUR_S = 3600.0
KINDS = ("set", "stopped", "slept")


@dataclass
class Found:
    """What the experiment found; `faults` is empty when all held."""

    times: dict[str, int] = field(default_factory=dict)
    holes: dict[str, int] = field(default_factory=dict)
    coverage: dict[str, float] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)  # clock changes in the ledger
    revised: dict[str, int] = field(default_factory=dict)  # hours whose numbers changed after they were final
    off_ms: int = 0  # by how much the ends of a hole were recorded wrong, at most
    sent: int = 0
    stored: int = 0
    sent_in_covered_time: int = 0
    faults: list[str] = field(default_factory=list)


class Clocks:
    """The clocks of a recorder and its exchange."""

    def __init__(self, file: Path) -> None:
        self.passed_s = 0.0  # slept
        self.set_s = 0.0
        self._file = file
        self._steady = steady_clock()
        self._sleeps: list[tuple[int, float]] = []  # when (ns of this machine), and how much in all by then
        self.tell()

    def venue_ms(self) -> int:
        """The exchange's time."""
        return self._steady() + round(self.passed_s * 1000)

    def sleep(self, seconds: float) -> None:
        """So much time passes at once."""
        self.passed_s += seconds
        self._sleeps.append((time.time_ns(), self.passed_s))
        self.tell()

    def venue_ms_at(self, ns: int) -> int:
        """The exchange's time at a moment of this machine's."""
        passed_s = max((passed for at, passed in self._sleeps if at <= ns), default=0.0)
        return ns // 1_000_000 + round(passed_s * 1000)

    def tell(self) -> None:
        """Give the recorder what is set here."""
        set_clocks(self._file, self.passed_s + self.set_s, self.passed_s)


class Disturbance:
    """What is done to one recorder, again and again."""

    def __init__(self, kind: str, stop_s: float, sleep_s: float) -> None:
        self.dug: list[Hole] = []
        self.done = 0
        self._kind, self._stop_s, self._sleep_s = kind, stop_s, sleep_s

    def once(self, exchange: SimulatorThread, clocks: Clocks, send_signal: Callable[[int], None]) -> None:
        """Do it; the second time of each two, the connections are cut too."""
        cut = bool(self.done % 2)
        self.done += 1
        if self._kind == "set":
            clocks.set_s = 0.0 if cut else HOUR_S
            clocks.tell()
            return
        send_signal(signal.SIGSTOP)
        if self._kind == "stopped":
            time.sleep(self._stop_s / 2)
        if cut:
            exchange.cut("open", "fin")
        at_ms = clocks.venue_ms()
        if self._kind == "stopped":
            time.sleep(self._stop_s / 2)
        else:
            clocks.sleep(self._sleep_s)
        send_signal(signal.SIGCONT)
        if self._kind == "slept" or cut:
            seconds = self._stop_s / 2 if self._kind == "stopped" else self._sleep_s
            self.dug.append(Hole(self._kind if cut else "stall", "", seconds, at_ms))


def disturbed(
    kind: str, times: int, *, rate: float, stop_s: float, sleep_s: float, told: Callable[[str], None]
) -> Found:
    """One recorder, disturbed so many times in one way."""
    found, outcome, part = Found(), Outcome(), holes.Found()
    rng = random.Random(kind)
    with tempfile.TemporaryDirectory() as name:
        ledger, log, file = Path(name) / "ledger.db", Path(name) / "recorder.log", Path(name) / "clocks"
        clocks, disturbance = Clocks(file), Disturbance(kind, stop_s, sleep_s)
        with (
            simulated(rate=rate, hold_ms=0, seed=len(kind), clock=clocks.venue_ms) as exchange,
            log.open("wb") as errors,
        ):
            pair, from_ms = Pair(exchange), 0
            process = recorder(
                ledger, exchange, stderr=errors, program=("tests.experiments.stepped", str(file), "-v")
            )
            try:
                for _ in range(times):
                    if not wait(lambda: bool(pair.proven()), BACK_S):
                        found.faults.append(f"{kind}: both connections did not come back")
                        break
                    from_ms = from_ms or clocks.venue_ms()
                    time.sleep(1 + 2 * rng.random())
                    disturbance.once(exchange, clocks, process.send_signal)
                    for life in pair.open():  # three ticks more
                        pair.hurt(life.id, 0.0)
                    time.sleep(0.3)
                    pair.proven()
                    told(json.dumps({"kind": kind, "time": disturbance.done, "of": times}))
                wait(lambda: bool(pair.proven()), BACK_S)
                time.sleep(1.5)
            finally:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
                if process.wait(20):
                    found.faults.append(f"{kind}: the recorder ended with {process.returncode}")
            check(ledger, exchange, set(), outcome)
            compare(ledger, exchange, disturbance.dug, part, clocks.venue_ms_at)
            order(ledger, exchange, from_ms, part)
        noted(ledger, kind, times, sleep_s, found, part)
        with log.open(errors="replace") as lines:
            said = "".join(line for line in lines if " committed " not in line)
        if "Traceback" in said:
            part.faults.append("the recorder told of a fault of its own")
        faults = outcome.faults + part.faults
        found.faults += [f"{kind}: {fault}" for fault in faults] + ([said[-3000:]] if faults else [])
    found.times, found.holes = {kind: disturbance.done}, {kind: len(disturbance.dug)}
    found.coverage = {kind: round(min(part.coverage, default=0.0), 6)}
    ends = [(one.start_ms - one.last_ms, one.end_ms - one.first_ms) for one in disturbance.dug if one.causes]
    found.off_ms = max((abs(off) for both in ends for off in both), default=0)
    found.sent, found.stored = outcome.sent, outcome.stored
    found.sent_in_covered_time = outcome.sent_in_covered_time
    return found


def order(ledger: Path, exchange: SimulatorThread, from_ms: int, part: holes.Found) -> None:
    """The ledger's order must be the order in which the exchange sent, whatever the recorder's clock said.

    Looked at from a moment on: the first events came before the list of contracts, and a row gets a new place when its
    value is learnt.
    """
    places, settled = {}, 0
    for place, sent in enumerate(exchange.sent):
        if sent.event_time_ms < from_ms:
            settled = place
        told = json.loads(sent.payload)["o"]
        places[told["s"], told["S"], told["p"], told["ap"], told["z"], told["T"]] = place
    with Reader(ledger) as reader:
        found = [
            places.get(
                (e.symbol, e.order_side, e.price, e.average_price, e.filled_quantity, e.trade_time), -1
            )
            for _, e in reader.after(0, 1 << 40)
        ]
        read = [event.trade_time for event in reader.liquidations()]
    wrong = sum(later < earlier for earlier, later in pairwise(found) if earlier >= settled)
    if wrong:
        part.faults.append(f"{wrong} events are in the ledger before one that was sent earlier")
    if found and max(found) <= settled:
        part.faults.append("no order could be looked at")
    if read != sorted(read):
        part.faults.append("events are not read in the order of their trade times")


def noted(ledger: Path, kind: str, times: int, sleep_s: float, found: Found, part: holes.Found) -> None:
    """What the ledger says of the clocks, each change with its size.

    An hour is final two minutes after its end by the day's clock. So a clock that is ahead makes it final too early, and
    what comes then is kept as a revision, as it should be; where the clock is right there must be none.
    """
    with Reader(ledger) as reader:
        changes = reader.clock_changes()
        revisions = reader.revisions(Window(0, 1 << 60))
    found.noted = {kind: len(changes)}
    expected = {
        "set": [("step", HOUR_S if number % 2 == 0 else -HOUR_S) for number in range(times)],
        "stopped": [],
        "slept": [("asleep", sleep_s)] * times,
    }[kind]
    if sorted((change.kind, round(change.seconds)) for change in changes) != sorted(expected):
        part.faults.append(f"the clock changes are noted as {changes}, not {expected}")
    found.revised = {kind: len(revisions)}
    if revisions and kind == "stopped":
        part.faults.append(f"{len(revisions)} hours count as revised: {revisions[:5]}")


def clock(
    times: int,
    *,
    kinds: tuple[str, ...] = KINDS,
    rate: float = 50.0,
    stop_s: float = 20.0,
    sleep_s: float = 600.0,
    told: Callable[[str], None] = lambda _: None,
) -> Found:
    """Disturb the clocks so many times in each way; see the module's docstring for what must hold."""
    found = Found()
    with ThreadPoolExecutor(len(kinds)) as pool:
        jobs = [
            pool.submit(disturbed, kind, times, rate=rate, stop_s=stop_s, sleep_s=sleep_s, told=told)
            for kind in kinds
        ]
        for job in jobs:
            part = job.result()
            found.times |= part.times
            found.holes |= part.holes
            found.coverage |= part.coverage
            found.noted |= part.noted
            found.revised |= part.revised
            found.off_ms = max(found.off_ms, part.off_ms)
            found.sent += part.sent
            found.stored += part.stored
            found.sent_in_covered_time += part.sent_in_covered_time
            found.faults += part.faults
    return found


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rate", type=float, default=50.0, help="events a second, of each exchange")
    given = parser.parse_args()
    began = time.time()
    found = clock(
        given.times,
        kinds=tuple(given.kinds),
        rate=given.rate,
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
