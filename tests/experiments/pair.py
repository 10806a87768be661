"""The two connections of a recorder, as the exchange sees them: which may be hit without both being down."""

from __future__ import annotations

import time
from collections.abc import Callable

from rekt.simulator import Life, SimulatorThread

TICKS = 3  # so many canary ticks prove a connection
BACK_S = 90.0  # so long both connections may take to be proven again


class Pair:
    """The two connections that are open, and whether each is proven."""

    def __init__(self, exchange: SimulatorThread) -> None:
        self._exchange = exchange
        self._until: dict[int, float] = {}  # monotonic time when a connection's last fault is over
        self._ticks: dict[int, int] = {}  # how many ticks it had had by then

    def open(self) -> list[Life]:
        """The open connections."""
        return [life for life in self._exchange.connections if life.open]

    def hurt(self, connection: int, seconds: float | None) -> None:
        """A fault was given, for so long (None: for good)."""
        self._until[connection] = time.monotonic() + seconds + 0.2 if seconds is not None else float("inf")

    def proven(self) -> list[int]:
        """The two, if just two are open and both are proven; else none."""
        lives, now = self.open(), time.monotonic()
        for life in lives:
            if self._until.get(life.id, 0.0) > now:
                self._ticks[life.id] = life.canaries
        if len(lives) == 2 and all(life.canaries >= self._ticks.get(life.id, 0) + TICKS for life in lives):
            return [life.id for life in lives]
        return []


def wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until a condition holds; False if it does not in time."""
    end = time.monotonic() + timeout_s
    while not (held := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return held
