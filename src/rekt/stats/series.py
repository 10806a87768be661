"""A stretch of time in equal steps: counts, sums, coverage of each; what the bars are drawn from. Pure.

Steps begin at multiples of their length since 1970 UTC. They come from the roll-ups, so a window is widened to
whole minutes or hours, whichever the step needs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from rekt.fields import DAY, HOUR
from rekt.model import Largest, Tally, Window
from rekt.stats.coverage import Traits, coverage
from rekt.stats.summary import at_work
from rekt.store import Alive, Facts, Scope

MINUTE: Final = 60_000
STEPS: Final = {
    "1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "1d": DAY,
}  # fmt: skip


class Step(NamedTuple):
    """One step of a series."""

    window: Window
    long: Tally
    short: Tally
    unknown_count: int
    coverage: float
    largest: Largest | None  # only where it was asked for


def whole(window: Window, step: int, most: int) -> Window:
    """The window in whole steps, its beginning moved forward where there would be more than `most`."""
    start, end = window.start // step * step, -(-window.end // step) * step
    return Window(max(start, end - most * step), end)


def series(
    facts: Facts,
    window: Window,
    step: int,
    now_ms: int,
    alive: Mapping[str, Sequence[Alive]],
    *,
    traits: Mapping[str, Traits],
    venues: Collection[str] | None = None,
    largest: bool = False,
) -> list[Step]:
    """The steps of a window that consists of whole ones; every step is there, also an empty one.

    `venues`: of these alone. The coverage of a step is the lowest of the venues recorded in it: those of `alive` with
    a connection then, or (in a hole) those of the step before.
    """
    scope: Scope = "minute" if step % HOUR else "hour"
    sums: dict[tuple[int, str], list[int]] = {}
    unknown: dict[int, int] = {}
    for bucket in facts.totals(window, scope):
        if venues is not None and bucket.venue not in venues:
            continue
        start = bucket.start // step * step
        entry = sums.setdefault((start, bucket.side), [0, 0])
        entry[0] += bucket.count
        entry[1] += bucket.total
        unknown[start] = unknown.get(start, 0) + bucket.unknown_count
    spans = {venue: sorted(own, key=lambda span: span.start_ms) for venue, own in alive.items()}
    lives = {name: own for name, own in at_work(facts, window).items() if name in alive}
    found = []
    then: Collection[str] = alive
    for start in range(window.start, window.end, step):
        part = Window(start, start + step)
        if len(alive) > 1:
            touching = [
                name for name, own in lives.items() if any(a < part.end and b >= start for a, b in own)
            ]
            then = touching or then
        shares = [_share(spans[name], part, now_ms, traits.get(name, Traits()).canary_ms) for name in then]
        share = min(shares, default=0.0)
        found.append(
            Step(
                part,
                Tally(*sums.get((start, "long"), (0, 0))),
                Tally(*sums.get((start, "short"), (0, 0))),
                unknown.get(start, 0),
                share,
                facts.largest(part, venues) if largest else None,
            )
        )
    return found


def _share(spans: Sequence[Alive], part: Window, now_ms: int, canary_ms: int) -> float:
    near = [span for span in spans if span.end_ms >= part.start and span.start_ms < part.end]
    if part.end > now_ms - canary_ms:  # the running step: what comes after the last tick is not judged yet
        near = [span for span in spans if span.end_ms >= part.start - canary_ms]
    return coverage(near, part, now_ms, canary_ms)
