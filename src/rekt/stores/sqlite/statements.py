"""The statements that write the ledger, one for each kind of fact, and how rows go in many at once."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from rekt.stores.sqlite import fold

if TYPE_CHECKING:
    import apsw

# Rows of one statement: Python's lock is let go for all of them at once, not for each, and waited for once. The
# longest text stays below the 16 KiB up to which apsw keeps a statement prepared.
CHUNKS = (400, 20, 1)


def in_chunks(connection: apsw.Connection, statements: list[tuple[int, str]], rows: list[fold.Row]) -> None:
    """Insert rows by a statement for each size of a chunk."""
    start = 0
    for size, sql in statements:
        while len(rows) - start >= size:
            connection.execute(sql, list(chain.from_iterable(rows[start : start + size])))
            start += size


def _chunked(statement: str) -> list[tuple[int, str]]:
    """A statement with one row in brackets, for each size of a chunk."""
    before, row, after = re.split(r"(\([^()]*\?\))", statement, maxsplit=1)
    return [(size, before + ",".join([row] * size) + after) for size in CHUNKS]


INSERT_ONE = """
    INSERT INTO liquidation VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(trade_time, uid) DO NOTHING"""
INSERT, INSERT_BUCKET = _chunked(INSERT_ONE), _chunked(fold.INSERT)
RUN = """
    INSERT INTO run(id, control, stored, duplicate, quarantined, events) VALUES(?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET control = control + excluded.control, stored = stored + excluded.stored,
        duplicate = duplicate + excluded.duplicate, quarantined = quarantined + excluded.quarantined,
        events = events + excluded.events"""
CONNECTION = """
    INSERT INTO connection VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
        first_frame_us = coalesce(min(first_frame_us, excluded.first_frame_us), first_frame_us, excluded.first_frame_us),
        last_frame_us = coalesce(max(last_frame_us, excluded.last_frame_us), last_frame_us, excluded.last_frame_us),
        last_canary_us = coalesce(max(last_canary_us, excluded.last_canary_us), last_canary_us, excluded.last_canary_us),
        closed_us = coalesce(closed_us, excluded.closed_us), cause = coalesce(cause, excluded.cause)"""
SPAN = "INSERT INTO span VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET end_ms = max(end_ms, excluded.end_ms)"
INSTRUMENT = """
    INSERT INTO instrument VALUES(?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET market = excluded.market, base = excluded.base, quote = excluded.quote,
        contract_size = excluded.contract_size, seen_us = excluded.seen_us WHERE excluded.seen_us >= seen_us"""
SUSPICION = "INSERT INTO suspicion VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING"
DELIVERY = """
    INSERT INTO delivery(connection, hour, told, lost) VALUES(?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET told = told + excluded.told, lost = lost + excluded.lost"""
REVISION = """
    INSERT INTO revision VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET seen_us = excluded.seen_us, count_after = excluded.count_after,
        dollars_after = excluded.dollars_after, micros_after = excluded.micros_after"""
HOUR_SUMS = """
    SELECT coalesce(sum(count), 0), coalesce(sum(dollars), 0), coalesce(sum(micros), 0) FROM bucket
    WHERE scope = 1 AND start = ?"""
CROSSED = """
    SELECT 1 FROM span WHERE end_ms >= ?2 AND start_ms < ?2 AND connection IN (
        SELECT connection FROM span WHERE end_ms >= ?1 - 86400000 AND start_ms < ?1) LIMIT 1"""
