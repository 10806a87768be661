# ruff: noqa: S608 - what is put together are constants; every value is bound
"""Pages of the events from the newest on: keyset by (trade time, uid), so that arriving rows shift nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from rekt.model import MICRO, Side, Window

WALK: Final = 20_000  # rows a filter looks at in one read
READS: Final = 10  # of one page at most: a rare match then ends the page early
END: Final = (1 << 62, b"")
Place = tuple[int, bytes]  # trade time, uid


def filters(
    venue: str | None, symbol: str | None, side: Side | None, min_usd: Decimal | int | None
) -> tuple[str, list[object]] | None:
    """The conditions of a listing and their values; None where nothing can fit."""
    wanted, values = "", []
    order_side = None if side is None else "SELL" if side == "long" else "BUY"
    for column, value in (("f.venue", venue), ("l.symbol", symbol), ("l.order_side", order_side)):
        if value is not None:
            wanted += f" AND {column} = ?"
            values.append(value)
    if min_usd is not None:
        least = int((Decimal(min_usd) * MICRO).to_integral_value(ROUND_CEILING))
        if least >= 1 << 63:
            return None
        wanted += f" AND l.notional >= {least}"
    return wanted, [*values]


def page(
    rows: Callable[..., list[Any]],
    columns: str,
    window: Window | None,
    before: Place | None,
    limit: int,
    wanted: tuple[str, Sequence[object]] | None,
) -> tuple[list[Any], Place | None]:
    """Rows of a window older than a place, newest first, and the place to go on from (None: that was all).

    At most `limit` rows and READS reads: a page can hold fewer rows, even none, and still not be the last.
    """
    if wanted is None:
        return [], None
    condition, values = wanted
    low = (window.start, b"") if window else (-(1 << 62), b"")
    last = min(before or END, (window.end, b"") if window else END)
    sql = (
        f"SELECT {columns} FROM liquidation l CROSS JOIN feed f ON f.id = l.feed"
        " WHERE (l.trade_time, l.uid) >= (?, ?) AND (l.trade_time, l.uid) < (?, ?)"
        f"{condition} ORDER BY l.trade_time DESC, l.uid DESC LIMIT ?"
    )
    found: list[Any] = []
    for _ in range(READS if condition else 1):
        until = low
        if condition:  # where the read ends is found in the index alone
            stop = rows(
                "SELECT trade_time, uid FROM liquidation WHERE (trade_time, uid) >= (?, ?)"
                " AND (trade_time, uid) < (?, ?) ORDER BY trade_time DESC, uid DESC LIMIT 1 OFFSET ?",
                *low, *last, WALK - 1,
            )  # fmt: skip
            until = stop[0] if stop else low
        found += rows(sql, *until, *last, *values, limit + 1 - len(found))
        if len(found) > limit:
            return found[:limit], (found[limit - 1][4], found[limit - 1][5])
        if until == low:
            return found, None
        last = until
    return found, last
