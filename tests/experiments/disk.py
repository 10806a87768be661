"""A disk that is full or faulty, and well again: what came meanwhile waits in memory and is written then.

    .venv/bin/python -m tests.experiments.disk --times 50

Three kinds of trouble, again and again while events flow:

- *full*: the ledger lies on a small file system of its own (tmpfs: this needs root) that a file fills;
- *I/O errors and read-only*: the recorder runs on a disk that fails on demand (see poor_disk.py), at each write or sync;
- *overflow*: every write fails until the recorder's memory is too; reading pauses, and the exchange cuts who doesn't read.

Every event sent in covered time must be there, once. Without an overflow nothing at all may be missing, and there may
be no hole; after one the hole must be there, with the cause `queue full`.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rekt import app
from rekt.fields import iso_ms
from rekt.model import Window
from rekt.simulator import SimulatorThread, simulated
from rekt.stats.summary import summarise
from rekt.stores.sqlite import Reader
from tests.experiments.kill import Outcome, Watcher, check, recorder
from tests.experiments.soak import resident_kib

TOLD = "the ledger can't be written"  # as the recorder's log says it
RECOVERY_S = 30.0  # so long after the end of a trouble all that was sent must be written
FAULTS = ("write ioerr", "sync ioerr", "write readonly")


@dataclass
class Troubled(Outcome):
    """What the experiment found, besides."""

    times: int = 0
    told: int = 0  # how often the recorder said that the ledger can't be written, and why
    recovered: int = 0  # how often it said that it writes again
    paused: int = 0  # how often reading paused
    largest_memory_kib: int = 0


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of so many megabytes; PermissionError where this user may not mount one."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise PermissionError(f"no small file system can be mounted here: {done.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    """Take all the room there is."""
    with (folder / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
    with (folder / "ballast-too").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 512)


def make_room(folder: Path) -> None:
    """Take away what filled it."""
    for ballast in folder.glob("ballast*"):
        ballast.unlink()


@dataclass
class _Scene:
    """A recorder at work on a ledger, an exchange, and somebody who reads along."""

    ledger: Path
    exchange: SimulatorThread
    watcher: Watcher
    process: subprocess.Popen[bytes]
    log: Path
    outcome: Troubled

    def well_again(self) -> None:
        """All that was sent until now must be written in a while."""
        self.outcome.times += 1
        had, end = self.exchange.counts.delivered, time.monotonic() + RECOVERY_S
        while len(self.watcher.seen) < had and time.monotonic() < end:
            time.sleep(0.05)
        if len(self.watcher.seen) < had:
            self.outcome.faults.append(
                f"{had} were sent, {len(self.watcher.seen)} written {RECOVERY_S:g} s after the disk was well"
            )

    def suffer(self, seconds: float) -> None:
        """Let time pass, and look at the memory meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            kib = resident_kib(self.process.pid)
            self.outcome.largest_memory_kib = max(self.outcome.largest_memory_kib, kib)
            time.sleep(min(0.1, left))

    def said(self, what: str) -> int:
        """How often the recorder's log says this."""
        return self.log.read_text("utf-8", "replace").count(what)


@contextlib.contextmanager
def _scene(
    folder: Path,
    exchange: SimulatorThread,
    outcome: Troubled,
    program: Sequence[str] = ("rekt", "-v"),
    **environment: str,
) -> Iterator[_Scene]:
    """At its end everything is held against what was sent; without a cut nothing at all may be missing."""
    with tempfile.TemporaryDirectory(prefix="rekt-disk-") as elsewhere:
        ledger, log = folder / "ledger.db", Path(elsewhere) / "log"
        watcher = Watcher(ledger)
        with log.open("wb") as errors:
            process = recorder(ledger, exchange, stderr=errors, program=program, **environment)
            scene = _Scene(ledger, exchange, watcher, process, log, outcome)
            try:
                watcher.wait_for_more(30.0)
                yield scene
                exchange.stop()  # first, so that nothing is on its way when the recorder goes
                time.sleep(2)
            finally:
                process.terminate()
                if process.wait(15):
                    outcome.faults.append(f"the recorder ended with {process.returncode}")
                watcher.close()
        outcome.told = scene.said(TOLD)
        outcome.recovered = scene.said("the ledger takes events again")
        outcome.paused = scene.said("the ledger can't keep up")
        check(ledger, exchange, watcher.seen, outcome)
        if not outcome.told >= outcome.recovered > 0:
            outcome.faults.append(f"it told of {outcome.told} troubles and {outcome.recovered} recoveries")
        with Reader(ledger) as reader:
            spans = reader.alive(Window(0, 1 << 60))
            window = Window(min(span.start_ms for span in spans), max(span.end_ms for span in spans))
            found = summarise(reader, window, window.end, traits=app.traits())
        outcome.coverage, outcome.holes = found.coverage, len(found.gaps)
        cut = [life for life in exchange.connections if life.cause != "stop"]
        if not cut:
            delivered = sum(1 for entry in exchange.sent if entry.written)
            if outcome.stored != delivered or found.gaps:
                outcome.faults.append(
                    f"{delivered} were delivered and nothing was cut, {outcome.stored} are there; holes: {found.gaps}"
                )
        elif {life.cause for life in cut} != {"slow reader"}:
            outcome.faults.append(f"connections ended for other reasons: {cut}")
        elif {gap.cause for gap in found.gaps} != {"queue full"}:
            outcome.faults.append(f"holes have other causes: {found.gaps}")
        if outcome.faults:
            outcome.faults.append(log.read_text("utf-8", "replace")[-3000:])


