"""Whether a day's file is what its manifest says: bytes, columns, order, and every sum, added up from the rows again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rekt.archive.folder import Manifest, day_window, digest_of
from rekt.fields import DAY, HOUR, iso_ms, money
from rekt.model import COUNTING_STATUS, MICRO
from rekt.tables import schema

BATCH = 50_000  # rows read at a time


class _Key(NamedTuple):
    hour: int
    venue: str
    symbol: str
    side: str


class _Sum(NamedTuple):
    count: int = 0  # type: ignore[assignment]  # hides tuple.count
    unknown: int = 0
    total: int = 0  # micro-dollars


class _Rows(NamedTuple):
    """What the rows of a file come to."""

    rows: int
    sums: dict[_Key, _Sum]
    largest: int | None  # micro-dollars
    problems: list[str]


def check(
    manifest: Manifest, file: Path, *, digest: bool = True, told: Callable[[int], object] = lambda _: None
) -> list[str]:
    """What is wrong with a day's file, in sentences; nothing when all is right.

    `digest`: whether the bytes are held against the manifest's digest too; `told` is called with the rows read so far.
    """
    import pyarrow as pa

    if not file.is_file():
        return [f"{file.name} is not there"]
    wrong = []
    if digest and digest_of(file) != manifest["sha256"]:
        wrong.append(f"the bytes of {file.name} are not those that were archived (sha256 differs)")
    try:
        found = _added_up(file, day_window(str(manifest["day"])).start, told)
    except (pa.ArrowException, OSError, ValueError) as error:
        return [*wrong, f"{file.name} can't be read: {' '.join(str(error).split())[:200]}"]
    if found.rows != manifest["rows"]:
        wrong.append(f"{found.rows:,} rows in {file.name}, the manifest says {manifest['rows']:,}")
    return [*wrong, *found.problems, *_compared(manifest, found)]


def _compared(manifest: Manifest, found: _Rows) -> Iterator[str]:
    """Each sum of the manifest that the rows don't give."""
    day = str(manifest["day"])
    whole = sum_of(found.sums.values())
    yield from _tally(day, manifest, whole)
    for side in ("long", "short"):
        yield from _tally(f"{day}, {side}", manifest[side], _of(found, side=side))
    for name in ("venue", "symbol"):
        said = {entry[name]: entry for entry in manifest[f"by_{name}"]}
        for one in sorted(said.keys() | {getattr(key, name) for key in found.sums}):
            empty = {"count": 0, "total_usd": money(0)}
            yield from _tally(f"{day}, {name} {one}", said.get(one, empty), _of(found, **{name: one}))
    for hour in manifest["hours"]:
        start = day_window(day).start + int(hour["hour"][11:13]) * HOUR
        yield from _tally(f"the hour {hour['hour'][:13]}", hour, _of(found, hour=start))
    largest = manifest["largest"] and manifest["largest"]["notional_usd"]
    got = None if found.largest is None else money(found.largest)
    if got != largest:
        yield f"{day}: the largest is ${got}, the manifest says ${largest}"


def _of(found: _Rows, **wanted: Any) -> _Sum:
    return sum_of(
        one
        for key, one in found.sums.items()
        if all(getattr(key, name) == value for name, value in wanted.items())
    )


def sum_of(sums: Iterable[_Sum]) -> _Sum:
    """Sums of keys, added up."""
    count = unknown = total = 0
    for one in sums:
        count, unknown, total = count + one.count, unknown + one.unknown, total + one.total
    return _Sum(count, unknown, total)


def _tally(what: str, said: Mapping[str, Any], found: _Sum) -> Iterator[str]:
    if (found.count, money(found.total)) != (said["count"], said["total_usd"]):
        yield (
            f"{what}: {found.count:,} liquidations of ${money(found.total)} in the rows,"
            f" the manifest says {said['count']:,} of ${said['total_usd']}"
        )
    elif said.get("unknown_count", found.unknown) != found.unknown:
        yield f"{what}: {found.unknown:,} of unknown value in the rows, the manifest says {said['unknown_count']:,}"


def _added_up(file: Path, start: int, told: Callable[[int], object]) -> _Rows:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    sums: defaultdict[_Key, _Sum] = defaultdict(_Sum)
    problems: list[str] = []
    rows, largest, last = 0, None, (start - 1, "")
    with pq.ParquetFile(file) as parquet:
        if parquet.schema_arrow != schema():
            return _Rows(
                parquet.metadata.num_rows, {}, None, [f"{file.name} has other columns than an archive's"]
            )
        for batch in parquet.iter_batches(BATCH):
            table = pa.Table.from_batches([batch])
            times = table["trade_time"].cast(pa.int64())
            if problem := _order(times, table["uid"], last, start):
                problems.append(f"{file.name}, rows from {rows + 1:,} on: {problem}")
                break
            last = (times[-1].as_py(), table["uid"][-1].as_py())
            rows += len(table)
            told(rows)
            status = table["status"]
            counting = pc.fill_null(pc.equal(status, COUNTING_STATUS), True)
            hours = pc.multiply(pc.divide(times, HOUR), HOUR)
            table = table.append_column("hour", hours).filter(counting)
            grouped = table.group_by(["hour", "venue", "symbol", "side"]).aggregate(
                [
                    ("uid", "count"),
                    ("notional_usd", "count"),
                    ("notional_usd", "sum"),
                    ("notional_usd", "max"),
                ]
            )
            for one in grouped.to_pylist():
                key = _Key(one["hour"], one["venue"], one["symbol"], one["side"])
                total = int((one["notional_usd_sum"] or 0) * MICRO)
                unknown = one["uid_count"] - one["notional_usd_count"]
                sums[key] = sum_of([sums[key], _Sum(one["uid_count"], unknown, total)])
                if one["notional_usd_max"] is not None:
                    largest = max(largest or 0, int(one["notional_usd_max"] * MICRO))
    if not problems and rows != parquet.metadata.num_rows:
        problems.append(f"{file.name} ends early")
    return _Rows(rows, dict(sums), largest, problems)


def _order(times: Any, uids: Any, last: tuple[int, str], start: int) -> str | None:
    """What is wrong with the keys of some rows: they are unique, grow, and lie in the day."""
    import pyarrow.compute as pc

    if times.null_count or uids.null_count:
        return "a row without a trade time or uid"
    if times[0].as_py() < start or times[-1].as_py() >= start + DAY:
        return f"a row of another day than that of {iso_ms(start)[:10]}"
    if (times[0].as_py(), uids[0].as_py()) <= last:
        return "not by trade time and uid, or a row that is there twice"
    before, after = times.slice(0, len(times) - 1), times.slice(1)
    later = pc.greater(after, before)
    same = pc.and_(pc.equal(after, before), pc.greater(uids.slice(1), uids.slice(0, len(uids) - 1)))
    if pc.all(pc.or_(later, same)).as_py() is False:
        return "not by trade time and uid, or a row that is there twice"
    return None
