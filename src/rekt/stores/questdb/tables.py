# ruff: noqa: S608 - what is put together are names of tables and columns, checked before; values go through `text`
"""The tables: what they are made of, and having them there in whatever state a server is found.

`liqui` (or as `[DATABASE] name` says) has the original's columns and ours, one row for each event that counts and has
a value, so that the original's query stays right. `liqui_other` has the same columns and all other events: a status
that doesn't count, a value that isn't known (yet). Once known, an event is written to the first; readers skip it in
the second. `liqui_connections` and `liqui_spans` are what coverage is made from, `liqui_deliveries` and
`liqui_revisions` what quality is, `liqui_1h` is a view by the hour.
"""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from rekt.errors import StoreError
from rekt.fields import HOUR, iso_ms
from rekt.model import Window
from rekt.stores.questdb.sql import Refused, Sql, text

log = logging.getLogger("rekt.questdb")

ORIGINAL = {
    "PAIR": "SYMBOL",
    "PRICE": "DOUBLE",  # average price
    "QUANTITY": "DOUBLE",  # filled
    "USDVALUE": "DOUBLE",
    "timestamp": "TIMESTAMP",  # trade time
}
EVENT = {
    **ORIGINAL,
    "venue": "SYMBOL",
    "market": "SYMBOL",
    "side": "SYMBOL",
    "order_side": "SYMBOL",
    "status": "SYMBOL",
    "price_kind": "SYMBOL",
    "sampling": "SYMBOL",
    "order_price": "DOUBLE",
    "order_quantity": "DOUBLE",
    # The venue's own digits, only where the double's shortest spelling is another.
    "price_text": "VARCHAR",
    "quantity_text": "VARCHAR",
    "order_price_text": "VARCHAR",
    "order_quantity_text": "VARCHAR",
    "micros": "LONG",  # the value in micro-dollars, exact
    "basis": "SYMBOL",
    "event_time": "TIMESTAMP",
    "received_at": "TIMESTAMP",
    "uid": "UUID",
}
CONNECTION = {
    "id": "SYMBOL",
    "run": "SYMBOL",
    "venue": "SYMBOL",
    "url": "VARCHAR",
    "timestamp": "TIMESTAMP",  # opened
    "first_frame": "TIMESTAMP",
    "last_frame": "TIMESTAMP",
    "last_canary": "TIMESTAMP",
    "closed": "TIMESTAMP",
    "cause": "VARCHAR",
}
SPAN = {
    "connection": "SYMBOL",
    "venue": "SYMBOL",
    "timestamp": "TIMESTAMP",  # first tick
    "end_time": "TIMESTAMP",  # last tick
}
VIEW_S = 5.0  # how far the view may be behind its table
DELIVERY = {
    "connection": "SYMBOL",
    "venue": "SYMBOL",
    "timestamp": "TIMESTAMP",  # the hour
    "told": "LONG",
    "lost": "LONG",
}
REVISION = {
    "run": "SYMBOL",
    "reason": "SYMBOL",
    "timestamp": "TIMESTAMP",  # the hour
    "seen": "TIMESTAMP",
    "count_before": "LONG",
    "count_after": "LONG",
    "dollars_before": "LONG",
    "micros_before": "LONG",
    "dollars_after": "LONG",
    "micros_after": "LONG",
}
EVENT_KEYS = ("timestamp", "venue", "PAIR", "uid")
VIEW = (
    "SELECT timestamp, venue, PAIR, side, count() n, sum(USDVALUE) usd, max(USDVALUE) max_usd, sum(micros) micros"
    " FROM {table} SAMPLE BY 1h"
)


class Names(NamedTuple):
    """The names of all that belongs to one table."""

    events: str
    others: str
    connections: str
    spans: str
    deliveries: str
    revisions: str
    view: str
    staging: str  # while a table is taken over
    kept: str  # where the original's goes


SHIPPED = ("events", "others", "connections", "spans", "deliveries", "revisions")
"""The names, from the first on, of the tables that rows are shipped to."""


def names(table: str) -> Names:
    """They begin with the first one's."""
    return Names(
        table,
        *(
            f"{table}_{part}"
            for part in (
                "other", "connections", "spans", "deliveries", "revisions", "1h", "takeover", "original",
            )
        ),
    )  # fmt: skip


class Shape(NamedTuple):
    """What a table looks like."""

    columns: dict[str, str]  # name (lower case: QuestDB doesn't tell cases apart) to type
    designated: str
    wal: bool
    keys: frozenset[str]  # lower case; empty without deduplication
    ttl_days: int

    @property
    def ours(self) -> bool:
        """Whether rows can be shipped to it (columns may be missing: they are added)."""
        return (
            self.extendable and self.keys == {key.lower() for key in EVENT_KEYS} and self.has("uid", "UUID")
        )

    @property
    def extendable(self) -> bool:
        """Whether it becomes ours by adding to it."""
        return (
            self.wal
            and self.designated == "timestamp"
            and all(self.has(name, kind) for name, kind in ORIGINAL.items())
            and all(self.columns.get(name.lower(), kind) == kind for name, kind in EVENT.items())
        )

    def has(self, name: str, kind: str) -> bool:
        """Whether it has such a column."""
        return self.columns.get(name.lower()) == kind


