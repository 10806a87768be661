r"""The hour's post: which template, its words, and whether it goes out. Pure.

The template is one of the hour's mood where the file has such, else one for all; which of them depends on the hour,
one after the other, and never the one that was used last where there is another. One whose text a service would not
take, or that names what the hour has not, is passed over. Every text carries its UTC date and hour: they are appended
where they are absent, and so are how many minutes the figures cover where that is too few, and the venues left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from rekt.fields import HOUR
from rekt.model import HourSummary
from rekt.posts.figures import Value, figures, label, minutes
from rekt.posts.gate import Terms, gate
from rekt.posts.length import LIMIT, weighted_length
from rekt.posts.mood import History, moods
from rekt.posts.template import Template, fields, parse
from rekt.posts.template import templates as _templates
from rekt.publisher import Cause

BUILT_IN = (
    r"Liquidations in the last hour: {}. Burned: ${:,.0f}. The largest single one: ${:,.0f} \U0001F525",
    r"Forced exits this hour: {}. Gone: ${:,.0f}, ${:,.0f} of it in a single order \U0001F4A5",
    r"${1:,.0f} of leveraged positions closed by force within an hour, ${2:,.0f} of it in one go. Liquidations: {0} \U0001F4C9",
    r"Margin calls answered by the exchange: {}. Bill for the hour: ${:,.0f}. Most expensive position: ${:,.0f} \U0001F9FE",
    r"Another hour on {venues} futures. Liquidations: {}. Total: at least ${:,.0f}. Largest: ${:,.0f} \U0001F56F\uFE0F",
    r"The hour in three numbers \u2013 liquidations: {}, total: ${:,.0f}, largest: ${:,.0f} \U0001F340",
    r"Leverage cuts both ways: at least ${1:,.0f} liquidated in an hour, ${2:,.0f} of it from one position. Liquidations: {0} \u2694\uFE0F",
    r"Liquidations seen: {}. Money burned: ${:,.0f}. Saddest position: ${:,.0f} \U0001F4B8",
    r"{liquidations}, {total} in all, {long_share} % of it longs. The largest: {largest_symbol}, a {largest_side} of {largest} \U0001F525",
    r"{total} liquidated within the hour, {vs_day}. Most of it in {top_symbols}. The largest: {largest} ({largest_symbol} {largest_side}) \U0001F4CA",
    "[empty]",
    r"Not one liquidation in this hour. Even the margin desk had a coffee \u2615",
    r"An hour without a single liquidation: nobody was closed out by force \U0001F54A\uFE0F",
    "[quiet]",
    r"A quiet hour: {liquidations}, {total} in all, {vs_month}. The largest: {largest} ({largest_symbol}) \U0001F319",
    r"Hardly a ripple: {total} liquidated, {vs_month}. Count: {count} \U0001F343",
    "[heavy]",
    r"A heavy hour: {liquidations} took {total}, {vs_month}. Longs {long_share} %, shorts {short_share} %. Worst hit: {top_symbols} \U0001F30A",
    r"{total} gone in an hour, {vs_month}. {largest} of it in one {largest_symbol} {largest_side}. Count: {count} \U0001F525\U0001F525",
    "[record]",
    r"The heaviest hour in 30 days: {liquidations}, {total} in all, {vs_month}. Largest: {largest} ({largest_symbol} {largest_side}) \U0001F6A8",
    "[whale]",
    r"One position made the hour: a {largest_symbol} {largest_side} of {largest}, out of {total} in {liquidations} \U0001F40B",
    "[longs]",
    r"Longs paid: {long_total} of {total} in {liquidations}. Worst hit: {top_symbols}. The largest: {largest} ({largest_symbol}) \U0001F402",
    "[shorts]",
    r"Shorts paid: {short_total} of {total} in {liquidations}. Worst hit: {top_symbols}. The largest: {largest} ({largest_symbol}) \U0001F43B",
)
"""The lines that `rekt init` writes and that hold where there is no file."""

LONGEST = 40  # characters of the venues that were left out
LAST_RESORT = "Liquidations in the last hour: {}. Total: ${:,.0f}. The largest: ${:,.0f}"


class Draft(NamedTuple):
    """A rendered post, and whether the hour deserves one."""

    hour: int  # ms
    text: str
    weighted_length: int
    would: Literal["post", "skip"]
    reason: str
    cause: Cause = ""
    template: str = ""


def templates(path: Path | None) -> list[Template]:
    """The templates of a file, or the built-in ones. Raises ConfigError, naming file and line, for a bad one."""
    return _templates(path, BUILT_IN)


def _fits_x(text: str) -> bool:
    return weighted_length(text) <= LIMIT


def compose(
    summary: HourSummary,
    choices: Sequence[Template],
    *,
    terms: Terms = Terms(),  # noqa: B008 - frozen
    history: History = History(),  # noqa: B008 - frozen
    last: str = "",
    fits: Callable[[str], bool] = _fits_x,
    venues: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Draft:
    """The post of an hour. Pure: the same arguments give the same text.

    `venues`: whose hour it is, where it does not tell by itself; `without`: those that were left out of it.
    """
    start, verdict = summary.window.start, gate(summary, terms)
    values = figures(summary, history.mean(), venues)
    for template in [
        *_ordered(choices, summary, history, last, partial=verdict.partial),
        *parse([LAST_RESORT], "built-in"),
    ]:
        text = render(template.text, values)
        if text is None:
            continue
        text = complete(text, summary, partial=verdict.partial, without=without)
        if fits(text):
            size = weighted_length(text)
            return Draft(start, text, size, verdict.would, verdict.reason, verdict.cause, template.text)
    raise AssertionError("the last resort fits any hour")  # pragma: no cover - its figures are bounded


def render(text: str, values: Mapping[str, Value]) -> str | None:
    """A template with an hour's figures; None when it names what the hour has not."""
    parts = []
    for words, field, spec in fields(text):
        parts.append(words)
        if field is not None:
            value = values[field]
            if value is None:
                return None
            parts.append(format(value, spec))
    return "".join(parts).strip()


def complete(text: str, summary: HourSummary, *, partial: bool, without: Sequence[str] = ()) -> str:
    """The text with what every one must say: its hour, and how little it rests on."""
    hour = label(summary.window.start)
    if partial:
        whole = (summary.window.end - summary.window.start) // 60_000
        least = "at least " if len(summary.by_venue) > 1 else ""  # another venue's may cover more
        text = f"{text} · figures cover {least}{minutes(summary)} of {whole} minutes"
    if without:
        text = f"{text} · without {left_out(without)}"
    if hour not in text:
        text = f"{text} · {hour}"
    return text


def left_out(venues: Sequence[str]) -> str:
    """Those left out, by name as the configuration spells them; where that is long, how many they are."""
    names = ", ".join("".join(c for c in venue if c.isalnum() or c in "_-") for venue in venues)
    return names if weighted_length(names) <= LONGEST else f"{len(venues)} venues"


def _ordered(
    choices: Sequence[Template], summary: HourSummary, history: History, last: str, *, partial: bool
) -> list[Template]:
    """The templates to try: those of the hour's moods first, each in turn by the hour, the last one used at the end."""
    turn = summary.window.start // HOUR
    groups = [
        [one for one in choices if one.mood == mood]
        for mood in [*moods(summary, history, partial=partial), "", "normal"]
    ]
    found: list[Template] = []
    for group in groups:
        fresh = [one for one in group if one.text != last and one not in found]
        found += [fresh[(turn + step) % len(fresh)] for step in range(len(fresh))]
    return found + [one for one in choices if one.text == last and one.mood in ("", "normal")]
