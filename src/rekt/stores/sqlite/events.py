# ruff: noqa: S608 - what is put together are constants; every value is bound
"""The events in pages, from either end: keyset by (trade time, uid), so that arriving rows shift nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from rekt.model import MICRO, Feed, Liquidation, Side, Window

PAGE: Final = 5_000  # rows of one read
WALK: Final = 20_000  # rows a filter looks at in one read
READS: Final = 10  # of one page at most: a rare match then ends the page early
END: Final = (1 << 62, b"")
EVENT: Final = (
    "f.venue, f.market, f.price_kind, f.sampling, l.trade_time, l.uid, l.symbol, l.order_side, l.status, l.price,"
    " l.average_price, l.quantity, l.filled_quantity, l.notional, l.basis, l.event_time, l.received_us"
)  # what `event_of` takes
FROM: Final = "FROM liquidation l JOIN feed f ON f.id = l.feed"

Rows = Callable[..., list[Any]]  # a statement and its values → what it finds
Place = tuple[int, bytes]  # trade time, uid


def event_of(row: tuple[Any, ...]) -> Liquidation:
    """The event of a row."""
    return Liquidation(Feed(*row[:4]), *row[4:])


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


def oldest(
    rows: Rows, window: Window | None, wanted: tuple[str, Sequence[object]] | None
) -> Iterator[Liquidation]:
    """Events of a window (None: all) by (trade time, uid), in pages that are a read each."""
    if wanted is None:
        return
    low, end = (window.start, window.end) if window else (-(1 << 62), 1 << 62)
    last = (low, b"")
    condition, values = wanted
    walk = WALK if condition else PAGE
    sql = (
        f"SELECT {EVENT} FROM liquidation l CROSS JOIN feed f ON f.id = l.feed"
        " WHERE (l.trade_time, l.uid) > (?, ?) AND (l.trade_time, l.uid) <= (?, ?)"
        f"{condition} ORDER BY l.trade_time, l.uid"
    )
    while True:
        # Where the page ends is found in the index alone, so that a rare match doesn't make the read long.
        stop = rows(
            "SELECT trade_time, uid FROM liquidation WHERE (trade_time, uid) > (?, ?) AND trade_time < ?"
            " ORDER BY trade_time, uid LIMIT 1 OFFSET ?",
            *last, end, walk - 1,
        )  # fmt: skip
        until = stop[0] if stop else (end - 1, b"\xff" * 17)
        yield from map(event_of, rows(sql, *last, *until, *values))
        if not stop:
            return
        last = until


def newest(
    rows: Rows,
    window: Window | None,
    before: Place | None,
    limit: int,
    wanted: tuple[str, Sequence[object]] | None,
) -> tuple[list[Liquidation], Place | None]:
    """Events of a window older than a place, newest first, and the place to go on from (None: that was all).

    At most `limit` rows and READS reads: a page can hold fewer, even none, and still not be the last.
    """
    if wanted is None:
        return [], None
    condition, values = wanted
    low = (window.start, b"") if window else (-(1 << 62), b"")
    last = min(before or END, (window.end, b"") if window else END)
    sql = (
        f"SELECT {EVENT} FROM liquidation l CROSS JOIN feed f ON f.id = l.feed"
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
            return list(map(event_of, found[:limit])), (found[limit - 1][4], found[limit - 1][5])
        if until == low:
            return list(map(event_of, found)), None
        last = until
    return list(map(event_of, found)), last
