"""Which hour is due, and until when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from rekt.fields import HOUR
from rekt.model import Window

CALL_S: Final = (
    164.0  # after the hour is final a call ends within 180 s; a busy machine starts and ends slowly
)
TELL_S: Final = 12.0  # of these: kept for telling the operator
EARLY_MS: Final = 1_500  # a timer may fire so much before the hour is over


def hour_key(start_ms: int) -> str:
    """An hour's name in the outbox: `2026-07-16T12`."""
    return f"{datetime.fromtimestamp(start_ms / 1000, UTC):%Y-%m-%dT%H}"


def due(now_ms: int) -> Window:
    """The hour that ended last; the one that is just ending where a timer fires a moment early."""
    end = (now_ms + EARLY_MS) // HOUR * HOUR
    return Window(end - HOUR, end)


def next_hour_ms(now_ms: int) -> int:
    """When the running hour ends."""
    return now_ms - now_ms % HOUR + HOUR


def deadline(window: Window, minutes: float) -> int:
    """Until when an hour is posted by itself, ms; one named by hand has its time from the first attempt."""
    return window.end + round(minutes * 60_000)


def missed(window: Window, last_key: str | None) -> int:
    """How many hours before this one have gone by since the last that the outbox knows; 0 where it knows none."""
    if not last_key or len(last_key) != 13:
        return 0
    last = datetime.strptime(last_key, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return max(0, (window.start - round(last.timestamp() * 1000)) // HOUR - 1)
