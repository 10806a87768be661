"""What the operator is told: each trouble once, and once when it is over. Pure.

A trouble has a name that stays the same while it lasts; its first word is the watch that looks for it. A watch gives
all that is wrong in its eyes now; what it gave before and no longer gives is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from rekt.model import Suspicion
from rekt.publisher import Entry
from rekt.sink import SinkState

CAUSES = ("keys", "credits", "budget", "refused")


class Changes(NamedTuple):
    """What to tell."""

    new: dict[str, str]  # name → text
    over: dict[str, str]


def changes(
    watch: str, now: Mapping[str, str], told: Mapping[str, str], unseen: Collection[str] = ()
) -> Changes:
    """What is new and what is over, of what one watch looks for; not of what it did not look at this time."""
    mine = {
        name: text
        for name, text in told.items()
        if name.split(" ")[0] == watch and (name in now or name.split(" ")[1] not in unseen)
    }
    return Changes(
        {name: text for name, text in now.items() if name not in mine},
        {name: text for name, text in mine.items() if name not in now},
    )


def of_posts(entries: Iterable[Entry], missed: int = 0, thin: str = "") -> dict[str, str]:
    """The troubles of an hour's posts, for the watch `post`; `thin`: what to tell of its coverage."""
    found = {}
    for entry in entries:
        name = f"post {entry.service}"
        if entry.state == "failed" or entry.cause in CAUSES:
            found[f"{name} {entry.cause or 'failed'}"] = f"{entry.service}: not posted: {entry.reason}"
        elif entry.state in ("unknown", "sending"):
            found[f"{name} unknown"] = (
                f"{entry.service} {entry.key}: nobody knows whether it was posted: {entry.reason}"
            )
        elif entry.state == "skipped" and entry.cause == "coverage":
            found["post coverage"] = f"{entry.key} was not posted: {entry.reason}"
        elif entry.state == "skipped":
            found[f"{name} missed"] = f"{entry.service}: {entry.key} was left out: {entry.reason}"
        elif entry.state == "pending":
            found[f"{name} pending"] = f"{entry.service}: {entry.key} is not posted yet: {entry.reason}"
    if thin:
        found.setdefault("post coverage", thin)
    if missed:
        found["post hours"] = (
            f"{missed} hour{'s were' if missed > 1 else ' was'} not posted: nobody was at work"
        )
    return found


def of_feed(
    last_tick_ms: Mapping[str, int | None],
    causes: Mapping[str, str],
    *,
    recording: bool,
    now_ms: int,
    limit_s: float,
) -> dict[str, str]:
    """The troubles of the feeds, for the watch `feed`: no sign of life for too long, and what is known of why."""
    found = {}
    for venue, tick in last_tick_ms.items():
        silent = None if tick is None else (now_ms - tick) / 1000
        if silent is None or silent > limit_s:
            long = (
                "never"
                if silent is None
                else f"for {silent / 60:,.0f} min"
                if silent >= 120
                else f"for {silent:.0f} s"
            )
            why = causes.get(venue) or "no reason known"
            at_work = f"the last connection: {why}" if recording else "no recorder is at work"
            found[f"feed {venue}"] = f"{venue}: no sign of life {long}; {at_work}"
    return found


def of_suspicions(suspicions: Iterable[Suspicion], venues: Collection[str]) -> dict[str, str]:
    """What is suspicious about the events of these venues, for the watch `suspicion`."""
    return {
        f"suspicion {one.venue} {one.kind}": f"{one.venue}: suspicious: {one.text}"
        for one in suspicions
        if one.venue in venues
    }


class Lag:
    """Whether a sink is behind: its cursor has not reached what the ledger held so long ago, by looks at both.

    By looks and not by the rows' own times: a replay brings old rows, and an idle hour leaves the last
    acknowledgement old, without anything being wrong.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._looks: deque[tuple[float, int]] = deque()  # (when, the highest seq then)

    def behind(self, seq: int, last_seq: int, now_s: float, *, told: bool) -> bool:
        """One more look, at a steady clock; what was told stays so until all that the look before saw is sent."""
        before = self._looks[-1][1] if self._looks else last_seq
        self._looks.append((now_s, last_seq))
        while len(self._looks) > 1 and self._looks[1][0] <= now_s - self._limit_s:
            self._looks.popleft()
        when, owed = self._looks[0]
        return seq < before if told else seq < owed and when <= now_s - self._limit_s


def of_sink(sink: str, state: SinkState, *, behind: bool, waiting: int, limit_s: float) -> dict[str, str]:
    """The troubles of a sink, for the watch `sink`: behind, or taking what can't be read there."""
    why = state.error or "no reason known; is `rekt run` at work?"
    if state.suspended:
        return {f"sink {sink}": f"{sink} takes rows and does not show them: {why}"}
    if behind:
        many = f"{waiting:,} row{'' if waiting == 1 else 's'}"
        return {f"sink {sink}": f"{sink} is behind for more than {limit_s:.0f} s, {many} to be sent: {why}"}
    return {}
