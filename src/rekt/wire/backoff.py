"""How long to wait before the next try: quickly at first, then less and less often, for ever."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays in seconds that double from `first_s` to `cap_s`, each shortened by up to `jitter` of itself.

    The jitter keeps many clients, cut at the same moment, from coming back at the same moment. Randomness is an
    argument (a function that returns 0 ≤ x < 1). It never ends: giving up is not a recorder's choice.
    """

    def __init__(
        self,
        first_s: float = 0.25,
        cap_s: float = 30.0,
        jitter: float = 0.3,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._jitter = jitter
        self._chance = chance
        self._next_s = first_s
        self.tries = 0  # since the last reset

    def delay_s(self) -> float:
        """The wait before the next try; each call is one try more."""
        delay = min(self._next_s, self._cap_s)
        self._next_s = min(delay * 2, self._cap_s)
        self.tries += 1
        return delay * (1 - self._jitter * self._chance())

    def reset(self) -> None:
        """A connection proved good: the next trouble is met quickly again."""
        self._next_s = self._first_s
        self.tries = 0
