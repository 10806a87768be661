r"""All tests on a machine that stands still again and again, as virtual machines do.

    .venv/bin/python -m tests.experiments.standstill --every 5 --from 0.3 --to 1.2 -- \
        .venv/bin/python -m pytest -q --numprocesses 3 --dist loadfile tests

Runs a command and stops all of its processes at once (SIGSTOP) at random moments for a random time, over and over.
Whatever fails is a fault: of the program, which takes a delay for something else, or of a test that a time decides.
Needs /proc (Linux). A process that has left its parents, as a database server does, is not stopped. The exit code is
the command's.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path


def family(root: int) -> list[int]:
    """A process and all that come from it, parents first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended meanwhile
            parent = int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def signalled(pids: list[int], number: signal.Signals) -> None:
    """Send it to all that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def main() -> None:
    """Run the command; tell how often it stood still."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two, on average")
    parser.add_argument("--from", type=float, default=0.3, dest="least", help="seconds one lasts at least")
    parser.add_argument("--to", type=float, default=1.2, dest="most", help="and at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    rng, times = random.Random(given.seed), 0
    with subprocess.Popen(given.command, start_new_session=True) as process:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.expovariate(1 / given.every))
                break
            pids = family(process.pid)
            signalled(pids, signal.SIGSTOP)
            try:
                time.sleep(rng.uniform(given.least, given.most))
            finally:
                signalled(pids[::-1], signal.SIGCONT)
            times += 1
    print(f"stood still {times} times; the command ended with {process.returncode}", flush=True)
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
