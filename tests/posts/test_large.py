from __future__ import annotations

from rekt.model import Liquidation, OrderSide
from rekt.posts.large import Large, Notice, Rules
from rekt.posts.length import LIMIT, weighted_length
from tests.stores.events import START, event

MINUTE = 60_000
USD = 1_000_000


def come(large: Large, *events: tuple[int, int] | tuple[int, int, OrderSide]) -> list[Notice]:
    """Events of so many seconds and dollars, as they come; what is told."""
    told = []
    for n, (seconds, dollars, *side) in enumerate(events):
        at = START + seconds * 1000
        one: Liquidation = event(n, at=at, notional=dollars * USD, side=side[0] if side else "SELL")
        told += large.add(one, at + 100)
    return told


def test_a_big_one_is_told_at_once() -> None:
    """From the threshold on; below it nothing; with its hour, within a post's length."""
    large = Large(Rules(big=1_000_000 * USD))
    (notice,) = come(large, (1, 999_999), (2, 1_000_000), (3, 5))
    assert "a BTC long of $1.0M at 17:00:02 UTC" in notice.text or "long of $1.0M" in notice.text
    assert notice.text.endswith(" UTC")
    assert weighted_length(notice.text) <= LIMIT


def test_the_cool_down_adds_up() -> None:
    """During the cool-down large ones are only collected, and told in one notice after it."""
    large = Large(Rules(big=1_000_000 * USD, cooldown_ms=15 * MINUTE))
    assert len(come(large, *((n, 2_000_000) for n in range(200)))) == 1
    assert large.due(START + 14 * MINUTE) == []
    (notice,) = large.due(START + 16 * MINUTE)
    assert notice.text.startswith("🐋 199 large liquidations since")
    assert "$398.0M in all" in notice.text
    assert large.due(START + 40 * MINUTE) == []


def test_a_crash_gives_a_few_good_posts() -> None:
    """Two hundred large ones in a cascade: one notice of the first, one of its end with size, sides and symbols."""
    large = Large(Rules(big=1_000_000 * USD, cascade=50_000_000 * USD))
    told = come(large, *((n, 2_000_000, "BUY" if n % 10 == 0 else "SELL") for n in range(200)))
    told += large.due(START + 12 * MINUTE)
    told += large.due(START + 60 * MINUTE)
    assert len(told) == 2
    assert "200 liquidations, 90 % of it longs. Most of it: BTC" in told[-1].text
    assert "$400.0M" in told[-1].text
    assert len({notice.key for notice in told}) == 2


def test_a_cascade_by_itself() -> None:
    """It begins when a few minutes add up to the threshold, and is over when they fall below half of it."""
    large = Large(Rules(cascade=50_000_000 * USD))
    told = come(large, *((n * 10, 10_000_000) for n in range(6)))
    assert [notice.key.rpartition("-")[2] for notice in told] == ["begin"]
    (end,) = large.due(START + 10 * MINUTE)
    assert end.text.startswith("The cascade of ")
    assert come(large, (1200, 10_000_000)) == []


def test_a_percentile_of_the_symbol() -> None:
    """With a percentile the symbol's own history decides, and one without history is never large."""
    limits = {"BTCUSDT": 3_000_000 * USD}
    large = Large(Rules(big=USD, percentile=99.0), limits.get)
    assert come(large, (1, 2_999_999)) == []
    assert len(come(large, (2, 3_000_000))) == 1
    other = event(9, at=START, notional=10**15, symbol="NEWUSDT")
    assert Large(Rules(big=USD, percentile=99.0), limits.get).add(other, START) == []


def test_history_is_no_news() -> None:
    """What is replayed, of unknown notional or not filled is not told."""
    large = Large(Rules(big=USD))
    old = event(1, at=START, notional=10**12)
    assert large.add(old, START + 11 * MINUTE) == []
    assert large.add(event(2, notional=None), START) == []
    assert large.add(event(3, notional=10**12, status="NEW"), START) == []
