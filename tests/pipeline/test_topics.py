from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rekt.pipeline.topics import Shares


def test_topics_fill_connections_up_to_the_limit() -> None:
    """Seven topics at three a connection take three connections, in their order."""
    shares = Shares(3)
    shares.want("abcdefg")
    assert [list(shares[number]) for number in range(len(shares))] == [list("abc"), list("def"), ["g"]]


def test_a_topic_stays_where_it_is() -> None:
    """A delisted topic leaves its place, which the next new one takes; the others do not move."""
    shares = Shares(3)
    shares.want("abcdef")
    shares.want("acdefxy")
    assert [list(shares[number]) for number in range(len(shares))] == [["a", "c", "x"], list("def"), ["y"]]


@given(st.lists(st.lists(st.integers(0, 60).map(str), max_size=40), max_size=6), st.integers(1, 7))
def test_what_is_wanted_is_shared_out_once(lists: list[list[str]], room: int) -> None:
    """Whatever lists come one after the other: each wanted topic is in one share, no other is, none is too full."""
    shares = Shares(room)
    for wanted in lists:
        shares.want(wanted)
        held = [topic for number in range(len(shares)) for topic in shares[number]]
        assert sorted(held) == sorted(set(wanted))
        assert all(len(shares[number]) <= room for number in range(len(shares)))
