from __future__ import annotations

import asyncio
import itertools

import pytest

from rekt import app
from rekt.pipeline.openings import LOOK_S, Openings
from rekt.venue import Venue
from tests import passing

WHILE_S = 60.0


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Venue:
    """A venue that lets three connections be opened in a while."""
    venue = app.venue("binance")
    monkeypatch.setattr(venue, "apart_s", 0.0, raising=False)
    monkeypatch.setattr(venue, "openings", (3, WHILE_S), raising=False)
    return venue


class Attempts:
    """Connections whose handshakes last until the test ends them."""

    def __init__(self, venue: Venue) -> None:
        self.openings = Openings(venue)
        self.begun: list[float] = []
        self.ends: list[asyncio.Future[None]] = []
        self.at_once = False  # whether a handshake ends as it begins

    async def one(self) -> None:
        async with self.openings.turn():
            loop = asyncio.get_running_loop()
            self.begun.append(loop.time())
            self.ends.append(loop.create_future())
            if not self.at_once:
                await self.ends[-1]

    async def several(self, count: int) -> list[asyncio.Task[None]]:
        """Begin so many; give each that may the time to."""
        tasks = [asyncio.create_task(self.one()) for _ in range(count)]
        for _ in range(50):
            await asyncio.sleep(0)
        return tasks

    async def rest(self, tasks: list[asyncio.Task[None]]) -> None:
        """Let all of them be opened."""
        self.at_once = True
        for end in self.ends:
            if not end.done():
                end.set_result(None)
        async with asyncio.timeout(10 * WHILE_S):
            await asyncio.gather(*tasks)


def test_what_is_still_being_opened_counts(three: Venue) -> None:
    """Handshakes that last let no more connections in than the limit; it counts from their ends."""

    async def scene() -> None:
        attempts = Attempts(three)
        tasks = await attempts.several(4)
        assert len(attempts.begun) == 3
        await asyncio.sleep(WHILE_S / 2)
        ended = asyncio.get_running_loop().time()
        for end in attempts.ends:
            end.set_result(None)
        await asyncio.sleep(WHILE_S * 0.75)
        assert len(attempts.begun) == 3  # a while after the beginnings, not after the ends
        await attempts.rest(tasks)
        assert attempts.begun[3] >= ended + WHILE_S

    passing.run(scene())


def test_who_waits_goes_on_when_an_attempt_fails(three: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of one that failed is free at once, not when the while is over; one that lasts keeps its place."""
    monkeypatch.setattr(three, "openings", (3, 3600.0), raising=False)

    async def scene() -> None:
        attempts = Attempts(three)
        tasks = await attempts.several(4)
        attempts.ends[1].set_exception(OSError("unreachable"))
        async with asyncio.timeout(10):
            await asyncio.gather(tasks[1], return_exceptions=True)
            while len(attempts.begun) < 4:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.01)
        assert attempts.begun[3] <= LOOK_S
        attempts.at_once = True
        attempts.ends[3].set_result(None)
        await tasks[3]
        for task in (tasks[0], tasks[2]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    passing.run(scene())


def test_what_lasts_longer_than_the_while_counts_all_the_same(three: Venue) -> None:
    """Handshakes older than the while still hold their places."""

    async def scene() -> None:
        attempts = Attempts(three)
        tasks = await attempts.several(4)
        await asyncio.sleep(WHILE_S * 1.5)
        assert len(attempts.begun) == 3
        ended = asyncio.get_running_loop().time()
        await attempts.rest(tasks)
        assert attempts.begun[3] >= ended + WHILE_S

    passing.run(scene())


def test_what_was_not_opened_does_not_count(three: Venue) -> None:
    """Attempts that fail use up nothing: after an outage of the network the limit is there whole."""

    async def scene() -> None:
        attempts = Attempts(three)
        failed = await attempts.several(3)
        for end in attempts.ends:
            end.set_exception(OSError("unreachable"))
        assert all(isinstance(one, OSError) for one in await asyncio.gather(*failed, return_exceptions=True))
        began = asyncio.get_running_loop().time()
        tasks = await attempts.several(3)
        assert len(attempts.begun) == 6
        assert attempts.begun[5] < began + WHILE_S
        await attempts.rest(tasks)

    passing.run(scene())


def test_the_newest_decide_whatever_their_order(three: Venue) -> None:
    """A first handshake that lasts longest is not forgotten when others came and went."""

    async def scene() -> None:
        attempts = Attempts(three)
        tasks = await attempts.several(3)
        attempts.ends[1].set_result(None)
        attempts.ends[2].set_result(None)
        await asyncio.sleep(WHILE_S / 2)
        attempts.ends[0].set_result(None)
        first_two = asyncio.get_running_loop().time()
        tasks += await attempts.several(3)
        await attempts.rest(tasks)
        assert attempts.begun[5] >= first_two + WHILE_S

    passing.run(scene())


def test_two_are_opened_so_far_apart(three: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two beginnings lies the time that the venue wants."""
    monkeypatch.setattr(three, "apart_s", 10.0, raising=False)

    async def scene() -> None:
        attempts = Attempts(three)
        attempts.at_once = True
        await attempts.rest([asyncio.create_task(attempts.one()) for _ in range(3)])
        assert all(later - earlier >= 10 for earlier, later in itertools.pairwise(attempts.begun))

    passing.run(scene())
