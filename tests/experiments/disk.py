"""A full disk, and room again: what came meanwhile waits in memory and is written when there is room.

    .venv/bin/python -m tests.experiments.disk --times 50

The ledger lies on a small file system of its own (tmpfs: this needs root, or a folder given with --folder that is small).
A file fills it while events flow; after a while it is taken away again. Every event sent in covered time must be there.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rekt.fields import iso_ms
from rekt.simulator import simulated
from tests.experiments.kill import Outcome, Watcher, check, recorder


@dataclass
class Full(Outcome):
    """What the experiment found, besides."""

    times: int = 0
    told: int = 0  # how often the recorder said that the disk is full
    recovered: int = 0  # how often it said that it writes again


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


def full_disk(
    times: int, *, rate: float = 500.0, seed: int = 1, full_s: tuple[float, float] = (1.0, 6.0)
) -> Full:
    """Fill the disk so many times while events flow; see the module's docstring for what must hold."""
    rng = random.Random(seed)
    outcome = Full()
    with small_disk(400) as folder, simulated(rate=rate, hold_ms=0, seed=seed) as exchange:
        ledger, log = folder / "ledger.db", Path(tempfile.mkstemp(prefix="rekt-disk-")[1])
        watcher = Watcher(ledger)
        with log.open("wb") as errors:
            process = recorder(ledger, exchange, stderr=errors)
            try:
                for _ in range(times):
                    watcher.wait_for_more()
                    time.sleep(rng.uniform(0.2, 1.5))
                    fill(folder)
                    time.sleep(rng.uniform(*full_s))
                    for ballast in folder.glob("ballast*"):
                        ballast.unlink()
                    outcome.times += 1
                    had, end = exchange.counts.delivered, time.monotonic() + 20
                    while len(watcher.seen) < had and time.monotonic() < end:
                        time.sleep(0.05)
                    if len(watcher.seen) < had:
                        outcome.faults.append(
                            f"{had} were sent, {len(watcher.seen)} written 20 s after there was room"
                        )
                        break
            finally:
                process.terminate()
                if process.wait(15):
                    outcome.faults.append(f"the recorder ended with {process.returncode}")
                watcher.close()
        said = log.read_text()
        outcome.told, outcome.recovered = said.count("the disk is full"), said.count("takes events again")
        if outcome.faults:
            outcome.faults.append(said[-3000:])
        log.unlink()
        if not outcome.told or outcome.recovered < outcome.told:
            outcome.faults.append(f"it told of {outcome.told} full disks and {outcome.recovered} recoveries")
        check(ledger, exchange, watcher.seen, outcome)
    return outcome


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.time()
    outcome = full_disk(given.times, rate=given.rate, seed=given.seed)
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}")
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
