from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rekt.wire.backoff import Backoff


def test_the_first_three_tries_come_quickly() -> None:
    """Each of the first three waits is a second at most, however the dice fall."""
    for chance in (0.0, 0.5, 0.999):
        backoff = Backoff(chance=iter([chance] * 3).__next__)
        assert all(0.1 < backoff.delay_s() <= 1.0 for _ in range(3))
        assert backoff.tries == 3


def test_without_jitter_it_doubles_up_to_the_cap() -> None:
    """0.25, 0.5, 1 … 16, then 30 for ever."""
    backoff = Backoff(chance=lambda: 0.0)
    delays = [backoff.delay_s() for _ in range(12)]
    assert delays == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 3000))
def test_it_never_gives_up_and_never_exceeds_the_cap(chance: float, tries: int) -> None:
    """Any number of tries gives a wait between nothing and the cap."""
    backoff = Backoff(chance=lambda: chance)
    delays = [backoff.delay_s() for _ in range(tries)]
    assert all(0 < delay <= 30 for delay in delays)
    assert all(later >= earlier for earlier, later in pairwise(delays))


def test_a_good_connection_begins_anew() -> None:
    """After a reset the next wait is the first one again."""
    backoff = Backoff(chance=lambda: 0.0)
    for _ in range(9):
        backoff.delay_s()
    backoff.reset()
    assert backoff.tries == 0
    assert backoff.delay_s() == 0.25


def test_the_jitter_spreads_many_clients() -> None:
    """Two of them do not come back at the same moment."""
    one, other = Backoff(), Backoff()
    assert [one.delay_s() for _ in range(10)] != [other.delay_s() for _ in range(10)]
