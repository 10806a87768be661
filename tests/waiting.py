"""Waiting for something, not for a time: a machine may stand still for a second at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable


def clear_of_the_hour(seconds: float = 20.0) -> None:
    """Where the clock's hour ends in less than so many seconds, wait for the next one."""
    left = 3600 - time.time() % 3600
    if left < seconds:
        time.sleep(left + 0.1)


def until(condition: Callable[[], object], timeout_s: float = 30.0) -> bool:
    """Wait until something holds; False if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not (held := bool(condition())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held
