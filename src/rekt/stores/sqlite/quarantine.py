"""What the ledger doesn't take as an event is set aside with the reason: rows that SQLite refuses, events of sealed days.

A batch goes in as a whole; once something of it is refused it goes row by row, so that what is sound is stored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import apsw

from rekt.fields import iso_ms
from rekt.model import Liquidation, Quarantined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rekt.store import Batch
    from rekt.stores.sqlite.fold import Row

FRAME_BYTES = 64 << 10  # kept of one frame
MOST_ROWS = 10_000
MOST_BYTES = 64 << 20

# What is wrong with a row, not with the ledger: type, size, surrogates, integers over 64 bits.
REFUSALS = (
    apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError,
    TypeError, ValueError, OverflowError, AttributeError, IndexError,
)  # fmt: skip

_TEXT = (str, type(None))
_NUMBER = (int, type(None))
_TYPES: tuple[tuple[type, ...], ...] = (
    (int,), (int,), (bytes,), (str,), (str,), _TEXT, _TEXT, _TEXT, _TEXT, _TEXT, _NUMBER, _TEXT, _NUMBER, (int,)
)  # fmt: skip
_QUARANTINE = """
    INSERT INTO quarantine(run, venue, connection, received_us, reason, size, kept_bytes, data)
    VALUES(?1, ?2, ?3, ?4, ?5, ?6, coalesce((SELECT kept_bytes FROM quarantine ORDER BY id DESC LIMIT 1), 0)
        + length(?7), ?7)"""
_FORGET = """
    DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?1 OR id <= (
        SELECT max(id) FROM quarantine WHERE kept_bytes <= (
            SELECT kept_bytes FROM quarantine ORDER BY id DESC LIMIT 1) - ?2)"""


def keep(connection: apsw.Connection, run: str, frames: list[Quarantined]) -> None:
    """Set these aside, and let go of the oldest above the bounds."""
    connection.executemany(
        _QUARANTINE,
        [
            (run, _text(venue), name, received_us, _text(reason), len(data), data[:FRAME_BYTES])
            for venue, name, received_us, reason, data in frames
        ],
    )
    connection.execute(_FORGET, (MOST_ROWS, MOST_BYTES))


def each(do: Callable[[Any], object], facts: Iterable[Any]) -> list[Quarantined]:
    """Do it with each of these facts; what is refused is left out and told."""
    refused = []
    for fact in facts:
        try:
            do(fact)
        except REFUSALS as error:
            refused.append(refusal(fact, error))
    return refused


def check(row: Row) -> None:
    """What SQLite would take but convert (a number given as text) is refused too: it is not what was said."""
    for index, (value, wanted) in enumerate(zip(row, _TYPES, strict=True)):
        if not isinstance(value, wanted):
            raise TypeError(f"{Liquidation._fields[index]} is {type(value).__name__}")


def refusal(fact: Any, error: BaseException) -> Quarantined:
    """What is kept of a fact that was refused."""
    reason = f"the ledger refuses it: {type(error).__name__}: {error}"
    data = repr(tuple(fact)).encode("utf-8", "backslashreplace")
    if not isinstance(fact, Liquidation):
        return Quarantined("", None, 0, reason, data)
    received: Any = fact.received_us  # may be anything: it was refused
    fits = isinstance(received, int) and abs(received) < 1 << 63
    return Quarantined(str(getattr(fact.feed, "venue", "")), None, received if fits else 0, reason, data)


def without_late(batch: Batch, sealed: int) -> tuple[Batch, list[Quarantined], int]:
    """A batch without events of sealed days, these as refusals, and how many frames held nothing else.

    The rows of a sealed day are pruned: a repeat could not be told from an event that is new.
    """
    if not any(event.trade_time < sealed for frame in batch.frames for event in frame):
        return batch, [], 0
    frames, late, spoilt = [], [], 0
    for frame in batch.frames:
        kept = tuple(event for event in frame if event.trade_time >= sealed)
        late += [_late(event, sealed) for event in frame if event.trade_time < sealed]
        if kept or not frame:
            frames.append(kept)
        else:
            spoilt += 1
    return replace(batch, frames=frames), late, spoilt


def _late(event: Liquidation, sealed: int) -> Quarantined:
    reason = f"its day is sealed: rows traded before {iso_ms(sealed)} were pruned from the ledger"
    data = repr(tuple(event)).encode("utf-8", "backslashreplace")
    return Quarantined(event.feed.venue, None, event.received_us, reason, data)


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()
