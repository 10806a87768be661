# ruff: noqa: S608 - what is put together are constants of this file
"""Proof that the roll-ups are what a recount of the events gives, and that the file is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rekt.fields import HOUR, iso_ms
from rekt.model import MICRO
from rekt.stores.sqlite.fold import MINUTE

if TYPE_CHECKING:
    import apsw

_COUNTS = "(status IS NULL OR status = 'FILLED')"
_NAMES = ("minute", "hour", "hour by symbol")
_SUMS = "count(*), count(*) - count(notional), coalesce(sum(notional / 1000000), 0), coalesce(sum(notional % 1000000), 0)"


def verify(connection: apsw.Connection) -> list[str]:
    """What is wrong, in sentences; nothing when all is right. Reads the whole ledger.

    Of sealed days the rows were pruned: there is nothing to recount but each hour's largest.
    """
    found = [f"the file is damaged: {row[0]}" for row in connection.execute("PRAGMA integrity_check(20)")]
    if found == ["the file is damaged: ok"]:
        found = []
    counted, kept, sealed = connection.execute(
        "SELECT (SELECT count(*) FROM liquidation), (SELECT coalesce(sum(events), 0) FROM run)"
        " - coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'pruned_rows'), 0),"
        " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'sealed_before'), -1 << 62)"
    ).fetchall()[0]
    if counted != kept:
        found.append(f"there are {counted} events, the runs say {kept}")
    for scope, length, symbol in ((0, MINUTE, "''"), (1, HOUR, "''"), (2, HOUR, "symbol")):
        start = f"trade_time - (trade_time % {length} + {length}) % {length}"
        recount = _sums(
            connection.execute(
                f"SELECT {start}, feed, {symbol}, order_side, {_SUMS} FROM liquidation WHERE {_COUNTS}"
                " AND trade_time >= ? GROUP BY 1, 2, 3, 4",
                (sealed,),
            )
        )
        rolled = _sums(
            connection.execute(
                "SELECT start, feed, symbol, order_side, count, unknown_count, dollars, micros FROM bucket"
                " WHERE scope = ? AND start >= ?",
                (scope, sealed),
            )
        )
        found += [
            f"{_NAMES[scope]} {iso_ms(key[0])} {key[1:]}: rolled up {rolled.get(key)}, recounted {recount.get(key)}"
            for key in sorted(recount.keys() | rolled.keys())
            if recount.get(key) != rolled.get(key)
        ]
    return found + _largest(connection)


def _sums(rows: Any) -> dict[tuple[int, int, str, str], tuple[int, int, int]]:
    return {
        (start, feed, symbol, side): (count, unknown, dollars * MICRO + micros)
        for start, feed, symbol, side, count, unknown, dollars, micros in rows
    }


def _largest(connection: apsw.Connection) -> list[str]:
    hour = f"trade_time - (trade_time % {HOUR} + {HOUR}) % {HOUR}"
    recount: Any = connection.execute(
        "SELECT hour, feed, order_side, notional, trade_time, uid FROM ("
        f"SELECT {hour} AS hour, feed, order_side, notional, trade_time, uid, row_number() OVER ("
        f"PARTITION BY {hour}, feed, order_side ORDER BY notional DESC, trade_time, uid) AS place"
        f" FROM liquidation WHERE notional IS NOT NULL AND {_COUNTS}) WHERE place = 1"
    )
    rolled: Any = connection.execute(
        "SELECT start, feed, order_side, largest, largest_time, largest_uid FROM bucket"
        " WHERE scope = 1 AND largest IS NOT NULL"
    )
    difference = {tuple(row) for row in recount} ^ {tuple(row) for row in rolled}
    return [
        f"the largest of the hour {iso_ms(row[0])}: {row[3]} is not in both" for row in sorted(difference)
    ]
