"""Answers that are given again for a while: who asks meanwhile waits for the same, and dear ones are made seldom."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final, Generic, NamedTuple, TypeVar

KEPT_S: Final = 1.0
_MOST: Final = 200

T = TypeVar("T")


class Made(NamedTuple, Generic[T]):
    """An answer, and for how many seconds it deserves to be given again because of what it cost."""

    answer: T
    dear_s: float = 0.0


class _Answer(Generic[T]):
    """One that is being made, or was, and until when it is given again (monotonic)."""

    def __init__(self, make: Callable[[], Awaitable[Made[T]]], seconds: float) -> None:
        self.until = math.inf
        self.task: asyncio.Task[T] = asyncio.ensure_future(self._made(make, monotonic() + seconds))
        self.task.add_done_callback(_looked_at)

    async def _made(self, make: Callable[[], Awaitable[Made[T]]], until: float) -> T:
        try:
            made = await make()
        except BaseException:
            self.until = 0.0
            raise
        self.until = max(until, monotonic() + made.dear_s)
        return made.answer


class Answers:
    """By key. They are shared while they last; what is over is let go of when another is made."""

    def __init__(self) -> None:
        self._kept: dict[object, _Answer[Any]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: object, make: Callable[[], Awaitable[Made[T]]], seconds: float = KEPT_S) -> T:
        """An answer begun no more than so many seconds ago, or that deserves to be kept still.

        Raises what making it raises, to all who wait for it; the next who asks has it made anew.
        """
        now = monotonic()
        held: _Answer[T] | None = self._kept.get(key)
        if held is None or held.until <= now:
            self._kept = {key: one for key, one in self._kept.items() if one.until > now}
            held = _Answer(make, seconds)
            if len(self._kept) < _MOST:
                self._kept[key] = held
        return await asyncio.shield(held.task)


def _looked_at(task: asyncio.Task[Any]) -> None:
    """All who waited may be gone before it failed: that is no news then."""
    if not task.cancelled():
        task.exception()
