"""The mood of an hour, judged against the last 30 days. Pure.

Only hours with enough coverage are compared with, and only where there are enough of them: else nothing is called
heavy, quiet or a record. What an hour is by itself (empty, a whale's, one-sided) needs no history.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from rekt.model import HourSummary, Mean

ENOUGH_HOURS: Final = 72  # for quiet and heavy
RECORD_HOURS: Final = 240
WHALE_SHARE: Final = 0.5
SIDE_SHARE: Final = 0.9
SIDE_COUNT: Final = 20  # events, before an hour is called one-sided


class History(NamedTuple):
    """The totals of the hours before that were recorded well enough, micro-dollars."""

    totals: Sequence[int] = ()

    def mean(self) -> Mean | None:
        """Their mean, and on how many hours it rests (its count is not known here: 0)."""
        if not self.totals:
            return None
        return Mean(0, round(Fraction(sum(self.totals), len(self.totals))), len(self.totals))


def moods(summary: HourSummary, history: History, *, partial: bool = False) -> list[str]:
    """All that the hour is, the most telling first; `normal` where it is nothing else.

    An hour that was recorded in part is never called empty or quiet: nobody knows.
    """
    if summary.count == 0:
        return ["normal"] if partial else ["empty"]
    found, total = [], summary.total
    ordered = sorted(history.totals)
    if len(ordered) >= RECORD_HOURS and total > ordered[-1]:
        found.append("record")
    largest = summary.largest
    if largest and summary.count > 3 and largest.notional >= WHALE_SHARE * total:
        found.append("whale")
    if len(ordered) >= ENOUGH_HOURS and total > ordered[len(ordered) * 9 // 10]:
        found.append("heavy")
    if total > 0 and summary.count >= SIDE_COUNT:
        if summary.long.total >= SIDE_SHARE * total:
            found.append("longs")
        elif summary.short.total >= SIDE_SHARE * total:
            found.append("shorts")
    if len(ordered) >= ENOUGH_HOURS and total < ordered[len(ordered) // 5] and not partial:
        found.append("quiet")
    return found or ["normal"]
