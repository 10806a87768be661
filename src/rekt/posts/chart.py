"""The picture that goes with the hour's post: the last 24 hours, and the hour itself large.

matplotlib's object API, no pyplot: nothing global, and safe in any thread. Colours are those of DESIGN, told apart by
everyone; position says the same again: longs up, shorts down. A gap is shaded and never drawn as zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from rekt.fields import DAY, HOUR
from rekt.model import MICRO, Bucket, Gap, HourSummary
from rekt.posts.figures import coin, label, short
from rekt.stats.basis import titles
from rekt.stats.coverage import joined

WIDTH, HEIGHT, DPI = 1200, 675, 100
TOP: Final = 5
LEFT: Final = 0.725  # where the symbols begin


class Bar(NamedTuple):
    """One hour: dollars of longs and shorts."""

    start: int
    long: float
    short: float


class Chart(NamedTuple):
    """All that the picture shows."""

    summary: HourSummary
    bars: list[Bar]  # 24, oldest first; the last is the hour itself
    gaps: list[tuple[int, int]]  # ms, of the 24 hours: where any of the venues was not recorded
    venues: Sequence[str] = ()  # all that it is of


class Theme(NamedTuple):
    """Colours."""

    ground: str
    panel: str
    text: str
    quiet: str
    long: str
    short: str
    warn: str


THEMES: Final = {
    "dark": Theme("#0e1116", "#161b22", "#e6edf3", "#9aa7b4", "#E69F00", "#56B4E9", "#D55E00"),
    "light": Theme("#ffffff", "#f1f4f8", "#10151c", "#57606a", "#B87800", "#1F7FBF", "#B84A00"),
}


def chart(
    summary: HourSummary,
    buckets: Mapping[int, Sequence[Bucket]],
    gaps: Sequence[Gap],
    venues: Sequence[str] = (),
) -> Chart:
    """What there is to draw, from the roll-ups of the 24 hours that end with this one.

    `venues`: whose they are, where the hour does not tell by itself.
    """
    bars = []
    for start in range(summary.window.end - DAY, summary.window.end, HOUR):
        sums = {"long": 0, "short": 0}
        for bucket in buckets.get(start, ()):
            sums[bucket.side] += bucket.total
        bars.append(Bar(start, sums["long"] / MICRO, sums["short"] / MICRO))
    names = venues or [one.venue for one in summary.by_venue]
    return Chart(summary, bars, joined((gap.start, gap.end) for gap in gaps), names)


def alt_text(data: Chart) -> str:
    """The picture in words, within 1,000 characters."""
    s = data.summary
    day = sum(bar.long + bar.short for bar in data.bars)
    words = f"Bar chart of liquidations over 24 hours, longs above the line and shorts below, {short(day)} in all."
    if s.count:
        words += (
            f" In the hour from {label(s.window.start)}: {s.count:,}, {short(s.total / MICRO)};"
            f" longs {short(s.long.total / MICRO)}, shorts {short(s.short.total / MICRO)}."
        )
    else:
        words += f" In the hour from {label(s.window.start)}: none."
    if s.largest:
        words += (
            f" The largest: {coin(s.largest.symbol)} {s.largest.side}, {short(s.largest.notional / MICRO)}."
        )
    missed = sum(end - start for start, end in data.gaps)
    if missed >= 60_000:
        where = ", of one venue at least," if len(data.venues) > 1 else ""
        words += f" {missed // 60_000:,} minutes of the day were not recorded{where} and are shaded."
    return words[:1000]


def draw(data: Chart, theme: str = "dark") -> bytes:
    """The picture as a PNG of 1200 × 675."""
    from io import BytesIO  # noqa: PLC0415

    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - not needed for the words
    from matplotlib.figure import Figure  # noqa: PLC0415

    look = THEMES.get(theme, THEMES["dark"])
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=look.ground)
    FigureCanvasAgg(figure)
    _headline(figure, data, look)
    _bars(figure, data, look)
    _symbols(figure, data, look)
    _foot(figure, data, look)
    stream = BytesIO()
    figure.savefig(stream, format="png", facecolor=look.ground, metadata={"Software": "rekt"})
    return stream.getvalue()


def _headline(figure: Any, data: Chart, look: Theme) -> None:
    s = data.summary
    money = _written(short(s.total / MICRO)) if s.count else ("none" if s.coverage >= 1 else "none seen")
    figure.text(0.045, 0.85, money, size=64, weight="bold", color=look.text, va="center")
    count = (
        f"{s.count:,} liquidation{'' if s.count == 1 else 's'}" if s.count else "no liquidation in this hour"
    )
    figure.text(
        0.047, 0.715, f"{count} · hour from {label(s.window.start)}", size=19, color=look.quiet, va="center"
    )
    if s.total > 0:
        share = s.long.total / s.total
        _split(figure, share, look, s)
    elif s.coverage < 1:
        figure.text(
            0.955, 0.85, f"{s.coverage:.0%} recorded", size=24, color=look.warn, ha="right", va="center"
        )


def _split(figure: Any, share: float, look: Theme, s: HourSummary) -> None:
    """Longs against shorts: a bar of two colours with its words."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    left, width, y, height = 0.54, 0.415, 0.865, 0.035
    for at, part, colour in (
        (left, share * width, look.long),
        (left + share * width, (1 - share) * width, look.short),
    ):
        figure.add_artist(Rectangle((at, y), part, height, transform=figure.transFigure, color=colour, lw=0))
    figure.text(
        left,
        y - 0.03,
        f"longs {_written(short(s.long.total / MICRO))}",
        size=19,
        color=look.long,
        va="top",
        weight="bold",
    )
    figure.text(
        left + width, y - 0.03, f"shorts {_written(short(s.short.total / MICRO))}", size=19, color=look.short, va="top",
        ha="right", weight="bold",
    )  # fmt: skip
    if s.largest:
        words = f"largest: {_shown(coin(s.largest.symbol))} {s.largest.side} {_written(short(s.largest.notional / MICRO))}"
        figure.text(left, y + 0.088, words, size=19, color=look.text, va="center")


