"""Answers that are given again for a while: who asks meanwhile waits for the same, and dear ones are made seldom."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

KEPT_S: Final = 1.0
DEAR: Final = 10.0
_MOST: Final = 500

T = TypeVar("T")


class _Answer(Generic[T]):
    """One that is being made, or was, and until when it is given again (monotonic)."""

    def __init__(self, make: Callable[[], Awaitable[T]], seconds: float, dear: float) -> None:
        self.until = math.inf
        self.task: asyncio.Task[T] = asyncio.ensure_future(self._made(make, seconds, dear))

    async def _made(self, make: Callable[[], Awaitable[T]], seconds: float, dear: float) -> T:
        began = time.monotonic()
        try:
            answer = await make()
        except BaseException:
            self.until = 0.0
            raise
        now = time.monotonic()
        self.until = max(began + seconds, now + dear * (now - began))
        return answer


class Answers:
    """By key; the keys of an answer's kind are the caller's."""

    def __init__(self) -> None:
        self._kept: dict[object, _Answer[Any]] = {}

    async def get(
        self, key: object, make: Callable[[], Awaitable[T]], seconds: float = KEPT_S, dear: float = DEAR
    ) -> T:
        """An answer begun no more than so many seconds ago, or one that ended no more than `dear` times ago what it took.

        So making it again and again never takes more than one part in `dear` of a processor, however many ask. Raises
        what making it raises, to all who wait for it; the next who asks has it made anew.
        """
        now = time.monotonic()
        held: _Answer[T] | None = self._kept.get(key)
        if held is None or held.until <= now:
            if len(self._kept) >= _MOST:
                self._kept = {key: one for key, one in self._kept.items() if one.until > now}
            held = self._kept[key] = _Answer(make, seconds, dear)
        return await asyncio.shield(held.task)
