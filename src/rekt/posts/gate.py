"""Whether an hour deserves a post: only one that is final and was recorded well enough. Pure.

Both shares are meant for one venue and are held against each by itself. Below `skip_coverage` a venue is left out of
the post (see `subject`), and only where that would leave none is nothing posted. Between the two it stays in, and the
text says how many minutes its figures cover: those of the venue that has fewest.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from rekt.model import HourSummary
from rekt.publisher import Cause

MIN_COVERAGE: Final = 0.98
SKIP_COVERAGE: Final = 0.5


class Terms(NamedTuple):
    """The shares of an hour below which its text says so, or nothing is said."""

    min_coverage: float = MIN_COVERAGE
    skip_coverage: float = SKIP_COVERAGE


class Verdict(NamedTuple):
    """Post or not, why not, and whether the text has to say how much it covers."""

    would: Literal["post", "skip"]
    reason: str = ""
    cause: Cause = ""
    partial: bool = False


def gate(summary: HourSummary, terms: Terms = Terms()) -> Verdict:  # noqa: B008 - frozen
    """The verdict on an hour. Nothing recorded is never told as nothing happened, whatever the terms say."""
    partial = summary.coverage < terms.min_coverage
    if not summary.final:
        return Verdict("skip", "the hour is not final yet: events of it may still come", "", partial)
    if summary.coverage < terms.skip_coverage or summary.coverage <= 0:
        best = max([summary.coverage, *(one.coverage for one in summary.by_venue)])
        share = f"only {best * 100:.4g} %" if best > 0 else "nothing"
        at = f" at the best of {len(summary.by_venue)} venues" if len(summary.by_venue) > 1 else ""
        reason = f"{share} of the hour was recorded{at}, {terms.skip_coverage * 100:.4g} % are needed"
        return Verdict("skip", reason, "coverage", partial)
    return Verdict("post", "", "", partial)