def _bars(figure: Any, data: Chart, look: Theme) -> None:
    axes = figure.add_axes((0.085, 0.135, 0.6, 0.52), facecolor=look.panel)
    first, end = data.bars[0].start, data.bars[-1].start + HOUR
    for index, bar in enumerate(data.bars):
        middle, now = (bar.start - first) / HOUR + 0.5, index == len(data.bars) - 1
        for height, colour in ((bar.long, look.long), (-bar.short, look.short)):
            axes.bar(
                middle, height, width=0.82, color=colour, alpha=1.0 if now else 0.62, linewidth=0, zorder=3
            )
    axes.axvspan(len(data.bars) - 1, len(data.bars), color=look.text, alpha=0.10, lw=0, zorder=1)
    least = DAY / (WIDTH * 0.6)  # what a pixel shows
    for start, stop in data.gaps:
        begun, over = max(start, first), min(max(stop, start + least), end)
        if over > begun:
            span = ((begun - first) / HOUR, (over - first) / HOUR)
            axes.axvspan(
                *span, facecolor="none", edgecolor=look.warn, hatch="///", alpha=0.55, lw=0, zorder=2
            )
    axes.axhline(0, color=look.quiet, lw=1, zorder=4)
    axes.set_xlim(0, len(data.bars))
    most = max([max(bar.long, bar.short) for bar in data.bars] + [0])
    if most > 0:
        high, low = max(bar.long for bar in data.bars), max(bar.short for bar in data.bars)
        axes.set_ylim(-max(low, most * 0.12) * 1.12, max(high, most * 0.12) * 1.12)
    else:
        axes.set_ylim(-1, 1)
        words = "no liquidation in 24 hours" if not data.gaps else "nothing recorded"
        axes.text(0.5, 0.62, words, transform=axes.transAxes, ha="center", size=20, color=look.quiet)
    axes.yaxis.set_major_locator(_ticks())
    axes.yaxis.set_major_formatter(
        lambda value, _: _written(short(abs(value)).replace(".0", "")) if value else "0"
    )
    if most <= 0:
        axes.set_yticks([])
    hours = [hour for hour in range(first, end + 1, HOUR) if hour // HOUR % 6 == 0]
    axes.set_xticks([(hour - first) / HOUR for hour in hours], [label(hour)[11:16] for hour in hours])
    axes.tick_params(colors=look.quiet, labelsize=16, length=0, pad=6)
    axes.grid(axis="y", color=look.quiet, alpha=0.18, lw=1)
    for side in axes.spines.values():
        side.set_visible(False)
    for y, words, colour in ((0.95, "longs liquidated", look.long), (0.05, "shorts liquidated", look.short)):
        axes.text(
            0.012,
            y,
            words,
            transform=axes.transAxes,
            size=15,
            color=colour,
            va="center",
            zorder=5,
            weight="bold",
        )
    if any(min(stop, end) > max(start, first) for start, stop in data.gaps):
        axes.text(
            0.5,
            0.95,
            "hatched: a venue not recorded" if len(data.venues) > 1 else "hatched: not recorded",
            transform=axes.transAxes,
            size=15,
            color=look.warn,
            va="center",
            zorder=5,
            bbox={"facecolor": look.panel, "edgecolor": "none", "pad": 2},
        )


def _ticks() -> Any:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    return MaxNLocator(4)


def _symbols(figure: Any, data: Chart, look: Theme) -> None:
    """The hour's largest symbols, as bars with their numbers."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    figure.text(LEFT, 0.625, "this hour", size=16, color=look.quiet, va="center")
    found = [(symbol, tally) for symbol, tally in data.summary.by_symbol[:TOP] if tally.total > 0]
    most = max((tally.total for _, tally in found), default=0)
    for place, (symbol, tally) in enumerate(found):
        y = 0.555 - place * 0.093
        width = (0.955 - LEFT) * tally.total / most
        figure.add_artist(
            Rectangle(
                (LEFT, y - 0.052),
                width,
                0.012,
                transform=figure.transFigure,
                color=look.quiet,
                alpha=0.7,
                lw=0,
            )
        )
        figure.text(LEFT, y, _shown(coin(symbol))[:9], size=19, color=look.text, va="center", weight="bold")
        figure.text(
            0.955, y, _written(short(tally.total / MICRO)), size=19, color=look.text, va="center", ha="right"
        )
    if not found:
        figure.text(LEFT, 0.555, "nothing", size=19, color=look.quiet, va="center")


def _foot(figure: Any, data: Chart, look: Theme) -> None:
    s = data.summary
    source = f"{_shown(titles(data.venues, 4))} futures, " if data.venues else ""
    words = f"Source: {source}forced orders as published: a lower bound. Times UTC."
    figure.text(0.045, 0.04, words, size=14, color=look.quiet, va="center")
    if s.coverage < 1:
        words = f"this hour {min(0.999, s.coverage):.1%} recorded"
        figure.text(
            0.955,
            0.04,
            words,
            size=14,
            color=look.warn if s.coverage < 0.98 else look.quiet,
            va="center",
            ha="right",
        )


def _written(text: str) -> str:
    """Words in which a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def _shown(text: str) -> str:
    """A name of which the font has every sign."""
    kept = "".join(c if ord(c) < 0x250 else "" for c in text)
    return _written(kept) if kept else "other"
