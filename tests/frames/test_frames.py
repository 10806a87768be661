"""Data frames from the ledger, from files and from a server: the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import polars
import pytest

import rekt
from rekt.errors import RestError, UsageError
from rekt.frames import window_of
from tests.cli.book import Result
from tests.dashboard.conftest import Served


@pytest.fixture
def day(ledger: Path) -> str:
    """The day of the small ledger."""
    assert ledger.exists()
    return "2026-07-16"


def test_a_day_is_a_pandas_frame_of_floats(day: str) -> None:
    """A date alone is that day; columns are the object's keys, times carry UTC."""
    found = rekt.liquidations(day, venue="binance")
    assert isinstance(found, pandas.DataFrame)
    assert len(found) == 6
    assert found.notional_usd.max() == 2_500_000.0
    assert str(found.trade_time.dt.tz) == "UTC"
    assert found.average_price.dtype == "float64"


def test_frames_are_what_is_asked_for(day: str) -> None:
    """polars and Arrow as well; another word is an error that names them."""
    assert isinstance(rekt.liquidations(day, frame="polars"), polars.DataFrame)
    assert rekt.liquidations(day, frame="arrow").num_rows == 6
    wrong: Any = "spark"
    with pytest.raises(UsageError, match="spark"):
        rekt.liquidations(day, frame=wrong)


def test_exact_leaves_the_venue_s_digits(day: str) -> None:
    """Prices stay text, dollars decimals of six places."""
    found = rekt.liquidations(day, symbol="BTCUSDT", side="long", frame="arrow", exact=True)
    row = found.to_pylist()[0]
    assert row["average_price"] == "1.00"
    assert str(row["notional_usd"]) == "2500000.000000"


def test_filters_hold(day: str) -> None:
    """A smallest size leaves out what is unknown."""
    assert len(rekt.liquidations(day, min_usd=5)) == 4
    assert len(rekt.liquidations(day, side="short")) == 3


def test_hours_are_the_summary_s_numbers(day: str, rekt: Callable[..., Result]) -> None:
    """The frame's row says what `rekt summary --json` says of that hour."""
    import rekt as package

    found = package.hours("2026-07-16T12", exact=True, frame="arrow").to_pylist()
    told = rekt("summary", "--hour", "2026-07-16T12", "--json").objects[0]
    assert len(found) == 1
    assert str(found[0]["total_usd"]) == told["total_usd"]
    assert found[0]["count"] == told["count"]
    assert found[0]["coverage"] == told["coverage"]


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_an_export_holds_every_row_and_overwrites_nothing(
    day: str, rekt: Callable[..., Result], tmp_path: Path, form: str
) -> None:
    """The file has the rows of the time asked for; a second time it is refused, and left as it is."""
    file = tmp_path / f"out.{form}"
    done = rekt("export", "--from", day, "--to", "2026-07-17", str(file))
    assert done.code == 0, done.err
    listed = rekt("liquidations", "--from", day, "--to", "2026-07-17", "--json").objects
    if form == "jsonl":
        assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == listed
    elif form == "csv":
        assert len(pandas.read_csv(file)) == len(listed)
    else:
        assert pandas.read_parquet(file).uid.tolist() == [one["uid"] for one in listed]
    before = file.read_bytes()
    assert rekt("export", "--from", day, "--to", "2026-07-17", str(file)).code == 2
    assert file.read_bytes() == before
    assert not list(tmp_path.glob(".out*"))


def test_a_folder_of_exports_gives_the_same_rows(
    day: str, rekt: Callable[..., Result], tmp_path: Path
) -> None:
    """An archive reads as the ledger does, filters included; hours need the ledger."""
    import rekt as package

    (tmp_path / "archive").mkdir()
    rekt("export", "--from", day, "--to", "2026-07-17", str(tmp_path / "archive" / "a.parquet"))
    for filters in ({}, {"side": "short"}, {"min_usd": 5}):
        asked: dict[str, Any] = filters
        here = package.liquidations(day, frame="arrow", **asked)
        there = package.liquidations(day, frame="arrow", source=tmp_path / "archive", **asked)
        assert there.equals(here)
    with pytest.raises(UsageError, match="hours"):
        package.hours(day, source=tmp_path / "archive")


def test_a_server_gives_the_same_rows(day: str, ledger: Path) -> None:
    """Asked over HTTP the frames are equal."""
    served = Served(ledger).start()
    try:
        assert rekt.liquidations(day, frame="arrow", source=served.url).equals(
            rekt.liquidations(day, frame="arrow")
        )
        here, there = (
            rekt.hours("2026-07-16T11", "2026-07-16T14", frame="arrow", source=source)
            for source in (None, served.url)
        )
        assert there.equals(here)
    finally:
        served.close()


def test_a_server_that_is_away_is_told_in_a_sentence(day: str) -> None:
    """No traceback of the HTTP library."""
    with pytest.raises(RestError, match="can't be asked"):
        rekt.liquidations(day, source="http://127.0.0.1:9")


def test_lone_times_mean_what_they_look_like() -> None:
    """A month is that month, a date that day, an hour that hour."""
    day = 86_400_000
    month = window_of("2026-02", None)
    assert month.end - month.start == 28 * day
    assert window_of("2026-12", None).end == window_of("2027-01", None).start
    assert window_of("2026-07-16", None).end - window_of("2026-07-16", None).start == day
    assert window_of("2026-07-16T12", None).end - window_of("2026-07-16T12", None).start == day // 24
    with pytest.raises(UsageError, match="empty"):
        window_of("2026-07-16", "2026-07-16")


def test_importing_the_package_is_light() -> None:
    """`import rekt` brings no data frame library; unknown names are errors."""
    import subprocess
    import sys

    code = "import sys, rekt; assert not {'pandas', 'polars', 'pyarrow', 'apsw'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError):
        _ = rekt.nothing
