"""Where a symbol's total stands among its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rekt.fields import DAY, HOUR
from rekt.model import Bucket
from rekt.stats.normal import FEWEST, REACH, History
from rekt.store import Alive

END = 20_000 * DAY
KEY = ("binance", "BTCUSDT")


def history(dollars: dict[int, int], recorded: list[tuple[int, int]]) -> History:
    """A history with these dollars in the hours before the end, recorded in these stretches of hours before it."""
    made = History(END)
    made.add(
        Bucket(END - hour * HOUR, *KEY, "long", 1, 0, amount * 1_000_000) for hour, amount in dollars.items()
    )
    spans = [Alive("binance", f"{a}", END - a * HOUR, END - b * HOUR, True, None) for a, b in recorded]
    made.prove({"binance": spans})
    return made


ALL = [(REACH // HOUR, 0)]


def test_more_than_ever_is_a_hundred_percent_and_less_than_ever_is_none() -> None:
    """The percentile counts the hours in which the symbol had less."""
    made = history(dict.fromkeys(range(1, 721), 10), ALL)
    assert made.normals({KEY: 11_000_000}, 1)[KEY] == (100.0, 720)
    assert made.normals({KEY: 9_000_000}, 1)[KEY] == (0.0, 720)
    assert made.normals({KEY: 10_000_000}, 1)[KEY] == (50.0, 720)


def test_hours_without_the_symbol_are_hours_of_nothing() -> None:
    """A symbol that is rarely liquidated stands high as soon as it is."""
    made = history({5: 100}, ALL)
    assert made.normals({KEY: 1_000_000}, 1)[KEY].percentile > 99


def test_what_was_not_recorded_is_not_compared_with() -> None:
    """Hours of a gap do not count as calm ones; too few hours say nothing."""
    made = history(dict.fromkeys(range(1, 721), 10), [(20, 0)])
    assert made.normals({KEY: 11_000_000}, 1)[KEY].stretches == 20
    assert history({}, [(FEWEST - 1, 0)]).normals({KEY: 1}, 1) == {}


def test_a_longer_window_is_compared_with_stretches_of_its_length() -> None:
    """24 hours are compared with 30 days, each a whole day."""
    made = history(dict.fromkeys(range(1, 721), 1), ALL)
    assert made.normals({KEY: 25_000_000}, 24)[KEY] == (100.0, 30)
    assert made.normals({KEY: 23_000_000}, 24)[KEY] == (0.0, 30)


@given(st.lists(st.integers(0, 1000), min_size=FEWEST, max_size=60), st.integers(0, 1000))
def test_the_percentile_is_the_plain_definition(amounts: list[int], total: int) -> None:
    """Less counts whole, equal counts half."""
    made = history({hour + 1: amount for hour, amount in enumerate(amounts)}, [(len(amounts), 0)])
    expected = 100 * sum((a < total) + (a == total) / 2 for a in amounts) / len(amounts)
    assert abs(made.normals({KEY: total * 1_000_000}, 1)[KEY].percentile - expected) < 1e-9
