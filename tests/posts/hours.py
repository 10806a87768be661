"""Made-up hours, and the day before them, for tests of words and pictures."""

from __future__ import annotations

import random

from rekt.fields import HOUR
from rekt.model import Bucket, Gap, HourSummary, Largest, Mean, Tally, VenueTally, Window
from rekt.posts.chart import Chart, chart

NOON = 1_784_203_200_000  # 2026-07-16T12:00Z
COINS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "1000PEPEUSDT", "币安人生USDT", "DOGEUSDT")


def hour(
    count: int = 1284,
    total: int = 12_400_000_500_000,
    largest: int | None = 412_000_250_000,
    *,
    start: int = NOON,
    coverage: float = 1.0,
    final: bool = True,
    symbol: str = "ETHUSDT",
    long_share: float = 1.0,
    mean: Mean | None = None,
    symbols: tuple[str, ...] = (),
) -> HourSummary:
    """An hour with these numbers."""
    best = None if largest is None else Largest(symbol, "long", largest, "1", "1", start, "binance")
    longs = round(total * long_share)
    names = symbols or (symbol,)
    return HourSummary(
        window=Window(start, start + HOUR),
        hour=start,
        count=count,
        unknown_count=0,
        total=total,
        largest=best,
        long=Tally(round(count * long_share), longs),
        short=Tally(count - round(count * long_share), total - longs),
        by_symbol=[(name, Tally(count, total // 2 ** (n + 1))) for n, name in enumerate(names)],
        by_venue=[
            VenueTally("binance", count, total, coverage, final, "largest_per_symbol_second", "average_fill")
        ],
        coverage=coverage,
        gaps=[],
        final=final,
        hour_before=mean,
        mean_24h=mean,
        mean_7d=mean,
    )


def day(kind: str, seed: int = 3) -> Chart:
    """What the picture of an hour shows: `empty`, `normal`, `crash` or `gap`."""
    dice = random.Random(seed)
    buckets: dict[int, list[Bucket]] = {}
    gaps: list[Gap] = []
    for start in range(NOON - 23 * HOUR, NOON, HOUR):
        long, short = (int(dice.lognormvariate(14.6, 0.7) * 1e6) for _ in range(2))
        buckets[start] = [
            Bucket(start, "binance", "", "long", 9, 0, long),
            Bucket(start, "binance", "", "short", 9, 0, short),
        ]
    summary = hour(long_share=0.79, symbols=COINS)
    if kind == "empty":
        summary, buckets = hour(0, 0, None, symbols=()), {}
        summary = summary._replace(by_symbol=[])
    elif kind == "crash":
        summary = hour(48_211, 912_400_000 * 10**6, 11_300_000 * 10**6, long_share=0.93, symbols=COINS)
    elif kind == "gap":
        gaps = [
            Gap(NOON - 9 * HOUR, NOON - 6 * HOUR - 600_000, "process down", "binance"),
            Gap(NOON + 1_200_000, NOON + 2_400_000, "cut", "binance"),
            Gap(NOON - 15 * HOUR, NOON - 15 * HOUR + 9_000, "renewed", "binance"),
        ]
        for start in range(NOON - 9 * HOUR, NOON - 6 * HOUR, HOUR):
            buckets.pop(start, None)
        summary = summary._replace(coverage=0.667, gaps=gaps[1:2])
    buckets[NOON] = [
        Bucket(NOON, "binance", "", "long", 1, 0, summary.long.total),
        Bucket(NOON, "binance", "", "short", 1, 0, summary.short.total),
    ]
    return chart(summary, buckets, gaps)
