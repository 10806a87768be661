from __future__ import annotations

import pytest

from rekt.pipeline.link import BEGUN_S, dead_at


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
