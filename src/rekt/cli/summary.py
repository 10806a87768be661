"""`rekt summary`: an hour's numbers, or a window's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common
from rekt.errors import UsageError
from rekt.fields import HOUR

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from rekt.model import HourSummary, Mean, Quality

TOP = 8  # symbols shown
GAPS = 5


def command(
    ctx: typer.Context,
    hour: _common.HourOption = None,
    last: _common.LastOption = None,
    start: _common.FromOption = None,
    end: _common.ToOption = None,
    each: Annotated[
        bool, typer.Option("--each", help="Every hour of the time by itself, one a line.")
    ] = False,
    venue: _common.VenueOption = None,
    store: _common.StoreOption = None,
    as_json: _common.Json = False,
) -> None:
    """Add up liquidations: the hour that ended last, or the hour or time that is named.

    By trade time, from begin up to but not including the end. Figures are a lower bound: most venues don't tell all.
    """
    now = _common.now_ms()
    asked = _common.asked(hour, last, start, end, now)
    windows = [asked.window]
    if each:
        windows = _common.hours(asked.window)
        if (start or end) and (asked.window.start % HOUR or (end and asked.window.end % HOUR)):
            raise UsageError(
                "with --each, --from and --to begin on the hour", hint="write them like 2026-07-16T12"
            )
    with _common.store(ctx, store, asked.window.start) as ledger:
        from rekt import app
        from rekt.stats.quality import quality

        only = _common.venue_of(venue, ledger)
        among, traits = None if only is None else [only], app.traits()
        found = (_common.summary(ledger, window, now, among) for window in windows)
        if as_json:
            from rekt.objects import hour_object, quality_object

            for one in found:
                how = quality(ledger, one.window, traits, among)
                _common.print_json({**hour_object(one), **quality_object(how)})
            return
        with _common.waiting("adding up"):
            summaries = list(found)
            well = quality(ledger, asked.window, traits, among) if not each else None
    if each:
        _rows(summaries)
    else:
        page(_common.console(), summaries[0], now, chosen=asked.chosen, how=well)


def _rows(found: list[HourSummary]) -> None:
    from rich.table import Table

    from rekt.log import clean

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("hour (UTC)", no_wrap=True)
    for column in ("count", "USD", "long", "short", "largest", "recorded"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for one in found:
        largest = f"{clean(one.largest.symbol)} {_common.usd(one.largest.notional)}" if one.largest else "–"
        table.add_row(
            _common.moment(one.window.start),
            f"{one.count:,}",
            _common.usd(one.total),
            _common.usd(one.long.total),
            _common.usd(one.short.total),
            largest,
            _common.percent(one.coverage),
            "" if one.final else "not final",
        )
    _common.console().print(table)


def page(console: Console, one: HourSummary, now: int, *, chosen: bool, how: Quality | None = None) -> None:
    """The whole summary for people: a sentence, the sides, the symbols, what it rests on."""
    from rich.table import Table
    from rich.text import Text

    from rekt.stats.basis import kinds, sentences

    window = one.window
    name = "hour" if one.hour is not None else "time"
    span = f"{_common.moment(window.start)} to {_common.moment(window.end)} UTC"
    state = "" if one.final else " · still running" if window.end > now else " · not final yet"
    console.print(Text(f"{span}{state}{'' if chosen else ' · the hour that ended last'}", style="bold"))
    console.print(_headline(one))
    console.print()
    if one.count:
        width = 24
        sides = Table(box=None, pad_edge=False, show_header=False)
        for style in (None, None, None):
            sides.add_column(style=style, no_wrap=True)
        sides.add_column(justify="right", no_wrap=True)
        sides.add_column(justify="right", no_wrap=True)
        for label, tally, colour in (("long", one.long, _common.LONG), ("short", one.short, _common.SHORT)):
            share = tally.total / one.total if one.total else 0.0
            sides.add_row(
                label,
                Text(_common.bar(share, width), style=colour),
                _common.percent(share),
                f"{tally.count:,}",
                _common.usd(tally.total),
            )
        console.print(sides)
        console.print()
        console.print(_symbols(one, width))
        console.print()
    if len(one.by_venue) > 1:
        console.print(_venues(one))
        console.print()
    for line in _basis(one, name):
        console.print(line)
    if how is not None:
        for line in _quality(how):
            console.print(line)
    for words in sentences(kinds(one.by_venue)):
        console.print(Text(words, style="dim"))


def _headline(one: HourSummary) -> Text:
    from rich.text import Text

    from rekt.log import clean

    if not one.count:
        words = "No liquidation was recorded" + ("." if one.coverage > 0 else ": nothing was listening.")
        return Text(words, style="" if one.coverage > 0 else _common.WARN)
    noun = "liquidation" if one.count == 1 else "liquidations"
    text = Text.assemble((f"{one.count:,} {noun} took at least {_common.usd(one.total)}.", "bold"))
    if one.largest:
        whose = f" ({clean(one.largest.venue)})" if len(one.by_venue) > 1 else ""
        text.append(
            f" The largest: {clean(one.largest.symbol)}{whose} {one.largest.side} {_common.usd(one.largest.notional)}"
            f" at {_common.moment(one.largest.trade_time)[0 if one.hour is None else 11 :]}."
        )
    return text


def _symbols(one: HourSummary, width: int) -> object:
    from rich.table import Table
    from rich.text import Text

    from rekt.log import clean

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("symbol", no_wrap=True)
    table.add_column("")
    table.add_column("count", justify="right")
    table.add_column("USD", justify="right", no_wrap=True)
    most = max((tally.total for _, tally in one.by_symbol), default=0) or 1
    for symbol, tally in one.by_symbol[:TOP]:
        bar = Text(_common.bar(tally.total / most, width))
        table.add_row(Text(clean(symbol)), bar, f"{tally.count:,}", _common.usd(tally.total))
    if rest := one.by_symbol[TOP:]:
        total, count = sum(tally.total for _, tally in rest), sum(tally.count for _, tally in rest)
        table.add_row(Text(f"{len(rest):,} others", style="dim"), "", f"{count:,}", _common.usd(total))
    return table


def _venues(one: HourSummary) -> object:
    """Each venue's part, and what it rests on."""
    from rich.table import Table
    from rich.text import Text

    from rekt.log import clean
    from rekt.stats.basis import priced, told

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("venue", no_wrap=True)
    for column in ("count", "USD", "recorded"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    table.add_column("tells", style="dim")
    table.add_column("at", style="dim")
    for part in one.by_venue:
        table.add_row(
            Text(clean(part.venue)),
            f"{part.count:,}",
            _common.usd(part.total),
            Text(_common.percent(part.coverage), style="" if part.coverage >= 0.98 else _common.WARN),
            "" if part.final else "not final",
            told(part.sampling),
            priced(part.price_kind),
        )
    return table


def _basis(one: HourSummary, name: str) -> list[Text]:
    """What the figures rest on: recorded share, gaps, comparison, what is unknown."""
    from rich.text import Text

    from rekt.log import clean

    style = "" if one.coverage >= 0.98 else _common.WARN
    at = " at the venue that has least of it" if len(one.by_venue) > 1 and one.coverage < 1 else ""
    lines = [Text(f"{_common.percent(one.coverage)} of this {name} was recorded{at}.", style=style)]
    for gap in one.gaps[:GAPS]:
        when = f"{_common.moment(gap.start)} for {_common.length(gap.end - gap.start)}"
        lines.append(Text(f"  gap: {when}, {clean(gap.venue)}: {clean(gap.cause)}", style=style))
    if len(one.gaps) > GAPS:
        lines.append(Text(f"  and {len(one.gaps) - GAPS:,} more gaps", style=style))
    if one.unknown_count:
        lines.append(Text(f"{one.unknown_count:,} of unknown value are counted, and not in the sum."))
    known = [
        f"{label} {_common.usd(mean.total)} ({mean.count:,.0f})" + _rests(mean)
        for label, mean in (
            ("hour before", one.hour_before),
            ("mean of 24 h", one.mean_24h),
            ("of 7 days", one.mean_7d),
        )
        if mean is not None
    ]
    if known:
        lines.append(Text("Compared: " + ", ".join(known)))
    return lines


def _quality(how: Quality) -> list[Text]:
    """How well it was recorded: lag, losses, symbols at the venue's limit, changes after it was final."""
    from rich.text import Text

    from rekt.log import clean

    lines = []
    if how.lag:
        lines.append(
            Text(f"Received {how.lag.p50 / 1000:.2f} s after it was sent (p99 {how.lag.p99 / 1000:.2f} s).")
        )
    told, lost = sum(loss.told for loss in how.losses), sum(loss.lost for loss in how.losses)
    if told:
        missed = f"; both missed about {how.missed_by_all:.1f}" if how.missed_by_all else ""
        lines.append(
            Text(f"One connection alone lost {lost / (told + lost):.2%} of what another told{missed}.")
        )
    if how.saturated:
        some = ", ".join(clean(one.symbol) for one in how.saturated[:3])
        plural = "symbols were" if len(how.saturated) > 1 else "symbol was"
        lines.append(Text(f"{len(how.saturated):,} {plural} at the venue's limit of one a second: {some}."))
    for revision in how.revisions[-3:]:
        change = f"{revision.count_before:,} to {revision.count_after:,} liquidations"
        if revision.count_before == revision.count_after:
            change = f"its sum by {_common.usd(revision.total_after - revision.total_before)}"
        lines.append(
            Text(
                f"Changed after it was final ({clean(revision.reason)}): {change}.",
                style=_common.WARN,
            )
        )
    return lines


def _rests(mean: Mean) -> str:
    return f" from {mean.hours} hours" if mean.hours > 1 else ""
