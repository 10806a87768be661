from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.model import Connection, Gap, Window
from rekt.stats.coverage import coverage, covered, final, gaps, union
from rekt.store import Alive

LONG_AGO = 10**12  # so that `now` plays no part
WINDOW = Window(1_000_000, 1_100_000)


def span(
    start: int, end: int, cause: str | None = "cut", connection: str = "c", *, closed: bool = True
) -> Alive:
    """A span of one connection, closed unless told."""
    return Alive("binance", connection, start, end, closed, cause if closed else None)


def causes(spans: list[Alive], window: Window = WINDOW, now: int = LONG_AGO, **more: object) -> list[Gap]:
    """The gaps of a window."""
    before: Alive | None = more.get("before")  # type: ignore[assignment]
    tried: list[Connection] = more.get("connections", [])  # type: ignore[assignment]
    return gaps("binance", spans, before, tried, window, now)


stretches = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=8)


@given(stretches, st.integers(0, 60), st.integers(1, 30), st.integers(0, 100))
def test_is_what_a_count_of_milliseconds_gives(
    spans: list[tuple[int, int]], start: int, length: int, now: int
) -> None:
    """Coverage and gaps agree with a set of single milliseconds, whatever overlaps, touches or is empty."""
    alive = [span(first, first + more) for first, more in spans]
    window = Window(start, start + length)
    elapsed = set(range(start, min(window.end, now)))
    proved = {ms for first, more in spans for ms in range(first, first + more)} & elapsed
    share = len(proved) / len(elapsed) if elapsed else 0.0
    assert coverage(alive, window, now) == share
    assert covered(union(alive), Window(start, max(start, min(window.end, now)))) == len(proved)
    found = gaps("binance", alive, None, [], window, now)
    missed = [ms for gap in found for ms in range(gap.start, gap.end)]
    assert missed == sorted(elapsed - proved)
    assert all(one.end < two.start for one, two in pairwise(found))


def test_a_healthy_running_hour_is_whole() -> None:
    """Time up to now that no tick can have proved yet is no gap while the connection lives."""
    live = [span(900_000, 1_050_000, closed=False)]
    for late in (0, 900, 2_500, 5_000):
        assert coverage(live, WINDOW, 1_050_000 + late) == 1.0
        assert causes(live, now=1_050_000 + late) == []


def test_a_running_hour_is_not_whole_once_the_canary_is_overdue() -> None:
    """Past the canary time-out, or with the connection closed, the stretch up to now is a gap."""
    live = [span(900_000, 1_050_000, closed=False)]
    assert coverage(live, WINDOW, 1_055_001) == 50_000 / 55_001
    assert causes(live, now=1_055_001) == [Gap(1_050_000, 1_055_001, "process down", "binance")]
    dead = [span(900_000, 1_050_000, "stall")]
    assert coverage(dead, WINDOW, 1_050_500) == 50_000 / 50_500
    assert causes(dead, now=1_050_500) == [Gap(1_050_000, 1_050_500, "stall", "binance")]


def test_the_first_moment_of_an_hour() -> None:
    """Before the first tick of a window is due a live connection vouches; without one nothing is covered."""
    assert coverage([span(900_000, 999_500, closed=False)], WINDOW, 1_000_300) == 1.0
    assert coverage([span(900_000, 999_500)], WINDOW, 1_000_300) == 0.0
    assert coverage([], WINDOW, 1_000_300) == 0.0


def test_a_future_window_has_none() -> None:
    """What has not begun is neither covered nor a gap."""
    live = [span(900_000, 999_999, closed=False)]
    assert coverage(live, WINDOW, 1_000_000) == 0.0
    assert causes(live, now=1_000_000) == []


@pytest.mark.parametrize("cause", ["cut", "stall", "mis-routed", "queue full"])
def test_a_gap_has_the_cause_of_the_connection_that_ended_last(cause: str) -> None:
    """With two connections, that of the later one."""
    spans = [
        span(990_000, 1_020_000, "renewed", "a"),
        span(990_000, 1_030_000, cause, "b"),
        span(1_040_000, 1_200_000),
    ]
    assert causes(spans) == [Gap(1_030_000, 1_040_000, cause, "binance")]


@pytest.mark.parametrize(
    "last", [span(990_000, 1_030_000, "stopped", "a"), span(990_000, 1_030_000, connection="a", closed=False)]
)
def test_a_process_that_is_gone_was_down(last: Alive) -> None:
    """Stopped in order or killed: what follows is the time without a process."""
    assert causes([last, span(1_040_000, 1_200_000)]) == [
        Gap(1_030_000, 1_040_000, "process down", "binance")
    ]


def test_nothing_before_is_process_down() -> None:
    """Before the first connection ever, there was none; a cause from before the window is carried into it."""
    assert causes([]) == [Gap(*WINDOW, "process down", "binance")]
    assert causes([], before=span(1, 2, "stall")) == [Gap(*WINDOW, "stall", "binance")]


def test_a_connection_that_went_on_had_stalled() -> None:
    """Ticks of one connection too far apart: the connection lived, the feed did not."""
    spans = [span(990_000, 1_030_000, closed=False), span(1_040_000, 1_200_000, closed=False)]
    assert causes(spans) == [Gap(1_030_000, 1_040_000, "stall", "binance")]


def test_tries_in_vain_divide_the_time_without_a_process() -> None:
    """From the first connection without a tick on, its cause holds, until one was stopped in order."""
    tried = [
        Connection("t1", "r", "binance", "u", 1_020_000_000, closed_us=1_025_000_000, cause="mis-routed"),
        Connection("t2", "r", "binance", "u", 1_026_000_000, closed_us=1_030_000_000, cause="stopped"),
        Connection("t3", "r", "bybit", "u", 1_031_000_000, closed_us=1_032_000_000, cause="cut"),
    ]
    assert causes([span(1_050_000, 1_200_000)], connections=tried) == [
        Gap(1_000_000, 1_020_000, "process down", "binance"),
        Gap(1_020_000, 1_030_000, "mis-routed", "binance"),
        Gap(1_030_000, 1_050_000, "process down", "binance"),
    ]


def test_is_final_by_one_connection_across_the_end() -> None:
    """A tick before the end and one the settle time after it, of one connection; else the clock, 120 s after."""
    end = WINDOW.end
    one = [span(1_000_000, end + 3_000, closed=False)]
    assert final(WINDOW, one, end + 3_000, 3_000)
    assert not final(WINDOW, [span(1_000_000, end + 2_999, closed=False)], end + 4_000, 3_000)
    two = [span(1_000_000, end - 1, connection="a"), span(end, end + 60_000, connection="b", closed=False)]
    assert not final(WINDOW, two, end + 60_000, 3_000)
    resumed = [span(1_000_000, end - 1), span(end + 8_000, end + 9_000)]
    assert final(WINDOW, resumed, end + 9_000, 3_000)
    assert not final(WINDOW, two, end + 119_999, 3_000)
    assert final(WINDOW, two, end + 120_000, 3_000)
    assert final(WINDOW, [], end + 120_000, 3_000)
