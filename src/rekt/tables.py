"""Liquidations and hours as Arrow tables, exact: what Parquet files and data frames are made from.

Prices and quantities stay the venue's own digits (text), dollars are decimals of six places, times carry UTC. The
columns are the keys of the documented objects, in their order. pyarrow comes with the group `data`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from rekt.fields import uid_text
from rekt.objects import hour_object

if TYPE_CHECKING:
    from rekt.model import HourSummary, Liquidation

NAMES: Final = (
    "uid", "venue", "market", "symbol", "side", "order_side", "status", "price", "average_price", "price_kind",
    "sampling", "quantity", "filled_quantity", "notional_usd", "trade_time", "event_time", "received_at",
)  # fmt: skip
DIGITS: Final = ("price", "average_price", "quantity", "filled_quantity")  # text of the venue's own digits
_TIMES: Final = {"trade_time": "ms", "event_time": "ms", "received_at": "us"}
Object = Mapping[str, Any]


def schema() -> Any:
    """The Arrow schema of liquidations."""
    import pyarrow as pa

    def kind(name: str) -> Any:
        if name in _TIMES:
            return pa.timestamp(_TIMES[name], tz="UTC")
        return pa.decimal128(38, 6) if name == "notional_usd" else pa.string()

    return pa.schema([(name, kind(name)) for name in NAMES])


def of_objects(items: Sequence[Object]) -> Any:
    """A table of objects *liquidation*."""
    import pyarrow as pa

    columns = {}
    for field in schema():
        values = [item[field.name] for item in items]
        if field.name in _TIMES:
            values = [None if value is None else _moment(value) for value in values]
        elif field.name == "notional_usd":
            values = [None if value is None else Decimal(value) for value in values]
        columns[field.name] = pa.array(values, field.type)
    return pa.table(columns, schema=schema())


def of_events(events: Iterable[Liquidation]) -> Any:
    """A table of liquidations; the same as of their objects, without the detour through text."""
    import pyarrow as pa

    found = list(events)
    columns: dict[str, Sequence[Any]] = {
        "uid": [uid_text(event.uid) for event in found],
        "side": [event.side for event in found],
        "notional_usd": [
            None if event.notional is None else Decimal(event.notional).scaleb(-6) for event in found
        ],
        "received_at": [event.received_us for event in found],
    }
    for name in ("venue", "market", "price_kind", "sampling"):
        columns[name] = [getattr(event.feed, name) for event in found]
    for name in set(NAMES) - columns.keys():
        columns[name] = [getattr(event, name) for event in found]
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema()})


def of_hours(found: Iterable[HourSummary]) -> Any:
    """A table of hours, one a row: counts, dollars, the largest, coverage, whether it is final."""
    return of_hour_objects([hour_object(one) for one in found])


def of_hour_objects(items: Sequence[Object]) -> Any:
    """A table of objects *hour*."""
    import pyarrow as pa

    dollars, count = pa.decimal128(38, 6), pa.int64()
    largest = [item["largest"] or {} for item in items]

    def money(values: Iterable[str | None]) -> Any:
        return pa.array([None if value is None else Decimal(value) for value in values], dollars)

    return pa.table({
        "hour": pa.array([_moment(item["from"]) for item in items], pa.timestamp("ms", tz="UTC")),
        "count": pa.array([item["count"] for item in items], count),
        "unknown_count": pa.array([item["unknown_count"] for item in items], count),
        "total_usd": money(item["total_usd"] for item in items),
        "long_count": pa.array([item["long"]["count"] for item in items], count),
        "long_usd": money(item["long"]["total_usd"] for item in items),
        "short_count": pa.array([item["short"]["count"] for item in items], count),
        "short_usd": money(item["short"]["total_usd"] for item in items),
        "largest_usd": money(one.get("notional_usd") for one in largest),
        "largest_symbol": pa.array([one.get("symbol") for one in largest], pa.string()),
        "coverage": pa.array([item["coverage"] for item in items], pa.float64()),
        "final": pa.array([item["final"] for item in items], pa.bool_()),
    })  # fmt: skip


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
