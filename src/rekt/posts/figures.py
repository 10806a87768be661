"""An hour's figures as templates name them. Pure.

Money and counts know how they are written without a format (`$12.4M`, `1,284`); with one they are plain numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from rekt.model import MICRO, HourSummary, Mean
from rekt.stats.basis import titles

_QUOTES: Final = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "BTC")
_SYMBOL: Final = 20  # characters of a coin's name that are told


class Count(int):
    """A count that writes itself as 1,284."""

    def __format__(self, spec: str) -> str:
        return format(int(self), spec or ",")


class Money(float):
    """Dollars that write themselves as $12.4M."""

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else short(float(self))


class Percent(float):
    """A share that writes itself as 79."""

    def __format__(self, spec: str) -> str:
        return format(float(self), spec or ".0f")


Value = str | int | float | None


def short(dollars: float) -> str:
    """Dollars in few characters.

    >>> short(12_400_000), short(412_300), short(87.4), short(999_960), short(0)
    ('$12.4M', '$412k', '$87', '$1.0M', '$0')
    """
    for size, unit, digits in ((1e9, "B", 1), (1e6, "M", 1), (1e3, "k", 0)):
        if round(dollars / size, digits) >= 1 or dollars >= size:
            return f"${dollars / size:,.{digits}f}{unit}"
    return f"${dollars:,.0f}"


def coin(symbol: str) -> str:
    """A symbol as people call it; nothing in it can become an address, a mention or a cashtag.

    >>> coin("ETHUSDT"), coin("BTCUSD_PERP"), coin("1000PEPEUSDT"), coin("a.b/@c")
    ('ETH', 'BTC', '1000PEPE', 'abc')
    """
    name = "".join(c for c in symbol if c.isalnum() or c in "_-")
    name = re.sub(r"_(PERP|\d{6})$", "", name)
    for quote in _QUOTES:
        if name.endswith(quote) and len(name) > len(quote):
            name = name.removesuffix(quote)
            break
    return name.strip("_-")[:_SYMBOL]


def label(start_ms: int) -> str:
    """An hour as every post says it: `2026-07-16 12:00 UTC`."""
    return f"{datetime.fromtimestamp(start_ms // 1000, UTC):%Y-%m-%d %H:%M} UTC"


def against(total: int, mean: Mean | None, of: str) -> str | None:
    """A total against a mean in words; None where there is nothing to compare with."""
    if mean is None or mean.total <= 0:
        return None
    ratio = total / mean.total
    what = of or f"the mean of {mean.hours} h"
    if ratio >= 2:
        return f"{ratio:,.0f} times {what}" if ratio >= 9.5 else f"{ratio:.1f} times {what}"
    percent = round((ratio - 1) * 100)
    if percent == 0:
        return f"as much as {what}"
    return f"{abs(percent)} % {'above' if percent > 0 else 'below'} {what}"


def minutes(summary: HourSummary) -> int:
    """How many minutes of the window the figures cover; not all unless all."""
    whole = (summary.window.end - summary.window.start) // 60_000
    return whole if summary.coverage >= 1 else min(whole - 1, int(summary.coverage * whole))


def figures(
    summary: HourSummary, month: Mean | None = None, venues: Sequence[str] = ()
) -> Mapping[str, Value]:
    """Every named field of an hour, the positional ones under 0, 1 and 2; None: the hour has no such thing.

    `venues`: those that the hour is of, where it does not tell them itself.
    """
    largest, total = summary.largest, summary.total
    top = [coin(symbol) for symbol, tally in summary.by_symbol[:3] if tally.total > 0]
    share = 100 * summary.long.total / total if total > 0 else None
    dollars, most = total / MICRO, (largest.notional if largest else 0) / MICRO
    count = summary.count
    return {
        "0": count,
        "1": dollars,
        "2": most,
        "count": Count(count),
        "liquidations": f"{count:,} liquidations"
        if count > 1
        else ("no liquidations", "1 liquidation")[count],
        "total": Money(dollars),
        "largest": Money(most) if largest else None,
        "largest_symbol": (coin(largest.symbol) or None) if largest else None,
        "largest_side": largest.side if largest else None,
        "long_total": Money(summary.long.total / MICRO),
        "short_total": Money(summary.short.total / MICRO),
        "long_share": None if share is None else Percent(share),
        "short_share": None if share is None else Percent(100 - share),
        "top_symbols": ", ".join(name for name in top if name) or None,
        "vs_hour": against(total, summary.hour_before, "the hour before"),
        "vs_day": against(total, summary.mean_24h, ""),
        "vs_week": against(total, summary.mean_7d, ""),
        "vs_month": against(total, month, ""),
        "venues": titles(venues or [one.venue for one in summary.by_venue]) or None,
        "hour": label(summary.window.start),
        "minutes": Count(minutes(summary)),
    }
