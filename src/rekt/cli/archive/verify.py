"""`rekt archive verify`: whether archived days are what their manifests, the ledger and the tapes say."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common
from rekt.cli.archive._days import FolderOption, folder_of
from rekt.errors import UsageError
from rekt.fields import DAY

if TYPE_CHECKING:
    from rekt.config import Settings
    from rekt.store import Listing

_log = logging.getLogger("rekt.archive")
_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2})-\w+(?:\.\d+)?\.jsonl", re.ASCII)  # as `rekt run --tape` names them


def command(
    ctx: typer.Context,
    days: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DAY]...", help="The days, such as 2026-07-16; all archived ones where left out."
        ),
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Hold them against the ledger too, row by row.")
    ] = False,
    tapes: Annotated[
        list[Path] | None,
        typer.Option(
            "--tapes",
            metavar="PATH",
            help="Hold them against the events of these tapes; a folder or a file, again.",
        ),
    ] = None,
    folder: FolderOption = None,
    as_json: _common.Json = False,
) -> None:
    """Prove archived days: digest, columns, order, and every sum of the manifest, added up from the rows.

    Exit code 1 when something differs; it says what and where. Reads only.
    """
    from rekt import app, groups
    from rekt.archive.folder import Folder, day_window
    from rekt.archive.verify import verify
    from rekt.stores.sqlite.days import DayReader

    groups.need("data", "rekt archive verify")
    settings = _common.settings(ctx)
    target = Folder(folder_of(settings, folder))
    for day in days or ():
        day_window(day)
    chosen = sorted(set(days)) if days else target.days()
    if not chosen:
        raise UsageError(f"no day is archived in {target.path}", hint="`rekt archive` writes them")
    found: dict[str, list[str]] = {}
    with ExitStack() as stack:
        tell = stack.enter_context(_common.progress("verifying"))
        recorded = stack.enter_context(DayReader(settings.ledger_path)) if ledger else None
        derived = _derived(stack, settings, chosen, tapes, tell) if tapes else None
        for number, day in enumerate(chosen):
            tell(number, len(chosen), day)
            found[day] = verify(
                target, day, ledger=recorded, tapes=derived, now_ms=_common.now_ms(), traits=app.traits()
            )
    stray = [] if days else [f"no manifest names {file.name}" for file in target.strays()]
    _print(found, stray, as_json=as_json)
    if stray or any(found.values()):
        raise typer.Exit(1)


def _print(found: Mapping[str, list[str]], stray: list[str], *, as_json: bool) -> None:
    from rekt.log import clean

    for day, problems in found.items():
        if as_json:
            _common.print_json({"day": day, "right": not problems, "problems": problems})
        for problem in [] if as_json else problems:
            typer.echo(clean(f"{day}: {problem}"))
    if as_json:
        return
    for one in stray:
        typer.echo(clean(one))
    wrong = sum(map(bool, found.values()))
    right = len(found) - wrong
    typer.echo(
        f"{right:,} {'day is' if right == 1 else 'days are'} right" + (f", {wrong:,} not" if wrong else "")
    )


def _derived(
    stack: ExitStack,
    settings: Settings,
    days: list[str],
    paths: list[Path],
    tell: Callable[[int, int, str], None],
) -> Listing:
    """What the tapes give of these days, in a ledger of its own that goes away again."""
    from rekt import app, tapes
    from rekt.archive.folder import day_window

    starts = {day_window(day).start for day in days}
    files = [file for path in paths for file in _files(path, starts)]
    if not files:
        raise UsageError(
            "no tape of these days lies there", hint="--tapes takes a folder of tapes, or a file"
        )
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rekt-verify-"))) / "tapes.db"
    done = tapes.rederive(settings, files, starts, scratch, told=lambda lines: tell(0, 0, f"{lines:,} lines"))
    if done.unread or done.broken:
        _log.warning(
            "%d lines of the tapes hold no frame of a venue, %d tapes end early", done.unread, done.broken
        )
    return stack.enter_context(app.reader(replace(settings, ledger_path=scratch)))


def _files(path: Path, days: Collection[int]) -> list[Path]:
    """The tapes of a folder that may hold events of these days; a file that is named is taken in any case."""
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob("*.jsonl*")
        if not (dated := _DATED.search(file.name))
        # A tape is named after the day of receipt: about midnight that is another than the trade's.
        or any(abs(_day(dated[1]) - day) <= DAY for day in days)
    )


def _day(text: str) -> int:
    from rekt.archive.folder import day_window

    try:
        return day_window(text).start
    except UsageError:  # digits that are no date
        return 0