def shape(sql: Sql, table: str) -> Shape | None:
    """What a table looks like; None when there is none."""
    found = sql(
        "SELECT designatedTimestamp, walEnabled, dedup, ttlValue, ttlUnit FROM tables()"
        f" WHERE table_name = {text(table)}"
    )
    if not found:
        if _is_there(sql, table):
            raise StoreError(f"QuestDB at {sql.place.url} has only just started: it doesn't list {table} yet")
        return None
    designated, wal, dedup, ttl, unit = found[0]
    columns = sql(f'SELECT "column", type, upsertKey FROM table_columns({text(table)})')
    days = {"DAY": 1, "WEEK": 7, "MONTH": 30, "YEAR": 365}.get(str(unit), 1)
    return Shape(
        {name.lower(): kind for name, kind, _ in columns},
        (designated or "").lower(),
        wal,
        frozenset(name.lower() for name, _, key in columns if key) if dedup else frozenset(),
        (ttl or 0) * days,
    )


def _is_there(sql: Sql, table: str) -> bool:
    """Whether there is such a table, whatever `tables()` says: for a moment after a start it lists none."""
    try:
        sql(f'SELECT * FROM "{table}" LIMIT 0')
    except Refused as error:
        if "does not exist" in error.message:
            return False
        raise
    return True


def create(sql: Sql, table: str, columns: dict[str, str], keys: tuple[str, ...], by: str = "DAY") -> None:
    """Make a table unless it is there."""
    listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    sql(
        f'CREATE TABLE IF NOT EXISTS "{table}" ({listed}) TIMESTAMP(timestamp) PARTITION BY {by}'
        f" WAL DEDUP UPSERT KEYS({', '.join(keys)})"
    )


def extend(sql: Sql, table: str, has: Shape, columns: dict[str, str]) -> None:
    """Add the columns it lacks."""
    for name, kind in columns.items():
        if name.lower() not in has.columns:
            sql(f'ALTER TABLE "{table}" ADD COLUMN IF NOT EXISTS "{name}" {kind}')


def ensure(sql: Sql, table: str, ttl_days: int) -> bool:
    """Have all tables but the first there; True when one had to be made."""
    own = names(table)
    made = False
    for name, columns, keys, by in (
        (own.others, EVENT, EVENT_KEYS, "DAY"),
        (own.connections, CONNECTION, ("timestamp", "id"), "MONTH"),
        (own.spans, SPAN, ("timestamp", "connection"), "MONTH"),
        (own.deliveries, DELIVERY, ("timestamp", "connection"), "MONTH"),
        (own.revisions, REVISION, ("timestamp", "run", "reason"), "MONTH"),
    ):
        if (found := shape(sql, name)) is None:
            create(sql, name, columns, keys, by)
            made = True
        else:
            extend(sql, name, found, columns)
    for name in (own.events, own.others):
        found = shape(sql, name)
        if found is not None and found.ttl_days != ttl_days:
            sql(f'ALTER TABLE "{name}" SET TTL {ttl_days} DAYS')
    # At each commit (IMMEDIATE) it would cost the server as much again as the rows themselves.
    sql(
        f'CREATE MATERIALIZED VIEW IF NOT EXISTS "{own.view}" WITH BASE "{own.events}" REFRESH EVERY 1m'
        f" AS ({VIEW.format(table=table)}) PARTITION BY MONTH"
    )
    return made


def refresh_view(sql: Sql, table: str) -> None:
    """Have the hourly view follow its table; doesn't wait for it."""
    sql(f'REFRESH MATERIALIZED VIEW "{names(table).view}" INCREMENTAL')


def check_view(sql: Sql, table: str, window: Window) -> list[str]:
    """Compare the hourly view with the table, and build it anew where it is wrong; sentences on what was."""
    own = names(table)
    status = sql(
        f"SELECT view_status, invalidation_reason FROM materialized_views() WHERE view_name = {text(own.view)}"
    )
    if status and status[0][0] not in ("valid", "refreshing"):
        found = [f"the view {own.view} was {status[0][0]} ({status[0][1]})"]
    else:
        refresh_view(sql, table)
        before = _hours(sql, own.events, "count()", window)
        deadline = time.monotonic() + VIEW_S
        while different := _differ(sql, own, window, before):
            if time.monotonic() > deadline:
                break
            time.sleep(0.25)
        else:
            return []
        found = [f"the view {own.view} differed from the table in {different} hours"]
    log.warning("QuestDB: %s; it is being built anew", found[0])
    try:
        sql(f'REFRESH MATERIALIZED VIEW "{own.view}" FULL')
    except Refused as error:
        found.append(error.message)
    return found


def _differ(sql: Sql, own: Names, window: Window, before: dict[int, tuple[int, int]]) -> int:
    """How many hours the view has wrong, but for those that are being written to."""
    view = _hours(sql, own.view, "sum(n)", window)
    table = _hours(sql, own.events, "count()", window)
    hours = table.keys() | view.keys()
    return sum(table.get(hour) == before.get(hour) and table.get(hour) != view.get(hour) for hour in hours)


def _hours(sql: Sql, table: str, count: str, window: Window) -> dict[int, tuple[int, int]]:
    return {
        hour: (number, micros or 0)
        for hour, number, micros in sql(
            f"SELECT timestamp::long, n, m FROM (SELECT timestamp, {count} n, sum(micros) m"
            f' FROM "{table}" WHERE {within(window)} SAMPLE BY 1h)'
        )
    }


def within(window: Window, column: str = "timestamp") -> str:
    """The condition that a time lies in a window."""
    low, high = max(window.start, 0), min(window.end, 253_402_300_799_000)
    return f"{column} >= {text(iso_ms(low))} AND {column} < {text(iso_ms(high))}"


def whole_hours(window: Window) -> Window:
    """The window with its ends moved out to the hour."""
    return Window(window.start // HOUR * HOUR, -(-window.end // HOUR) * HOUR)
