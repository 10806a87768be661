"""What two lots of rows of a day have not in common: an archived file and a ledger, or what a tape gives.

Both come by (trade time, uid), so that they are walked side by side, with a few rows in memory however long the day is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rekt.archive.check import BATCH
from rekt.tables import NAMES, of_events

if TYPE_CHECKING:
    from rekt.model import Liquidation

IDENTITY = (
    "uid",
    "venue",
    "symbol",
    "trade_time",
)  # what a tape must give again; its receive times are its own
SHOWN = 3  # examples of each kind
Row = dict[str, Any]


class Difference(NamedTuple):
    """How many rows only one of the two has, how many are not the same in both, and some of each."""

    archived: int = 0  # only in the archive
    other: int = 0  # only in the other
    changed: int = 0
    examples: tuple[tuple[str, str], ...] = ()  # (archived, other or changed; what is told of the row)

    def __bool__(self) -> bool:
        return bool(self.archived or self.other or self.changed)

    def words(self, other: str) -> list[str]:
        """Each kind of difference as a sentence; `other` is where the rows were compared with."""
        kinds = (
            ("archived", self.archived, f"in the archive, but not in {other}"),
            ("other", self.other, f"in {other}, but not in the archive"),
            ("changed", self.changed, f"not the same in the archive and {other}"),
        )
        return [
            f"{count:,} {'row is' if count == 1 else 'rows are'} {where}: {', '.join(self._of(kind))}"
            + (" …" if count > SHOWN else "")
            for kind, count, where in kinds
            if count
        ]

    def _of(self, kind: str) -> list[str]:
        return [told for name, told in self.examples if name == kind]


def difference(file: Path, events: Iterable[Liquidation], columns: Sequence[str] = NAMES) -> Difference:
    """Holds a file's rows against events, both by (trade time, uid)."""
    ours, theirs = _archived(file, columns), _tables(events, columns)
    for one in ours:
        two = next(theirs, None)
        if two is None or not one.equals(two):
            return _walk(_rows(chain([one], ours)), _rows(chain([] if two is None else [two], theirs)))
    return _walk(iter(()), _rows(theirs))


def _archived(file: Path, columns: Sequence[str]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group).select(list(columns))


def _tables(events: Iterable[Liquidation], columns: Sequence[str]) -> Iterator[Any]:
    source = iter(events)
    while rows := list(islice(source, BATCH)):
        yield of_events(rows).select(list(columns))


def _rows(tables: Iterable[Any]) -> Iterator[Row]:
    for table in tables:
        for batch in table.to_batches(1000):
            yield from batch.to_pylist()


def _walk(ours: Iterator[Row], theirs: Iterator[Row]) -> Difference:
    counts = {"archived": 0, "other": 0, "changed": 0}
    examples: list[tuple[str, str]] = []

    def note(kind: str, row: Row, told: str = "") -> None:
        counts[kind] += 1
        if counts[kind] <= SHOWN:
            time = row["trade_time"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
            examples.append((kind, f"{time} {row['venue']} {row['symbol']} {row['uid']}{told}"))

    one, two = next(ours, None), next(theirs, None)
    while one is not None or two is not None:
        if two is None or (one is not None and _key(one) < _key(two)):
            assert one is not None  # noqa: S101 - one of the two is there
            note("archived", one)
            one = next(ours, None)
        elif one is None or _key(two) < _key(one):
            note("other", two)
            two = next(theirs, None)
        else:
            if one != two:
                named = [name for name in one if one[name] != two[name]]
                note("changed", one, f" ({', '.join(named)})")
            one, two = next(ours, None), next(theirs, None)
    return Difference(counts["archived"], counts["other"], counts["changed"], tuple(examples))


def _key(row: Row) -> tuple[Any, str]:
    return row["trade_time"], row["uid"]
