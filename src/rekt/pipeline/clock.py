"""Notices when the time of day moves otherwise than time passes: a clock that was set, a machine that slept. Pure.

Coverage rests on the venue's own times, so neither falsifies it; both are recorded, since receive times show them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from rekt.model import ClockChange

STEP_S = 0.5  # a smaller step is the slewing of a time server, or a busy machine
SLEEP_S = 2.0


class Clocks(NamedTuple):
    """Three clocks read at once, in seconds."""

    day: float  # the time of day
    steady: float  # never set, stands still while the machine sleeps
    boot: float  # never set, goes on while the machine sleeps (where the system has it)


def read_clocks() -> Clocks:
    """The system's clocks."""
    steady = time.monotonic()
    boot = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else steady
    return Clocks(time.time(), steady, boot)


class ClockWatch:
    """Compares the clocks each time it is asked."""

    def __init__(self, read: Callable[[], Clocks] = read_clocks) -> None:
        self._read = read
        self._last = read()

    def changes(self) -> list[ClockChange]:
        """What happened since the last call."""
        last, now = self._last, self._read()
        self._last = now
        found = []
        slept = (now.boot - last.boot) - (now.steady - last.steady)
        if slept > SLEEP_S:
            found.append(ClockChange(round(now.day * 1e6), slept, "asleep"))
        stepped = (now.day - last.day) - (now.boot - last.boot)
        if abs(stepped) > STEP_S:
            found.append(ClockChange(round(now.day * 1e6), stepped, "step"))
        return found
