from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rekt.model import Liquidation, Window
from rekt.stats.percentile import SAMPLE, percentiles
from rekt.store import Batch
from rekt.stores.sqlite import Ledger, Reader
from tests.stores.events import START, event

SIZES = st.lists(st.integers(0, 10**12), min_size=SAMPLE, max_size=400)


@given(SIZES, st.floats(1, 100), st.integers(0, 10**12))
def test_the_percentile_is_the_plain_definition(sizes: list[int], percent: float, least: int) -> None:
    """What sorting all of them gives, and never below the least; leaving out those below the least changes nothing."""
    place = min(len(sizes) - 1, int(len(sizes) * percent / 100))
    expected = {"A": max(least, sorted(sizes)[place])}
    counts = {"A": len(sizes), "B": SAMPLE - 1}
    both = [(symbol, size) for size in sizes for symbol in ("A", "B", "C")]
    assert percentiles(counts, both, percent, least) == expected
    kept = [(symbol, size) for symbol, size in both if size >= least]
    assert percentiles(counts, kept, percent, least) == expected


def test_sizes(tmp_path: Path) -> None:
    """Every counting event of the window from a size on, and no other."""
    ledger = Ledger(tmp_path / "t.db")
    frames: list[tuple[Liquidation, ...]] = [
        (event(1, at=START, notional=5),),
        (event(2, at=START + 1, notional=9),),
        (event(3, at=START + 2, notional=None),),
        (event(4, at=START + 3, notional=10, status="NEW"),),
        (event(5, at=START + 10, notional=10),),
    ]
    ledger.append(Batch("r", frames=frames))
    ledger.close()
    with Reader(tmp_path / "t.db") as reader:
        assert [size for _, size in reader.sizes(Window(START, START + 10))] == [5, 9]
        assert [size for _, size in reader.sizes(Window(START, START + 11), 6)] == [9, 10]
