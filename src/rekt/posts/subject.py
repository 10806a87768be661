"""What a post is about: an hour, of the venues that were recorded well enough. The rest is left out, and named.

Each venue is held by itself against the share below which nothing is posted: one that was mostly missed is left out
of numbers, picture, mood and comparisons, so that it neither holds the post up nor falsifies it. Where none is good
enough all of them stay in, and the gate says no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rekt.fields import DAY
from rekt.model import HourSummary, Window
from rekt.posts.chart import Chart, chart
from rekt.posts.gate import Terms
from rekt.posts.mood import History
from rekt.stats.coverage import Traits
from rekt.stats.history import by_hour, totals
from rekt.stats.summary import recorded, summarise
from rekt.store import Facts


class Subject(NamedTuple):
    """An hour as a post tells it."""

    summary: HourSummary  # of `venues` alone
    venues: Sequence[str]
    without: Sequence[str] = ()  # left out

    @property
    def among(self) -> Sequence[str] | None:
        """The venues that questions are to be confined to; None where all are in."""
        return self.venues if self.without else None


def subject(
    facts: Facts, window: Window, now_ms: int, *, traits: Mapping[str, Traits], terms: Terms
) -> Subject:
    """The hour as a post would tell it now. It is final when it is for the venues that it contains."""
    whole = summarise(facts, window, now_ms, traits=traits)
    kept, without = divided(whole, terms)
    if not without:
        return Subject(whole, recorded(facts, window))
    return Subject(summarise(facts, window, now_ms, traits=traits, venues=kept), kept, without)


def divided(whole: HourSummary, terms: Terms) -> tuple[list[str], list[str]]:
    """The venues of an hour that its post contains, and those that it leaves out, by name."""
    kept = [one.venue for one in whole.by_venue if 0 < one.coverage >= terms.skip_coverage]
    without = [one.venue for one in whole.by_venue if one.venue not in kept]
    return (sorted(kept), sorted(without)) if kept else (sorted(without), [])


def history(facts: Facts, about: Subject) -> History:
    """The hours of the 30 days before, of the same venues."""
    return History(list(totals(facts, about.summary.window.start, venues=about.venues).values()))


def day(facts: Facts, about: Subject, now_ms: int, *, traits: Mapping[str, Traits]) -> Chart:
    """What the picture shows: the 24 hours that end with this one, of the same venues."""
    end = about.summary.window.end
    window = Window(end - DAY, end)
    missed = summarise(facts, window, now_ms, traits=traits, venues=about.among).gaps
    return chart(about.summary, by_hour(facts, window, about.among), missed, about.venues)
