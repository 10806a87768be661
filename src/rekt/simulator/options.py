"""What a simulated exchange can be told: one frozen object, units in the names.

A misspelt name is a `TypeError`; a value that makes no sense is a `ValueError`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rekt.simulator import scenes

Clock = Callable[[], int]
"""Venue time: milliseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of one simulated exchange; the defaults are the real venue's."""

    venue: str = scenes.DEFAULT
    """Which file of `scenes/` speaks."""
    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free port."""
    ssl_context: ssl.SSLContext | None = None
    """Serve wss and https with this certificate."""

    scene: str = "calm"
    """The synthetic market: `calm`, `busy`, `cascade`, or `none` (canary only)."""
    seed: int = 0
    rate: float | None = None
    """Forced orders a second, evenly spaced, instead of the scene's own number."""
    throttle: bool | None = None
    """The venue's sampling (largest per symbol and second). Unset: on without a rate, off with one."""
    hold_ms: int = 1000
    """How long an event is held before it is sent; with the throttle this is its window."""
    late_share: float = 0.005
    """Share of events held up to `late_ms` longer."""
    late_ms: int = 1045
    unfilled_share: float = 0.0
    """Share of orders whose status is not FILLED."""
    merged: bool = True
    """Both markets on one stream (since 2026-06-30); False: the linear market alone, without `ps` and `st`."""
    unlisted: frozenset[str] = frozenset()
    """Symbols that trade but are missing from the instrument documents."""

    tape: Path | None = None
    """Play these recorded frames instead of the synthetic market."""
    speed: float | None = 1.0
    """1 is the original pace, 60 sixty times as fast, None as fast as the connections take it."""
    shift_to_now: bool = False
    """Move the times of a tape so that its first frame is now; otherwise bytes go out as recorded."""
    tape_canary: bool = False
    """Play the canary ticks of the tape and make none up; otherwise the tape's are left out."""
    wait_for: int = 1
    """The tape starts once so many connections are subscribed."""

    canary_period_s: float | None = None
    """Seconds between two ticks of a canary that comes seldom (once a minute at one). Unset: the venue's."""
    ping_period_s: float | None = None
    """Unset: the venue's (as are the three below)."""
    pong_timeout_s: float | None = None
    life_s: float | None = None
    """A connection is cut at this age."""
    messages_per_second: int | None = None
    """More incoming messages than that in one second: the connection is closed."""
    buffer_bytes: int = 8 * 1024 * 1024
    """What is kept for a reader that has stopped reading; beyond it the connection is cut."""
    slow_reader_s: float | None = None
    """Cut a reader that has not been reading for so long, however little is waiting."""
    socket_buffer_bytes: int | None = None
    """The kernel's send buffer for each connection (small values make a slow reader seen at once)."""
    error_form: Literal["plain", "nested"] = "plain"
    """Errors as `{"code":…}` or as `{"error":{"code":…}}`."""

    keep_sent: int | None = None
    """How many sent liquidations the ground truth keeps: None all, 0 none (counts only), else the last N."""
    tick_s: float = 0.005
    """Events are written in batches of this period at most."""
    clock: Clock | None = None
    """Another venue clock than the machine's."""

    def __post_init__(self) -> None:
        if self.rate is not None and self.rate < 0:
            raise ValueError("rate is a number of events a second, 0 or more")
        if self.speed is not None and self.speed <= 0:
            raise ValueError("speed is a factor above 0, or None for as fast as possible")
        if self.throttle and self.hold_ms < 1:
            raise ValueError("the throttle needs a window: hold_ms of 1 or more")
        if self.tick_s <= 0:
            raise ValueError("tick_s is a period in seconds above 0")

    @property
    def throttled(self) -> bool:
        return self.rate is None if self.throttle is None else self.throttle
