"""What `rekt run` costs while little happens: processor time and resident memory, off a terminal.

    .venv/bin/python -m benchmarks.idle --seconds 60

The simulated exchange runs in a process of its own, at 20 events a second. Beside it, at the same pace, runs what no
recorder can do without: a bare loop that reads, and a bare fsync.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import table

ROOT = Path(__file__).resolve().parents[1]
SETTLE_S = 12.0  # until the documents are read and what came before them is settled


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Memory of a process now."""
    return int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to watch (%(default)s)")
    parser.add_argument("--rate", type=float, default=20.0, help="events a second (%(default)s)")
    given = parser.parse_args()
    simulator = subprocess.Popen(
        [sys.executable, "-m", "rekt.simulator", "--rate", str(given.rate)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert simulator.stdout is not None
    urls = dict(simulator.stdout.readline().split() for _ in range(3))
    bare = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.floor", str(given.rate), str(SETTLE_S + given.seconds - 2)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        environment = {
            **os.environ,
            "REKT_DATABASE_PATH": f"{folder}/ledger.db",
            "REKT_BINANCE_WS_URL": urls["ws"],
            "REKT_BINANCE_UM_REST_URL": urls["rest"],
            "REKT_BINANCE_CM_REST_URL": urls["rest"],
        }
        with Path(folder, "output").open("wb") as output:
            recorder = subprocess.Popen(
                [sys.executable, "-m", "rekt", "run"], env=environment, stdout=output, stderr=output
            )
        try:
            time.sleep(SETTLE_S)
            memory, used, start = [resident_mb(recorder.pid)], cpu_s(recorder.pid), time.monotonic()
            while time.monotonic() - start < given.seconds:
                time.sleep(1)
                memory.append(resident_mb(recorder.pid))
            share = (cpu_s(recorder.pid) - used) / (time.monotonic() - start)
            least = float(bare.communicate()[0])
        finally:
            for process in (recorder, simulator):
                process.send_signal(signal.SIGINT)
                process.wait(15)
        lines = Path(folder, "output").read_text("utf-8").splitlines()
    rows = [
        ("", "measured", "target"),
        ("share of one core", f"{share:.2%}", "< 0.50%"),
        ("a bare loop with a bare fsync beside it", f"{least:.2%}", ""),
        ("resident memory, most", f"{max(memory):.1f} MB", "< 60 MB"),
        ("from first to last", f"{memory[-1] - memory[0]:+.1f} MB", "flat"),
    ]
    table(f"rekt run at {given.rate:g} events/s for {given.seconds:g} s", rows)
    print(f"  {len(lines)} lines of output, the last: {lines[-1]}")


if __name__ == "__main__":
    main()
