"""Roll-ups of a batch: rows in, the changes to the buckets out. Pure.

A row is `(feed id, *Liquidation[1:])`, as it is bound to the insert.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final, NamedTuple

from rekt.fields import HOUR
from rekt.model import COUNTING_STATUS, MICRO

MINUTE: Final = 60_000
SCOPES: Final = {"minute": 0, "hour": 1, "hour_symbol": 2}

Row = tuple[Any, ...]
Key = tuple[int, int, int, str, str]  # scope, start, feed, symbol ("" = all), order side
Sums = tuple[int, int, int, int]  # count, of these unknown, dollars and micro-dollars of the sum
Best = tuple[int, int, bytes, int, int, str]  # notional, trade time, uid; the hour's start, feed, order side

INSERT = """
    INSERT INTO bucket(count, unknown_count, dollars, micros, scope, start, feed, symbol, order_side)
    VALUES(?,?,?,?,?,?,?,?,?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count, unknown_count = unknown_count + excluded.unknown_count,
        dollars = dollars + excluded.dollars, micros = micros + excluded.micros"""
UPDATE_LARGEST = """
    UPDATE bucket SET largest = ?1, largest_time = ?2, largest_uid = ?3
    WHERE scope = 1 AND start = ?4 AND feed = ?5 AND symbol = '' AND order_side = ?6
        AND (largest IS NULL OR largest < ?1 OR largest = ?1 AND (largest_time, largest_uid) > (?2, ?3))"""


class Changes(NamedTuple):
    """What rows add to the buckets."""

    sums: dict[Key, Sums]
    largest: list[Best]  # of each hour, feed and side that they touch


def fold(rows: list[Row]) -> Changes:
    """What new rows add. Exact: sums are Python's integers until they are split in two columns."""
    minutes: defaultdict[tuple[int, int, str], list[Row]] = defaultdict(list)
    for row in rows:
        status = row[5]
        if status == COUNTING_STATUS or status is None:
            minutes[(row[1] // MINUTE, row[0], row[4])].append(row)
    hours: defaultdict[tuple[int, int, str], list[Row]] = defaultdict(list)
    sums: dict[Key, Sums] = {}
    for (minute, feed, side), group in minutes.items():
        sums[(0, minute * MINUTE, feed, "", side)] = _add([row[10] for row in group])
        hours[(minute // 60 * HOUR, feed, side)] += group
    best: list[Best] = []
    for (start, feed, side), group in hours.items():
        sums[(1, start, feed, "", side)] = hour = _add([row[10] for row in group])
        if hour[1] < hour[0]:
            most = max([row[10] for row in group if row[10] is not None])
            time, uid = min([(row[1], row[2]) for row in group if row[10] == most])
            best.append((most, time, uid, start, feed, side))
        symbols: defaultdict[str, list[int | None]] = defaultdict(list)
        for row in group:
            symbols[row[3]].append(row[10])
        for symbol, notionals in symbols.items():
            sums[(2, start, feed, symbol, side)] = _add(notionals)
    return Changes(sums, best)


def settle(row: Row) -> Changes:
    """What a row whose notional was unknown until now changes: counted already, it becomes known."""
    sums, best = fold([row])
    return Changes({key: (0, -1, dollars, micros) for key, (_, _, dollars, micros) in sums.items()}, best)


def _add(notionals: list[Any]) -> Sums:
    try:
        total = sum(notionals)
    except TypeError:  # some are unknown
        known = [notional for notional in notionals if notional is not None]
        total = sum(known)
        return len(notionals), len(notionals) - len(known), total // MICRO, total % MICRO
    return len(notionals), 0, total // MICRO, total % MICRO
