from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rekt.stores.questdb.sql import Place, Sql, Unreachable
from rekt.stores.questdb.tables import EVENT_KEYS, shape
from rekt.stores.questdb.takeover import take_over
from tests.stores.questdb import place

ROWS = 1_000
COLUMNS = "PAIR symbol, PRICE double, QUANTITY double, USDVALUE double, timestamp timestamp"
SHAPES = {
    "documented": f"CREATE TABLE {{}} ({COLUMNS})",
    "old server": f"CREATE TABLE {{}} ({COLUMNS}) TIMESTAMP(timestamp) PARTITION BY DAY BYPASS WAL",
    "newer server": f"CREATE TABLE {{}} ({COLUMNS}) TIMESTAMP(timestamp) PARTITION BY DAY WAL",
    "unlike any": "CREATE TABLE {} (timestamp timestamp, PAIR varchar, USDVALUE float, note string)"
    " TIMESTAMP(timestamp) PARTITION BY HOUR WAL",
}
QUERY = (
    "SELECT count() AS count, sum(USDVALUE) AS sum, max(USDVALUE) AS max FROM {}"
    " WHERE timestamp > now() - 3600000000L"
)


class Dying(Sql):
    """A server that is gone after so many statements that change something."""

    def __init__(self, place: Place, left: int) -> None:
        super().__init__(place)
        self.left = left

    def __call__(self, query: str, *, long: bool = False) -> list[list[Any]]:
        if not query.startswith("SELECT"):
            if self.left == 0:
                raise Unreachable("it died")
            self.left -= 1
        return super().__call__(query, long=long)


@pytest.fixture(params=SHAPES)
def old(request: pytest.FixtureRequest) -> Iterator[Sql]:
    """A table as something else made it, with rows of equal times and pairs, and rows without a value."""
    sql = Sql(place())
    table = sql.place.table
    sql(SHAPES[request.param].format(table))
    some = "price" if request.param == "unlike any" else ""
    columns, values = (
        ("PAIR, USDVALUE, timestamp", "rnd_symbol('A','B','C'), {value}, {time}")
        if some
        else (
            "PAIR, PRICE, QUANTITY, USDVALUE, timestamp",
            "rnd_symbol('A','B','C'), 1.5, 2.0, {value}, {time}",
        )
    )
    value = "CASE WHEN x % 100 = 0 THEN null ELSE round(rnd_double() * 1000, 2) END"
    time = "dateadd('s', -(x / 4)::int, now())"  # four rows a second
    sql(
        f"INSERT INTO {table} ({columns}) SELECT {values.format(value=value, time=time)}"
        f" FROM long_sequence({ROWS})"
    )
    assert sql.applied(table)
    yield sql
    sql.close()


def test_nothing_is_lost(old: Sql) -> None:
    """The original's query gives the same answer before and after, and every old row is there by itself."""
    table = old.place.table
    before = old.one(
        f"SELECT count(), sum(USDVALUE), max(USDVALUE), min(timestamp), max(timestamp) FROM {table}"
    )
    assert take_over(old, table) is True
    after = old.one(
        f"SELECT count(), sum(USDVALUE), max(USDVALUE), min(timestamp), max(timestamp) FROM {table}"
    )
    assert after[0] == before[0] == ROWS
    assert after[1:3] == pytest.approx(before[1:3], rel=1e-6)
    assert after[3:] == before[3:]
    assert old.one(f"SELECT count_distinct(uid) FROM {table}") == [ROWS]
    (count, total, most) = old.one(QUERY.format(table))
    assert count == ROWS
    assert (total, most) == pytest.approx(before[1:3], rel=1e-6)
    found = shape(old, table)
    assert found is not None
    assert found.ours
    assert found.keys == {key.lower() for key in EVENT_KEYS}


def test_a_second_start_finds_it_done(old: Sql) -> None:
    """Once taken over, a table is left as it is."""
    table = old.place.table
    take_over(old, table)
    assert take_over(old, table) is False
    assert old.one(f"SELECT count() FROM {table}") == [ROWS]


def test_interrupted_anywhere_it_goes_on(old: Sql) -> None:
    """However far it came when the server died, the next try ends with every row there, once."""
    table = old.place.table
    for steps in range(1, 200):
        dying = Dying(old.place, steps)  # at first after one step, then after one more each time
        try:
            take_over(dying, table)
        except Unreachable:
            continue
        finally:
            dying.close()
        break
    assert steps > 2
    assert old.one(f"SELECT count(), count_distinct(uid) FROM {table}") == [ROWS, ROWS]
    (count, _, _) = old.one(QUERY.format(table))
    assert count == ROWS


def test_the_copied_table_is_kept(old: Sql) -> None:
    """What could not be changed in place stays beside it under another name, untouched."""
    table = old.place.table
    found = shape(old, table)
    assert found is not None
    take_over(old, table)
    kept = shape(old, f"{table}_original")
    if found.extendable:
        assert kept is None
    else:
        assert kept == found
        assert old.one(f"SELECT count() FROM {table}_original") == [ROWS]


def test_copying_again_into_deduplication_would_have_merged(old: Sql) -> None:
    """The old rows do have equal times and pairs: without uids of their own some would be gone."""
    table = old.place.table
    (different,) = old.one(f"SELECT count() FROM (SELECT DISTINCT timestamp, PAIR FROM {table})")
    assert different < ROWS
