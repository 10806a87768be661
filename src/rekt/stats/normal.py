"""Against its normal: where a symbol's total stands among its own totals of the 30 days before. Pure.

A window of n whole hours is compared with the stretches of n hours that end before it, one after the other, of those
30 days in which its venue was recorded (coverage ≥ 0.9 of each of their hours). The percentile is the share of them in which the
symbol had less, those of the same total counting half. Below `FEWEST` stretches nothing is said.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from rekt.fields import DAY, HOUR
from rekt.model import MICRO, Bucket, Window
from rekt.stats.coverage import covered, union
from rekt.stats.summary import ENOUGH
from rekt.store import Alive

REACH: Final = 30 * DAY
HOURS: Final = REACH // HOUR
FEWEST: Final = 7
Key = tuple[str, str]  # venue, symbol


class Normal(NamedTuple):
    """Where a total stands, and on how many stretches that rests."""

    percentile: float  # 0..100
    stretches: int


class History:
    """The hourly dollars of each symbol over the 30 days before an hour, and which hours were recorded."""

    def __init__(self, end: int) -> None:
        """`end`: the hour (ms) before which the history lies."""
        self.start, self.end = end - REACH, end
        self._recorded: dict[str, bytearray] = {}  # by venue
        self._dollars: dict[Key, array[float]] = {}

    def days(self) -> Iterator[Window]:
        """The stretches to read it in, each small."""
        for start in range(self.start, self.end, DAY):
            yield Window(start, min(start + DAY, self.end))

    def add(self, buckets: Iterable[Bucket]) -> None:
        """Take roll-ups by hour and symbol."""
        blank = array("d", bytes(8 * HOURS))
        for bucket in buckets:
            index = (bucket.start - self.start) // HOUR
            if 0 <= index < HOURS:
                key = (bucket.venue, bucket.symbol)
                hours = self._dollars.get(key)
                if hours is None:
                    hours = self._dollars[key] = blank[:]
                hours[index] += bucket.total / MICRO

    def prove(self, alive: Mapping[str, list[Alive]]) -> None:
        """Take what was recorded: every venue's spans."""
        for venue, spans in alive.items():
            stretches, found = union(spans), bytearray(HOURS)
            for index in range(HOURS):
                hour = Window(self.start + index * HOUR, self.start + (index + 1) * HOUR)
                found[index] = covered(stretches, hour) >= ENOUGH * HOUR
            self._recorded[venue] = found

    def normals(self, totals: Mapping[Key, int], hours: int) -> dict[Key, Normal]:
        """For each symbol its place, given its total (micro-dollars) over a window of so many hours."""
        stretches_of = {
            venue: [
                (first, first + hours)
                for first in range(HOURS - hours, -1, -hours)
                if all(recorded[first : first + hours])
            ]
            for venue, recorded in self._recorded.items()
        }
        found = {}
        for key, total in totals.items():
            stretches = stretches_of.get(key[0], [])
            if len(stretches) < FEWEST:
                continue
            series = self._dollars.get(key)
            own = sorted(sum(series[a:b]) if series else 0.0 for a, b in stretches)
            dollars = total / MICRO
            less, upto = bisect_left(own, dollars), bisect_right(own, dollars)
            found[key] = Normal(100 * (less + upto) / 2 / len(own), len(own))
        return found
