"""Buckets and spans → `HourSummary`: the one definition of every number that is shown or posted.

Whole hours come from the roll-ups, ragged ends from a recount of their events; both give the same sums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from fractions import Fraction
from typing import Final

from rekt.fields import DAY, HOUR
from rekt.model import Bucket, Gap, HourSummary, Mean, Tally, Window
from rekt.stats.coverage import CANARY_MS, CLOSED_MS, coverage, covered, final, gaps, union
from rekt.store import Alive, Facts

ENOUGH: Final = 0.9  # an hour of less coverage is compared with nothing
DEFAULT_SETTLE_MS: Final = 3_000
WEEK: Final = 7 * DAY
_BRIEF: Final = 8 * DAY  # a window up to this length is read as one state


def summarise(
    facts: Facts, window: Window, now_ms: int, *, settle: Mapping[str, int], canary_ms: int = CANARY_MS
) -> HourSummary:
    """The numbers of a window of trade time. `settle`: each venue's settle time, ms.

    Coverage, gaps and finality are of every venue the store knows (of those in `settle` while it knows none); the
    comparisons are made for a window that is one hour.
    """
    single = window.start % HOUR == 0 and window.end - window.start == HOUR
    with facts.snapshot() if single or window.end - window.start <= _BRIEF else nullcontext():
        buckets = added_up(facts, window)
        largest = facts.largest(window)
        venues = facts.venues() or sorted(settle)
        reach = Window(window.start - (WEEK if single else CLOSED_MS), window.end + CLOSED_MS)
        alive = _by_venue(facts.alive(reach), venues)
        found, covers, closed = _proof(facts, window, now_ms, alive, settle, canary_ms)
        compared = _compared(facts, window.start, now_ms, alive) if single else (None, None, None)
    by_side = _tallies((bucket.side, bucket) for bucket in buckets)
    return HourSummary(
        window=window,
        hour=window.start if single else None,
        count=sum(bucket.count for bucket in buckets),
        unknown_count=sum(bucket.unknown_count for bucket in buckets),
        total=sum(bucket.total for bucket in buckets),
        largest=largest,
        long=by_side.get("long", Tally(0, 0)),
        short=by_side.get("short", Tally(0, 0)),
        by_symbol=_ranked(_tallies((bucket.symbol, bucket) for bucket in buckets)),
        by_venue=_ranked(_tallies((bucket.venue, bucket) for bucket in buckets)),
        coverage=covers,
        gaps=found,
        final=closed,
        hour_before=compared[0],
        mean_24h=compared[1],
        mean_7d=compared[2],
    )


def added_up(facts: Facts, window: Window) -> list[Bucket]:
    """Counts and sums of a window by venue, symbol and side."""
    whole = Window(-(-window.start // HOUR) * HOUR, window.end // HOUR * HOUR)
    if whole.start >= whole.end:
        return facts.count(window)
    found = facts.sums(whole)
    for end in (Window(window.start, whole.start), Window(whole.end, window.end)):
        if end.start < end.end:
            found += facts.count(end)
    return found


def _tallies(named: Iterable[tuple[str, Bucket]]) -> dict[str, Tally]:
    counts: defaultdict[str, int] = defaultdict(int)
    totals: defaultdict[str, int] = defaultdict(int)
    for name, bucket in named:
        counts[name] += bucket.count
        totals[name] += bucket.total
    return {name: Tally(count, totals[name]) for name, count in counts.items()}


def _ranked(tallies: Mapping[str, Tally]) -> list[tuple[str, Tally]]:
    """Largest total first, then the higher count, then by name."""
    return sorted(tallies.items(), key=lambda item: (-item[1].total, -item[1].count, item[0]))


def _by_venue(alive: Iterable[Alive], venues: Sequence[str]) -> dict[str, list[Alive]]:
    spans: dict[str, list[Alive]] = {venue: [] for venue in venues}
    for span in alive:
        spans.setdefault(span.venue, []).append(span)
    return spans


def _proof(
    facts: Facts,
    window: Window,
    now_ms: int,
    alive: Mapping[str, list[Alive]],
    settle: Mapping[str, int],
    canary_ms: int,
) -> tuple[list[Gap], float, bool]:
    """Gaps, coverage, and whether the window is final."""
    found: list[Gap] = []
    lowest = 1.0 if alive else 0.0
    waited = []
    for venue, spans in alive.items():
        share = coverage(spans, window, now_ms, canary_ms)
        lowest = min(lowest, share)
        if share < 1:
            before = facts.alive_before(venue, window.start + 1)
            found += gaps(venue, spans, before, facts.connections(window), window, now_ms, canary_ms)
        if any(span.start_ms < window.end and span.end_ms >= window.start for span in spans):
            waited.append(final(window, spans, now_ms, settle.get(venue, DEFAULT_SETTLE_MS)))
    # A venue without a connection in the window is not waited for; with none at all the clock decides.
    closed = all(waited) if waited else final(window, [], now_ms, 0)
    return sorted(found, key=lambda gap: (gap.start, gap.end, gap.venue)), lowest, closed


def _compared(
    facts: Facts, start: int, now_ms: int, alive: Mapping[str, list[Alive]]
) -> tuple[Mean | None, Mean | None, Mean | None]:
    """The hour before, and the mean hour of the 24 h and the 7 days before an hour."""
    stretches = [union(spans) for spans in alive.values()]
    hours: dict[int, list[int]] = {}
    for hour in range(start - WEEK, start, HOUR):
        window = Window(hour, hour + HOUR)
        lowest = min((covered(venue, window) for venue in stretches), default=0)
        if lowest >= ENOUGH * HOUR and window.end <= now_ms:
            hours[hour] = [0, 0]
    if hours:
        for bucket in facts.totals(Window(min(hours), start), "hour"):
            if bucket.start in hours:
                hours[bucket.start][0] += bucket.count
                hours[bucket.start][1] += bucket.total
    last, day, week = (
        [sums for hour, sums in hours.items() if hour >= start - length] for length in (HOUR, DAY, WEEK)
    )
    return _mean(last), _mean(day), _mean(week)


def _mean(hours: Sequence[Sequence[int]]) -> Mean | None:
    if not hours:
        return None
    count, total = sum(hour[0] for hour in hours), sum(hour[1] for hour in hours)
    return Mean(count / len(hours), round(Fraction(total, len(hours))), len(hours))
