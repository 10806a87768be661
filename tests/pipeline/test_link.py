from __future__ import annotations

import asyncio
import math
import time

import pytest

from rekt.model import Connection as ConnectionFact
from rekt.pipeline.link import BEGUN_S, PATIENCE_S, Link, Patience, dead_at
from rekt.wire.connection import Connection
from tests.wire.server import Peer, run, serving


@pytest.mark.parametrize(
    ("seen", "dead"),
    [
        (100.0, 105.0),  # with the proof itself, and silent since
        (105.0 - BEGUN_S, 105.0),  # more than a tick's time ago: its tick should have come
        (104.9, 105.0 + BEGUN_S),  # just now: its tick is still to come
        (105.9, 105.0 + BEGUN_S),  # going on without a tick does not put it off again
    ],
)
def test_a_feed_that_begins_to_deliver_may_tick_first(seen: float, dead: float) -> None:
    """Without a tick a feed is dead after the time-out, a second later if frames began to come just before, no later."""
    assert dead_at(100.0, seen, 5.0) == pytest.approx(dead)


@pytest.mark.parametrize(
    ("pauses", "until"),
    [
        ([], -math.inf),
        ([(10.0, 11.0)], 11.0 + 5.0 + 1.0),
        ([(10.0, 11.0), (15.0, 16.0)], 16.0 + 5.0 + 6.0),  # one stretch
        ([(10.0, 11.0), (16.5, 17.0)], 17.0 + 5.0 + 0.5),  # two
        ([(10.0, 910.0)], 910.0 + 5.0 + PATIENCE_S),
    ],
)
def test_a_feed_that_was_not_read_may_be_silent_as_long_again(
    pauses: list[tuple[float, float]], until: float
) -> None:
    """After pauses it counts as dead a time-out later at the earliest, and as long again as we were behind."""
    patience = Patience(5.0)
    for start, end in pauses:
        patience.pause(start)
        patience.resume(end)
    assert patience.until == pytest.approx(until)


def test_what_waited_in_the_socket_does_not_end_the_patience() -> None:
    """A tick just after reading went on is from before: the silence that follows it is borne all the same."""

    async def silent(peer: Peer) -> None:
        await peer.reader.read()

    async def session() -> None:
        loop = asyncio.get_running_loop()
        async with serving(silent) as url:
            fact = ConnectionFact("one", "run", "binance", url, time.time_ns() // 1000)
            link = Link(await Connection.open(url), fact, 0.2, lambda _, __: None)
            link.pause()
            await asyncio.sleep(1.5)
            link.resume()
            resumed = loop.time()
            link.tick(time.time_ns() // 1000, time.time_ns() // 1_000_000)
            await link.ended.wait()
            assert loop.time() - resumed >= 0.2 + 1.5

    run(session())
