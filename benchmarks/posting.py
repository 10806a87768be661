"""Target 5: a posting job's start-up to rendered text, without network, against importing what the original's needs.

    ./rekt --setup post && .venv/bin/pip install pandas && .venv/bin/python -m benchmarks.posting

Both in a process of their own, in turns: wall clock, CPU time of the process, and its peak of memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.measure import interleaved, table
from tests.cli.book import fill

ROUNDS = 15
PYTHON = os.environ.get("POSTING_PYTHON", sys.executable)  # one that has pandas, requests and tweepy
ORIGINAL = "import pandas, requests, tweepy"


def cost(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """What a process costs."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall * 1000, "cpu": cpu * 1000}


def one(command: list[str], environment: dict[str, str], kind: str) -> float:
    return cost(command, environment)[kind]


def peak(command: list[str], environment: dict[str, str]) -> float:
    """The peak of memory of a process, MB: measured from a process of its own, which knows no other child."""
    program = (
        "import json, resource, subprocess, sys; subprocess.run(json.loads(sys.argv[1]), check=True, stdout=-3);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    told = subprocess.run(
        [sys.executable, "-I", "-c", program, json.dumps(command)],
        env=environment,
        check=True,
        capture_output=True,
    )
    return int(told.stdout) / 1024


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data" / "ledger.db"
        fill(path)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REKT_")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # both start from bytecode, as installed
        environment["REKT_DATABASE_PATH"] = str(path)
        ours = [sys.executable, "-m", "rekt", "tweet", "--dry-run", "--json", "--hour", "2026-07-16T12"]
        theirs = [PYTHON, "-c", ORIGINAL]
        commands = {"rekt tweet --dry-run": ours, ORIGINAL: theirs}
        for command in commands.values():
            cost(command, environment)
        figures = {
            kind: interleaved(
                {name: partial(one, command, environment, kind) for name, command in commands.items()},
                ROUNDS,
            )
            for kind in ("wall", "cpu")
        }
        memory = {name: peak(command, environment) for name, command in commands.items()}
    rows = [["", "wall ms", "CPU ms", "MB"]]
    rows += [
        [n, f"{figures['wall'][n]:.0f}", f"{figures['cpu'][n]:.0f}", f"{memory[n]:.0f}"] for n in commands
    ]
    first, second = commands
    rows.append(
        [
            "×",
            f"{figures['wall'][second] / figures['wall'][first]:.2f}",
            f"{figures['cpu'][second] / figures['cpu'][first]:.2f}",
            f"{memory[second] / memory[first]:.2f}",
        ]
    )
    table(f"Start to rendered text, medians of {ROUNDS}", rows)


if __name__ == "__main__":
    main()
