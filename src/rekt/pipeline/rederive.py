"""The events of some days once more, from the tapes of them: what an archive is held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from rekt.fields import DAY
from rekt.model import Liquidation, Quarantined
from rekt.pipeline.replay import read_line
from rekt.store import Appended, Batch
from rekt.venue import Reference, Venue
from rekt.wire.tape import BadLine, TapeLine

FRAMES = 5_000  # given to the store at a time


class Rederived(NamedTuple):
    """What the tapes came to."""

    lines: int
    unread: int  # of these, without a frame of a venue
    broken: int  # tapes that end early


def rederive(
    lines: Iterable[TapeLine | BadLine],
    venues: Mapping[str, Venue],
    default: str,
    references: Mapping[str, Reference],
    append: Callable[[Batch], Appended],
    days: Collection[int],
    told: Callable[[int], object] = lambda _: None,
) -> Rederived:
    """Give `append` (a store of its own, which drops repeats) the events that the lines hold of some days (ms)."""
    now_us = time.time_ns() // 1000
    count = unread = broken = 0
    batch = Batch("rederived")
    for line in lines:
        if isinstance(line, BadLine) and not line.number:
            broken += 1
            continue
        count += 1
        _, found = read_line(line, venues, default, references, now_us)
        if isinstance(found, Quarantined):
            unread += 1
            continue
        if frame := tuple(event for event in found if _day(event) in days):
            batch.frames.append(frame)
        if len(batch.frames) >= FRAMES:
            append(batch)
            batch = Batch("rederived")
        if count % FRAMES == 0:
            told(count)
    append(batch)
    return Rederived(count, unread, broken)


def _day(event: Liquidation) -> int:
    return event.trade_time // DAY * DAY
