"""`rekt` as a process whose clocks can be set from outside, for tests/experiments/clock.py.

    python -m tests.experiments.stepped FILE run

FILE holds two 64-bit numbers, nanoseconds: by how much the day's clock, and by how much the clock that goes on in sleep,
are ahead of the machine's. They may change at any moment. The steady clock is the machine's own.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

OFFSETS = struct.Struct("=qq")  # day, boot


def set_clocks(file: Path, day_s: float, boot_s: float) -> None:
    """Set both offsets, in seconds."""
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(OFFSETS.pack(round(day_s * 1e9), round(boot_s * 1e9)))


def take_clocks(file: Path) -> None:
    """From here on this process reads its clocks through the file; before anything else is imported."""
    with file.open("rb") as opened:
        offsets = mmap.mmap(opened.fileno(), OFFSETS.size, access=mmap.ACCESS_READ)
    day_ns, clock_gettime = time.time_ns, time.clock_gettime

    def time_ns() -> int:
        ahead: int = OFFSETS.unpack_from(offsets)[0]
        return day_ns() + ahead

    def clock(which: int) -> float:
        ahead: int = OFFSETS.unpack_from(offsets)[1]
        return clock_gettime(which) + (ahead / 1e9 if which == time.CLOCK_BOOTTIME else 0.0)

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
    time.clock_gettime = clock


def main() -> None:
    """Run `rekt` so."""
    take_clocks(Path(sys.argv[1]))
    from rekt.cli.main import main as rekt

    del sys.argv[1]
    rekt()


if __name__ == "__main__":
    main()
