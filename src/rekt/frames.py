"""Liquidations and hours as data frames: from the ledger, a folder of Parquet files, or a running `rekt serve`.

    import rekt
    rekt.liquidations("2026-07-16", side="long")                      # that day, as a pandas frame
    rekt.hours("-7d", "now", frame="polars")                          # each hour of a week
    rekt.liquidations("-1h", source="http://127.0.0.1:8765")          # from a server
    rekt.liquidations("2026-07", "2026-08", source="archive/")        # from exported files

Times are those of the command line, UTC where bare. A date or hour alone means that day or hour; anything else alone
means from then until now. Figures are floats for ease; `exact=True` leaves them as they are kept: the venue's digits
as text, dollars as decimals.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack, overload
from urllib.parse import urlsplit

from rekt import groups
from rekt.errors import RestError, UsageError
from rekt.fields import DAY, HOUR, iso_ms, parse_time
from rekt.model import Side, Window

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from rekt.config import Settings

Frame: TypeAlias = "pandas.DataFrame | polars.DataFrame | pyarrow.Table"

Kind = Literal["pandas", "polars", "arrow"]
_MONTH = re.compile(r"\d{4}-\d{2}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_HOUR = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}")


class Where(TypedDict, total=False):
    """Where to read, and how exact."""

    source: str | Path | None
    token: str | None
    config: str | None
    exact: bool


class Wanted(Where, total=False):
    """Which liquidations."""

    venue: str | None
    symbol: str | None
    side: Side | None
    min_usd: float | str | None


@overload
def liquidations(
    start: str, end: str | None = None, *, frame: Literal["pandas"] = "pandas", **wanted: Unpack[Wanted]
) -> pandas.DataFrame: ...
@overload
def liquidations(
    start: str, end: str | None = None, *, frame: Literal["polars"], **wanted: Unpack[Wanted]
) -> polars.DataFrame: ...
@overload
def liquidations(
    start: str, end: str | None = None, *, frame: Literal["arrow"], **wanted: Unpack[Wanted]
) -> pyarrow.Table: ...
def liquidations(
    start: str,
    end: str | None = None,
    *,
    venue: str | None = None,
    symbol: str | None = None,
    side: Side | None = None,
    min_usd: float | str | None = None,
    source: str | Path | None = None,
    token: str | None = None,
    config: str | None = None,
    frame: Kind = "pandas",
    exact: bool = False,
) -> Frame:
    """The liquidations of a time, one a row, by trade time; the columns are the keys of the documented object.

    `source`: a ledger's file, a folder of Parquet files (as `rekt export` writes), the address of a server (with its
    `token`), or None for the configured ledger (`config` names another configuration). Raises RektError.
    """
    groups.need("data", "rekt.liquidations")
    window = window_of(start, end)
    wanted = {
        "venue": venue,
        "symbol": symbol,
        "side": side,
        "min_usd": None if min_usd is None else str(min_usd),
    }
    return _as(_events(window, wanted, source, token, config), frame, exact=exact)


@overload
def hours(
    start: str, end: str | None = None, *, frame: Literal["pandas"] = "pandas", **where: Unpack[Where]
) -> pandas.DataFrame: ...
@overload
def hours(
    start: str, end: str | None = None, *, frame: Literal["polars"], **where: Unpack[Where]
) -> polars.DataFrame: ...
@overload
def hours(
    start: str, end: str | None = None, *, frame: Literal["arrow"], **where: Unpack[Where]
) -> pyarrow.Table: ...
def hours(
    start: str,
    end: str | None = None,
    *,
    source: str | Path | None = None,
    token: str | None = None,
    config: str | None = None,
    frame: Kind = "pandas",
    exact: bool = False,
) -> Frame:
    """Each hour that begins in a time, one a row: counts, dollars, the largest, coverage, whether it is final.

    The numbers are those of `rekt summary`. An archive gives the hours of its days; a folder of other files can't say
    what was not recorded, and is refused.
    """
    groups.need("data", "rekt.hours")
    from rekt import tables

    window = window_of(start, end)
    starts = range(-(-window.start // HOUR) * HOUR, min(window.end, _now()), HOUR)
    if _is_server(source):
        found = [
            _ask(str(source), "summary", {"hour": iso_ms(one), "quality": "no"}, token) for one in starts
        ]
        return _as(tables.of_hour_objects(found), frame, exact=exact)
    if source is not None and Path(source).is_dir():
        return _as(tables.of_hour_objects(_archived_hours(Path(source), starts)), frame, exact=exact)
    from rekt import app
    from rekt.stats.summary import summarise

    now, traits = _now(), app.traits()
    with app.reader(_settings(source, config)) as reader:
        summaries = [summarise(reader, Window(one, one + HOUR), now, traits=traits) for one in starts]
    return _as(tables.of_hours(summaries), frame, exact=exact)


def window_of(start: str, end: str | None) -> Window:
    """The window that times name; a lone month, date or hour is that month, day or hour."""
    now = _now()
    if _MONTH.fullmatch(start):
        first = parse_time(f"{start}-01", now)
        after = f"{int(start[:4]) + (start[5:] == '12')}-{int(start[5:]) % 12 + 1:02d}"
        return Window(first, parse_time(f"{after}-01", now) if end is None else window_of(end, None).start)
    first = parse_time(start, now)
    if end is not None:
        last = parse_time(f"{end}-01" if _MONTH.fullmatch(end) else end, now)
    elif _DATE.fullmatch(start):
        last = first + DAY
    else:
        last = first + HOUR if _HOUR.fullmatch(start) else now
    if last <= first:
        raise UsageError(
            "the window is empty", hint="the end, which is not included, must come after the start"
        )
    return Window(first, last)


def _events(
    window: Window,
    wanted: dict[str, str | None],
    source: str | Path | None,
    token: str | None,
    config: str | None,
) -> pyarrow.Table:
    from decimal import Decimal

    from rekt import tables

    if _is_server(source):
        items = list(_pages(str(source), window, wanted, token))
        return tables.of_objects(items[::-1])
    if source is not None and Path(source).is_dir():
        return _archived(Path(source), window, wanted)
    from rekt import app

    side: Any = wanted["side"]
    least = None if wanted["min_usd"] is None else Decimal(wanted["min_usd"])
    with app.reader(_settings(source, config)) as reader:
        found = reader.liquidations(
            window, venue=wanted["venue"], symbol=wanted["symbol"], side=side, min_usd=least
        )
        return tables.of_events(found)


def _archived(folder: Path, window: Window, wanted: dict[str, str | None]) -> pyarrow.Table:
    from datetime import UTC, datetime
    from decimal import Decimal

    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    from rekt.archive.folder import rows_files

    files = rows_files(folder)
    if not files:
        raise UsageError(
            f"no Parquet file lies in {folder}", hint="`rekt archive` and `rekt export` write them"
        )
    data = ds.dataset([str(file) for file in files], format="parquet")
    moments = [datetime.fromtimestamp(ms / 1000, UTC) for ms in window]
    fits = (pc.field("trade_time") >= moments[0]) & (pc.field("trade_time") < moments[1])
    for name in ("venue", "symbol", "side"):
        if wanted[name] is not None:
            fits &= pc.field(name) == wanted[name]
    if wanted["min_usd"] is not None:
        fits &= pc.field("notional_usd") >= Decimal(wanted["min_usd"])
    table = data.to_table(filter=fits)
    return table.sort_by([("trade_time", "ascending"), ("uid", "ascending")])


def _archived_hours(folder: Path, starts: range) -> list[dict[str, Any]]:
    from rekt.archive.folder import Folder

    archive = Folder(folder)
    if not (days := archive.days()):
        raise UsageError(
            "hours need a ledger, an archive or a server",
            hint="a folder of files does not tell what was missed",
        )
    wanted = {iso_ms(one) for one in starts}
    manifests = [archive.manifest(day) for day in days if any(hour.startswith(day) for hour in wanted)]
    return [hour for one in manifests if one is not None for hour in one["hours"] if hour["hour"] in wanted]


def _pages(
    url: str, window: Window, wanted: dict[str, str | None], token: str | None
) -> Iterator[dict[str, Any]]:
    query = {"from": iso_ms(window.start), "to": iso_ms(window.end), "limit": "1000"}
    query |= {name: value for name, value in wanted.items() if value is not None}
    while True:
        page = _ask(url, "liquidations", query, token)
        yield from page["items"]
        if page["next"] is None:
            return
        query["cursor"] = page["next"]


def _ask(url: str, path: str, query: dict[str, str], token: str | None) -> dict[str, Any]:
    import httpx

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for attempt in range(20):
        try:
            answer = httpx.get(f"{url.rstrip('/')}/api/v1/{path}", params=query, headers=headers, timeout=60)
            if answer.status_code == 429 and attempt < 19:
                time.sleep(float(answer.headers.get("Retry-After", 1)))
                continue
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise RestError(f"{url} can't be asked: {error}", hint="is `rekt serve` running there?") from None
        if answer.status_code != 200:
            raise RestError(
                f"{url} answers: {told.get('error', answer.status_code)}", hint=told.get("hint") or ""
            )
        return dict(told)
    raise AssertionError("the last attempt returned or raised")  # pragma: no cover


def _settings(source: str | Path | None, config: str | None) -> Settings:
    from dataclasses import replace

    from rekt import app

    found = app.settings(config)
    return found if source is None else replace(found, ledger_path=Path(source))


def _is_server(source: str | Path | None) -> bool:
    return isinstance(source, str) and urlsplit(source).scheme in ("http", "https")


def _as(table: pyarrow.Table, frame: Kind, *, exact: bool) -> Frame:
    if frame not in ("pandas", "polars", "arrow"):
        raise UsageError(f"no frame is called {frame!r}", hint="known: pandas, polars, arrow")
    if not exact:
        table = _floats(table)
    if frame == "pandas":
        shown: pandas.DataFrame = table.to_pandas()
        return shown
    if frame == "polars":
        import polars

        found = polars.from_arrow(table)
        assert isinstance(found, polars.DataFrame)  # noqa: S101 - a table always becomes one
        return found
    return table


def _floats(table: pyarrow.Table) -> pyarrow.Table:
    import pyarrow as pa

    from rekt.tables import DIGITS

    for index, field in enumerate(table.schema):
        if field.name in DIGITS or pa.types.is_decimal(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.float64()))
    return table


def _now() -> int:
    return time.time_ns() // 1_000_000
