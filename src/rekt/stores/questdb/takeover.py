# ruff: noqa: S608 - what is put together are names of tables and columns, checked before; values go through `text`
"""Taking over a table that the original (or anything else) made, so that not a row of it is lost.

Three shapes are met (and whatever else has a time column is treated like the first two):

- not partitioned, as in the documented CREATE TABLE; or partitioned but without a log (WAL), as an old server made it.
  Neither can be changed in place: a copy is made under `…_takeover`, proved equal, and only then the old table is
  renamed to `…_original` and the copy takes its name.
- with a log, as a newer server makes it: columns are added, old rows get uids, deduplication is switched on.

Each old row gets a random uid: rows that are equal in everything stay apart. Every step may be the last before the
server (or we) die: what is found the next time tells where to go on.
"""

from __future__ import annotations

import logging
from typing import Any

from rekt.errors import StoreError
from rekt.stores.questdb.sql import Sql
from rekt.stores.questdb.tables import EVENT, EVENT_KEYS, ORIGINAL, Shape, create, extend, names, shape

log = logging.getLogger("rekt.questdb")

APPLY_S = 3600.0  # a large table's copy may take long to become readable
# The only venue that the original knew. A fact about its tables, whatever is recorded by default today: the one place
# besides that default, the venues' own files and their scenes where a venue's name may stand.
VENUE = "binance"


def take_over(sql: Sql, table: str) -> bool:
    """Have a table of this name that is ours; True when it was not. Raises StoreError; then call it again."""
    own = names(table)
    found = shape(sql, table)
    if found is not None and found.ours:
        extend(sql, table, found, EVENT)
        return False
    if found is not None and found.extendable:
        _extend(sql, table, found)
        return True
    if found is not None:
        log.warning(
            "QuestDB: the table %s was made by another program; it is copied, and kept as %s", table, own.kept
        )
        _copy(sql, table, found, own.staging)
        kept = _unused(sql, own.kept)
        sql(f'RENAME TABLE "{table}" TO "{kept}"')
    else:
        kept = _last(sql, own.kept)
        if not kept:  # nothing to take over
            sql(f'DROP TABLE IF EXISTS "{own.staging}"')
            create(sql, table, EVENT, EVENT_KEYS)
            return True
    # The old table has its other name by now (perhaps since before the server died): is the copy whole?
    old = _shape(sql, kept)
    if shape(sql, own.staging) is None or _sums(sql, kept, old) != _sums(sql, own.staging, old, copied=True):
        _copy(sql, kept, old, own.staging)
    sql(f'RENAME TABLE "{own.staging}" TO "{table}"')
    log.warning("QuestDB: %s is taken over; the old table stays as %s until you drop it", table, kept)
    return True


def _extend(sql: Sql, table: str, found: Shape) -> None:
    log.warning("QuestDB: the table %s was made by another program; it gets our columns", table)
    before = _sums(sql, table, found)
    extend(sql, table, found, EVENT)
    # The added columns are in the writer's log: an UPDATE that knows them has to come after they are applied.
    _applied(sql, table)
    sql(f"UPDATE \"{table}\" SET uid = rnd_uuid4(), venue = '{VENUE}' WHERE uid IS NULL", long=True)
    _applied(sql, table)
    (without,) = sql.one(f'SELECT count() FROM "{table}" WHERE uid IS NULL')
    after = _sums(sql, table, found)
    if without or (after != before and after[0] <= before[0]):  # more rows: the old writer is still at it
        raise StoreError(f"taking over {table} is not done: {before} became {after}, {without} without uid")
    sql(f'ALTER TABLE "{table}" DEDUP ENABLE UPSERT KEYS({", ".join(EVENT_KEYS)})')
    _applied(sql, table)


def _copy(sql: Sql, source: str, found: Shape, target: str) -> None:
    """Copy all rows that have a time into a table of ours, and prove it. Raises StoreError."""
    time = _time(found)
    if not time:
        raise StoreError(
            f"QuestDB's table {source} has no column timestamp: it can't be taken over",
            hint="rename it, or set another [DATABASE] name",
        )
    columns = [name for name in ORIGINAL if name != "timestamp" and name.lower() in found.columns]
    listed = "".join(f'"{name}", ' for name in columns)
    casts = "".join(f'"{name}"::{ORIGINAL[name]}, ' for name in columns)
    sql(f'DROP TABLE IF EXISTS "{target}"')
    create(sql, target, EVENT, EVENT_KEYS)
    sql(
        f'INSERT INTO "{target}" ({listed}timestamp, venue, uid)'
        f" SELECT {casts}{time}::TIMESTAMP, '{VENUE}', rnd_uuid4() FROM \"{source}\" WHERE {time} IS NOT NULL",
        long=True,
    )
    _applied(sql, target)
    wanted, copied = _sums(sql, source, found), _sums(sql, target, found, copied=True)
    if wanted != copied:
        raise StoreError(f"the copy of {source} is not whole: {wanted} became {copied}; doing it again")
    (timeless,) = sql.one(f'SELECT count() FROM "{source}" WHERE {time} IS NULL', long=True)
    if timeless:
        log.warning("QuestDB: %d rows of %s have no time and stay in the old table alone", timeless, source)


def _sums(sql: Sql, table: str, found: Shape, *, copied: bool = False) -> list[Any]:
    """What a table and its copy agree in, in whatever order: counts, and sums of integers; by the first's columns."""
    time = "timestamp" if copied else _time(found)
    sums = [
        "count()",
        f"count_distinct({time})",
        f"min({time}::TIMESTAMP)::long",
        f"max({time}::TIMESTAMP)::long",
    ]
    for name in ("PRICE", "QUANTITY", "USDVALUE"):
        if name.lower() in found.columns:
            sums += [f'count("{name}"::DOUBLE)', f'sum(("{name}"::DOUBLE * 1000000)::LONG)']
    return sql.one(f'SELECT {", ".join(sums)} FROM "{table}" WHERE {time} IS NOT NULL', long=True)


def _time(found: Shape) -> str:
    return "timestamp" if "timestamp" in found.columns else found.designated


def _shape(sql: Sql, table: str) -> Shape:
    found = shape(sql, table)
    if found is None:
        raise StoreError(f"QuestDB's table {table} is gone while it was taken over")
    return found


def _applied(sql: Sql, table: str) -> None:
    if not sql.applied(table, timeout_s=APPLY_S):
        raise StoreError(f"QuestDB's table {table} is suspended: it can't be taken over yet")


def _unused(sql: Sql, name: str) -> str:
    number = 1
    while shape(sql, _numbered(name, number)) is not None:
        number += 1
    return _numbered(name, number)


def _last(sql: Sql, name: str) -> str:
    """The table that was renamed last; "" when there is none."""
    number = 1
    while shape(sql, _numbered(name, number)) is not None:
        number += 1
    return _numbered(name, number - 1) if number > 1 else ""


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"
