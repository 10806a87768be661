"""How much of a stretch of time was proved to be received, what was missed and why. Pure.

A span is a stretch between a connection's canary ticks: what lies inside was received. Coverage of a venue is the
union of its spans, cut to the window, over the part of the window that has *elapsed*; of several venues, the lowest.

What has elapsed ends now. But ticks come once a second and reach the ledger a second later, so the last moments are
never proved yet. While a connection is open and its last tick is no older than the canary time-out, elapsed time ends
at that tick: what came after is neither proved nor disproved. A healthy running hour so shows 1.0 and no gap; an older
tick, or a closed connection, makes the stretch up to now a gap. A window that has not begun has coverage 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from rekt.model import Connection, Gap, Window
from rekt.store import Alive

CANARY_MS: Final = 5_000  # a tick is due within so long: the canary time-out
CLOSED_MS: Final = 120_000  # by the clock: an hour across whose end no connection lived is final then
PROCESS_DOWN: Final = "process down"
STALL: Final = "stall"

Stretch = tuple[int, int]


class Traits(NamedTuple):
    """What one venue's numbers rest on: its times, and what its events are."""

    settle_ms: int = 3_000  # events of an hour come at most so long after its end
    canary_ms: int = CANARY_MS  # a tick is due within so long
    sampling: str | None = None  # what it leaves out; None = not known here
    price_kind: str | None = None
    enabled: bool = True  # whether it is recorded, as far as is known before anything was


def union(spans: Iterable[Alive]) -> list[Stretch]:
    """Spans as disjoint stretches, earliest first."""
    return joined((span.start_ms, span.end_ms) for span in spans)


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches that may overlap as disjoint ones, earliest first."""
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        elif end > start:
            merged.append((start, end))
    return merged


def covered(stretches: Sequence[Stretch], window: Window) -> int:
    """How many ms of a window lie in disjoint stretches."""
    total = 0
    for index in range(bisect_left(stretches, window.start, key=lambda stretch: stretch[1]), len(stretches)):
        start, end = stretches[index]
        if start >= window.end:
            break
        total += min(end, window.end) - max(start, window.start)
    return total


def horizon(spans: Iterable[Alive], now_ms: int, canary_ms: int = CANARY_MS) -> int:
    """Where elapsed time ends for a venue: at the last tick while a connection is live, else now.

    The last tick of any connection: a row that a kill left open looks live for a moment, and must not hide what is
    known to have been missed before a later one.
    """
    ends = [(span.end_ms, span.closed) for span in spans if span.end_ms <= now_ms]
    if any(not closed and end >= now_ms - canary_ms for end, closed in ends):
        return max(ends)[0]
    return now_ms


def coverage(spans: Sequence[Alive], window: Window, now_ms: int, canary_ms: int = CANARY_MS) -> float:
    """The proved share (0..1) of what has elapsed of a window, for one venue's spans.

    In the first moments of a window, before any tick in it is due, a live connection vouches: 1.
    """
    if window.start >= now_ms:
        return 0.0
    end = min(window.end, horizon(spans, now_ms, canary_ms))
    if end <= window.start:
        return 1.0
    return covered(union(spans), Window(window.start, end)) / (end - window.start)


def gaps(
    venue: str,
    spans: Sequence[Alive],
    before: Alive | None,
    connections: Sequence[Connection],
    window: Window,
    now_ms: int,
    canary_ms: int = CANARY_MS,
) -> list[Gap]:
    """What of a window's elapsed part lies outside one venue's spans, and why.

    The cause is that of the connection whose span ended last at or before the gap's start (`before`: the last one
    that ended before all of `spans`). Where that one was stopped in order, or is an unclosed row of a run that is
    gone, or where there is none: "process down"; and if then connections are opened that never had a tick, the gap
    is divided there and the rest has their cause.
    """
    end = min(window.end, horizon(spans, now_ms, canary_ms))
    found: list[Gap] = []
    start = window.start
    for first, last in [*union(spans), (end, end)]:
        if first > start and start < end:
            cause = _cause(spans, before, start)
            found += _divided(Gap(start, min(first, end), cause, venue), connections)
        start = max(start, last)
    return found


def _cause(spans: Sequence[Alive], before: Alive | None, ms: int) -> str:
    ended = [span for span in spans if span.end_ms <= ms]
    last = max(ended, key=lambda span: (span.end_ms, span.closed), default=before)
    if last is None:
        return PROCESS_DOWN
    if any(span.connection == last.connection and span.start_ms >= ms for span in spans):
        return STALL  # the same connection went on afterwards
    if not last.closed or last.cause is None or last.cause == "stopped":
        return PROCESS_DOWN
    return last.cause


def _divided(gap: Gap, connections: Sequence[Connection]) -> list[Gap]:
    """A gap in which the process was down, divided where it tried in vain."""
    parts = [gap]
    for connection in sorted(connections, key=lambda connection: connection.opened_us):
        if (
            connection.venue != gap.venue
            or connection.last_canary_us is not None
            or connection.closed_us is None
        ):
            continue
        down = connection.cause is None or connection.cause == "stopped"
        at = (connection.closed_us if down else connection.opened_us) // 1000
        last = parts[-1]
        cause = PROCESS_DOWN if down else str(connection.cause)
        if not last.start <= at < gap.end or (last.cause == PROCESS_DOWN) is down:
            continue
        parts[-1] = last._replace(end=at)
        parts.append(Gap(at, gap.end, cause, gap.venue))
    return [part for part in parts if part.start < part.end]


def final(window: Window, spans: Iterable[Alive], now_ms: int, settle_ms: int) -> bool:
    """Whether a window's numbers are closed, for one venue.

    They are when one connection had a tick before the window's end and one at least the venue's settle time after
    it; in every other case 120 s after the end by the clock.
    """
    if now_ms >= window.end + CLOSED_MS:
        return True
    lives: dict[str, Stretch] = {}
    for span in spans:
        start, end = lives.get(span.connection, (span.start_ms, span.end_ms))
        lives[span.connection] = (min(start, span.start_ms), max(end, span.end_ms))
    return any(start < window.end and end >= window.end + settle_ms for start, end in lives.values())
