"""The hours of the last 30 days that were recorded well enough: what an hour's mood is judged against."""

from __future__ import annotations

from collections.abc import Collection

from rekt.fields import DAY, HOUR
from rekt.model import Bucket, Window
from rekt.stats.coverage import covered, union
from rekt.stats.summary import ENOUGH
from rekt.store import Alive, Facts

MONTH = 30 * DAY


def totals(
    facts: Facts, start_ms: int, length_ms: int = MONTH, venues: Collection[str] | None = None
) -> dict[int, int]:
    """Micro-dollars by hour (its start, ms) over a stretch that ends at `start_ms`, of hours covered to 0.9 at least.

    `venues`: of these alone, and of hours in which all of them were covered.
    """
    window = Window(start_ms - length_ms, start_ms)
    spans: dict[str, list[Alive]] = {name: [] for name in venues or ()}
    for span in facts.alive(window):
        if venues is None or span.venue in venues:
            spans.setdefault(span.venue, []).append(span)
    stretches = [union(found) for found in spans.values()]
    found = {
        hour: 0
        for hour in range(window.start, window.end, HOUR)
        if min((covered(venue, Window(hour, hour + HOUR)) for venue in stretches), default=0) >= ENOUGH * HOUR
    }
    for bucket in facts.totals(window, "hour"):
        if bucket.start in found and (venues is None or bucket.venue in venues):
            found[bucket.start] += bucket.total
    return found


def by_hour(facts: Facts, window: Window, venues: Collection[str] | None = None) -> dict[int, list[Bucket]]:
    """The roll-ups of each hour of a window, of these venues alone where some are named."""
    found: dict[int, list[Bucket]] = {}
    for bucket in facts.totals(window, "hour"):
        if venues is None or bucket.venue in venues:
            found.setdefault(bucket.start, []).append(bucket)
    return found