def full_disk(
    times: int, *, rate: float = 500.0, seed: int = 1, full_s: tuple[float, float] = (1.0, 6.0)
) -> Troubled:
    """Fill the disk so many times while events flow; see the module's docstring for what must hold."""
    rng, outcome = random.Random(seed), Troubled()
    with (
        small_disk(400) as folder,
        simulated(rate=rate, hold_ms=0, seed=seed) as exchange,
        _scene(folder, exchange, outcome) as scene,
    ):
        for _ in range(times):
            scene.suffer(rng.uniform(0.2, 1.5))
            fill(folder)
            scene.suffer(rng.uniform(*full_s))
            make_room(folder)
            scene.well_again()
            if outcome.faults:
                break
    return outcome


def faulty_disk(
    times: int, *, rate: float = 500.0, seed: int = 1, bad_s: tuple[float, float] = (1.0, 6.0)
) -> Troubled:
    """Let every write or sync fail for a while, so many times; see the module's docstring for what must hold."""
    rng, outcome = random.Random(seed), Troubled()
    with (
        tempfile.TemporaryDirectory() as name,
        simulated(rate=rate, hold_ms=0, seed=seed) as exchange,
        _scene(
            Path(name),
            exchange,
            outcome,
            program=("tests.experiments.poor_disk", "-v"),
            POOR_DISK=str(Path(name) / "how"),
        ) as scene,
    ):
        how = Path(name) / "how"
        for number in range(times):
            scene.suffer(rng.uniform(0.2, 1.5))
            told, end = scene.said(TOLD), time.monotonic() + RECOVERY_S
            how.write_text(FAULTS[number % len(FAULTS)])
            scene.suffer(rng.uniform(*bad_s))
            while scene.said(TOLD) == told and time.monotonic() < end:  # it stood still all the time
                scene.suffer(0.1)
            how.write_text("")
            scene.well_again()
            if outcome.faults:
                break
    return outcome


def overflow(
    times: int, *, rate: float = 3000.0, seed: int = 1, queue: int | None = None, wait_s: float = 90.0
) -> Troubled:
    """Let every write fail until memory is full and the exchange cuts; see the module's docstring for what must hold.

    `queue`: how many items the memory takes (None: as many as ever).
    """
    outcome = Troubled()
    with (
        tempfile.TemporaryDirectory() as name,
        simulated(
            rate=rate, hold_ms=0, seed=seed, buffer_bytes=1 << 20, socket_buffer_bytes=1 << 16
        ) as exchange,
    ):
        how = Path(name) / "how"
        environment = {"POOR_DISK": str(how)} | ({"POOR_DISK_QUEUE": str(queue)} if queue else {})
        with _scene(
            Path(name), exchange, outcome, ("tests.experiments.poor_disk", "-v"), **environment
        ) as scene:
            for number in range(1, times + 1):
                scene.suffer(4.0)  # canaries on both sides of each hole
                before = len(exchange.connections)
                how.write_text("write ioerr")
                end = time.monotonic() + wait_s
                while _open(exchange, before) and time.monotonic() < end:
                    scene.suffer(0.2)
                if _open(exchange, before):
                    outcome.faults.append(f"overflow {number}: nobody was cut in {wait_s:g} s")
                scene.suffer(6.0)  # a hole that is longer than two canaries may be apart
                how.write_text("")
                end = time.monotonic() + wait_s
                while not _open(exchange, None) and time.monotonic() < end:
                    scene.suffer(0.05)
                scene.suffer(2.0)
                scene.well_again()
                if outcome.faults:
                    break
    if outcome.holes < times or not outcome.paused:
        outcome.faults.append(
            f"{times} overflows left {outcome.holes} holes, reading paused {outcome.paused} times"
        )
    return outcome


def _open(exchange: SimulatorThread, before: int | None) -> bool:
    """Whether one of the first so many connections (None: any) is open."""
    return any(life.open for life in exchange.connections[:before])


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=50, help="of a full disk, and of a faulty one; 0: none")
    parser.add_argument("--overflows", type=int, default=10, help="of the memory; 0: none")
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    forms: dict[str, tuple[int, Callable[[], Troubled]]] = {
        "full": (given.times, lambda: full_disk(given.times, rate=given.rate, seed=given.seed)),
        "faulty": (given.times, lambda: faulty_disk(given.times, rate=given.rate, seed=given.seed)),
        "overflow": (given.overflows, lambda: overflow(given.overflows, seed=given.seed)),
    }
    failed = False
    for name, (count, form) in forms.items():
        if not count:
            continue
        began = time.time()
        outcome = form()
        print(f"{name}: {iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}", flush=True)
        failed = failed or bool(outcome.faults)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
