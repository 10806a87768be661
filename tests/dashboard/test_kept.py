"""Answers that are shared and kept: how long, and by whom they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rekt.dashboard import kept
from rekt.dashboard.kept import Answers, Made


class Maker:
    """Makes numbered answers; each waits until it is let through."""

    def __init__(self, dear_s: float = 0.0) -> None:
        self.dear_s = dear_s
        self.made = 0
        self.through = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> Made[int]:
        self.made += 1
        number = self.made
        await self.through.wait()
        if self.error is not None:
            raise self.error
        return Made(number, self.dear_s)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands; called, it goes on."""
    at = [100.0]

    def go_on(seconds: float) -> None:
        at[0] += seconds

    monkeypatch.setattr(kept, "monotonic", lambda: at[0])
    return go_on


def run(scene: Callable[[], Awaitable[None]]) -> None:
    """In an event loop."""

    async def whole() -> None:
        await scene()

    asyncio.run(whole())


def test_who_asks_meanwhile_gets_the_same(now: Callable[[float], None]) -> None:
    """However long it takes, it is made once for all who wait; then anew when its second is over."""

    async def scene() -> None:
        answers, make = Answers(), Maker()
        first = asyncio.ensure_future(answers.get("key", make))
        await asyncio.sleep(0)
        now(60)
        second = asyncio.ensure_future(answers.get("key", make))
        await asyncio.sleep(0)
        make.through.set()
        assert await first == await second == 1
        assert await answers.get("key", make) == 2  # it was begun a minute ago
        now(0.9)
        assert await answers.get("key", make) == 2
        assert await answers.get("another", make) == 3
        now(0.2)
        assert await answers.get("key", make) == 4

    run(scene)


def test_a_dear_answer_is_kept_for_longer(now: Callable[[float], None]) -> None:
    """It is given again for as long as it deserves, from when it was there."""

    async def scene() -> None:
        answers, make = Answers(), Maker(dear_s=20.0)
        make.through.set()
        assert await answers.get("key", make) == 1
        now(19.9)
        assert await answers.get("key", make) == 1
        now(0.2)
        assert await answers.get("key", make) == 2

    run(scene)


def test_a_failure_is_told_to_all_and_not_kept() -> None:
    """Everyone who waits gets the error, the next one another try; nobody is left when the first one goes."""

    async def scene() -> None:
        answers, make = Answers(), Maker()
        make.error = OSError("gone")
        waiting = [asyncio.ensure_future(answers.get("key", make)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        make.through.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [make.error, make.error]
        make.error = None
        assert await answers.get("key", make) == 2

    run(scene)


def test_keys_without_end_do_not_fill_the_memory(now: Callable[[float], None]) -> None:
    """What is over is let go of; while too many last, more are made and not kept."""

    async def scene() -> None:
        answers, make = Answers(), Maker()
        make.through.set()
        for number in range(1000):
            await answers.get(number, make)
        assert len(answers) < 300
        assert await answers.get(999, make) == 1001
        now(2)
        await answers.get("another", make)
        assert len(answers) == 1

    run(scene)
