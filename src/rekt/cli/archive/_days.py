"""`rekt archive`: closed days as Parquet files with a manifest each."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common
from rekt.errors import UsageError
from rekt.fields import DAY, iso_ms

if TYPE_CHECKING:
    from rekt.archive.seal import Outcome
    from rekt.config import Settings
    from rekt.stores.sqlite.days import DayReader

_log = logging.getLogger("rekt.archive")

SHOWN = (
    "revision",
    "file",
    "rows",
    "sha256",
    "count",
    "total_usd",
    "coverage",
)  # of the manifest, with --json

FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", metavar="PATH", help="The archive; default: archive/ beside the ledger."),
]


def command(
    ctx: typer.Context,
    day: Annotated[
        list[str] | None, typer.Option("--day", metavar="DAY", help="This day only; may be given again.")
    ] = None,
    start: _common.FromOption = None,
    end: _common.ToOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every closed day that is not archived yet: so without a time, too.")
    ] = False,
    revise: Annotated[
        bool, typer.Option("--revise", help="Write days that changed since they were archived anew.")
    ] = False,
    folder: FolderOption = None,
    as_json: _common.Json = False,
) -> None:
    """Write closed days into the archive: a Parquet file and a manifest each; days that are there stay as they are.

    Without a time: every closed day of the ledger. A day that changed later is told, and written anew only with --revise.
    """
    from rekt import app, groups
    from rekt.archive.folder import Folder
    from rekt.archive.seal import Archivist
    from rekt.stores.sqlite.days import DayReader

    if sum(map(bool, (day, start or end, every))) > 1:
        raise UsageError("--day, --from/--to and --all exclude each other", hint="say the time in one way")
    groups.need("data", "rekt archive")
    settings = _common.settings(ctx)
    target = Folder(folder_of(settings, folder))
    now = _common.now_ms()
    found: list[Outcome] = []
    with DayReader(settings.ledger_path) as ledger:
        days = _days(ledger, day, start, end, now)
        try:
            with target.alone(), _common.progress("archiving") as tell:

                def told(name: str, rows: int, whole: int) -> None:
                    tell(rows, whole, f"{name}: {rows:,}")

                archivist = Archivist(target, ledger, now_us=now * 1000, settle=app.settle_ms(), told=told)
                for number, one in enumerate(days):
                    tell(number, len(days), iso_ms(one)[:10])
                    found.append(archivist.seal(one, revise=revise))
        finally:  # also of what was done before something failed; not while the bar is shown
            for outcome in found:
                _tell(outcome, as_json=as_json)
    if not as_json:
        _conclude(found, target.path, chosen=bool(day or start))
    refused = {"damaged"} | ({"not closed", "pruned"} if day else set())
    if any(outcome.result in refused for outcome in found):
        raise typer.Exit(1)


def folder_of(settings: Settings, given: Path | None) -> Path:
    """Where the archive is; a folder that is given is relative to the working directory."""
    return settings.data_folder / "archive" if given is None else given


def _days(
    ledger: DayReader, day: list[str] | None, start: str | None, end: str | None, now: int
) -> list[int]:
    """The days that are asked for, ms: those named, or the recorded ones that lie in the time."""
    from rekt.archive.folder import day_window

    if day:
        return sorted({day_window(one).start for one in day})
    if not start and not end:
        return ledger.recorded_days(now)
    window = _common.asked(None, None, start, end, now).window
    today = now - now % DAY
    return [one for one in ledger.recorded_days(min(window.end, today + DAY)) if one >= window.start]


def _tell(one: Outcome, *, as_json: bool) -> None:
    """A day on standard output where something was done, on the log where something is to be done."""
    if as_json:
        said = {name: (one.manifest or {}).get(name) for name in SHOWN}
        _common.print_json({"day": one.day, "result": one.result, "reason": one.reason or None, **said})
    elif one.result in ("archived", "revised") and one.manifest:
        said = one.manifest
        typer.echo(
            f"{one.day}: {said['rows']:,} rows, {_common.percent(said['coverage'])} recorded, {said['file']}"
            f" ({_common.size(said['bytes'])})"
            + (f", revision {said['revision']}" if one.result == "revised" else "")
        )
    elif one.result == "changed":
        _log.warning("%s changed since it was archived: %s; --revise writes it anew", one.day, one.reason)
    elif one.result == "damaged":
        _log.error("%s is damaged in the archive: %s", one.day, one.reason)
    elif one.result != "unchanged":
        _log.warning("%s is left out (%s): %s", one.day, one.result, one.reason)


def _conclude(found: list[Outcome], path: Path, *, chosen: bool) -> None:
    new = sum(one.result in ("archived", "revised") for one in found)
    same = sum(one.result == "unchanged" for one in found)
    if not found:
        what = "nothing is recorded of a day in that time" if chosen else "no day is closed yet"
    else:
        what = f"{new:,} {'day' if new == 1 else 'days'} written, {same:,} as they were"
        if left := len(found) - new - same:
            what += f", {left:,} left out"
    typer.echo(f"{what}; archive {path}")
