"""Buckets and spans → `HourSummary`: the one definition of every number that is shown or posted.

The store adds up, exactly: it does not matter whether from roll-ups or from the events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from fractions import Fraction
from typing import Final

from rekt.fields import DAY, HOUR
from rekt.model import Bucket, Gap, HourSummary, Mean, Tally, VenueTally, Window
from rekt.stats.coverage import CLOSED_MS, Stretch, Traits, coverage, covered, final, gaps, joined, union
from rekt.store import Alive, Facts

ENOUGH: Final = 0.9  # an hour of less coverage is compared with nothing
WEEK: Final = 7 * DAY
PAUSE_MS: Final = 330_000  # rows of one venue no farther apart: it was being recorded between them
_BRIEF: Final = 8 * DAY  # a window up to this length is read as one state


def summarise(
    facts: Facts,
    window: Window,
    now_ms: int,
    *,
    traits: Mapping[str, Traits],
    venues: Collection[str] | None = None,
) -> HourSummary:
    """The numbers of a window of trade time. `traits`: what each venue's numbers rest on; `venues`: of these alone.

    Coverage (the lowest), gaps and finality are of the venues that were recorded in the window (see `recorded`); the
    comparisons, made for a window that is one hour, are with hours in which all of these were.
    """
    single = window.start % HOUR == 0 and window.end - window.start == HOUR
    with facts.snapshot() if single or window.end - window.start <= _BRIEF else nullcontext():
        buckets = [one for one in facts.sums(window) if venues is None or one.venue in venues]
        largest = facts.largest(window, venues)
        enabled = [
            name for name in recorded(facts, window) or to_record(traits) if venues is None or name in venues
        ]
        reach = Window(window.start - (WEEK if single else CLOSED_MS), window.end + CLOSED_MS)
        alive = _by_venue(facts.alive(reach), [*enabled, *{bucket.venue for bucket in buckets}])
        found, shares, closed = _proof(facts, window, now_ms, alive, traits)
        whole = {name: alive[name] for name in enabled}
        compared = _compared(facts, window.start, now_ms, whole) if single else (None, None, None)
    waited = [closed[name] for name in enabled if _lived(alive[name], window)]
    by_venue = _tallies((bucket.venue, bucket) for bucket in buckets)
    if len({*enabled, *by_venue}) > 1:  # of several, a silent one is worth a line
        by_venue.update((name, Tally(0, 0)) for name in enabled if name not in by_venue)
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
        by_venue=[
            VenueTally(name, *tally, shares[name], closed[name], *traits.get(name, Traits())[2:4])
            for name, tally in _ranked(by_venue)
        ],
        coverage=min((shares[name] for name in enabled), default=0.0),
        gaps=[gap for gap in found if gap.venue in whole],
        # A venue without a connection in the window is not waited for; with none at all the clock decides.
        final=all(waited) if waited else final(window, [], now_ms, 0),
        hour_before=compared[0],
        mean_24h=compared[1],
        mean_7d=compared[2],
    )


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


def recorded(facts: Facts, window: Window) -> list[str]:
    """The venues that were being recorded in a window: those of connections whose life touches it.

    Where there is none, those of the run that recorded last before it; failing that, all that the store knows.
    """
    if len(known := facts.venues()) < 2:
        return known
    touching = set(at_work(facts, window))
    if not touching:
        before = [last for name in known if (last := facts.alive_before(name, window.start)) is not None]
        if before:
            end = max(one.end_ms for one in before)
            touching = {one.venue for one in before if one.end_ms >= end - CLOSED_MS}
    return sorted(touching) or known


def at_work(facts: Facts, window: Window) -> dict[str, list[Stretch]]:
    """When each venue was being recorded, as far as it touches a window: its connections' lives, joined over pauses.

    One that can't be reached has a row now and then (every five minutes) and nothing between: it is at work all the same.
    """
    lives: dict[str, list[Stretch]] = {}
    for one in facts.connections(Window(window.start - PAUSE_MS, window.end + PAUSE_MS)):
        end = one.closed_us or one.last_frame_us or one.last_canary_us or one.opened_us
        lives.setdefault(one.venue, []).append((one.opened_us // 1000, end // 1000 + PAUSE_MS))
    found = {
        venue: [
            (start, end - PAUSE_MS)
            for start, end in joined(own)
            if start < window.end and end - PAUSE_MS >= window.start
        ]
        for venue, own in lives.items()
    }
    return {venue: own for venue, own in found.items() if own}


def to_record(traits: Mapping[str, Traits]) -> list[str]:
    """The venues that are recorded by the configuration: for a store that knows none yet."""
    return sorted(name for name, own in traits.items() if own.enabled)


def _lived(spans: Iterable[Alive], window: Window) -> bool:
    return any(span.start_ms < window.end and span.end_ms >= window.start for span in spans)


def _proof(
    facts: Facts,
    window: Window,
    now_ms: int,
    alive: Mapping[str, list[Alive]],
    traits: Mapping[str, Traits],
) -> tuple[list[Gap], dict[str, float], dict[str, bool]]:
    """Gaps, and of each venue its coverage and whether its window is final."""
    found: list[Gap] = []
    shares, closed = {}, {}
    for venue, spans in alive.items():
        own = traits.get(venue, Traits())
        shares[venue] = coverage(spans, window, now_ms, own.canary_ms)
        if shares[venue] < 1:
            before = facts.alive_before(venue, window.start + 1)
            found += gaps(venue, spans, before, facts.connections(window), window, now_ms, own.canary_ms)
        closed[venue] = final(window, spans if _lived(spans, window) else [], now_ms, own.settle_ms)
    return sorted(found, key=lambda gap: (gap.start, gap.end, gap.venue)), shares, closed


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
            if bucket.start in hours and bucket.venue in alive:
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
