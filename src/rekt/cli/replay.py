"""`rekt replay`: recorded frames into the ledger."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from rekt.cli import _common

if TYPE_CHECKING:
    from rekt.model import Market

_log = logging.getLogger("rekt.replay")


def command(
    ctx: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Tapes, also .gz and .zst; - is standard input.")
    ],
    venue: Annotated[
        str | None,
        typer.Option("--venue", metavar="NAME", help="Whose the frames are that don't name their venue."),
    ] = None,
    market: Annotated[
        str | None,
        typer.Option(
            "--market", metavar="NAME", help="linear or inverse: theirs, for a venue whose frames don't tell."
        ),
    ] = None,
    as_json: _common.Json = False,
) -> None:
    """Record frames from files into the ledger, again and again without harm: what is there already stays as it is.

    One frame a line: own tapes, wrapped frames, bare payloads, or the frame under `raw`; `recv_ts` (ms) is the
    receive time.
    """
    from rekt import tapes
    from rekt.errors import UsageError
    from rekt.wire.tape import read_tape

    for file in files:
        if str(file) != "-" and not file.is_file():
            raise UsageError(f"the tape {file} {'is a folder' if file.is_dir() else 'does not exist'}")
    settings = _common.settings(ctx)
    with _common.waiting("replaying"):
        done = tapes.replay(
            settings, (read_tape(file) for file in files), default=venue, market=_market(market)
        )
    progress = done.progress
    if as_json:
        _common.print_json(
            {
                "lines": done.lines,
                "events": progress.events,
                "stored": progress.stored,
                "duplicate": progress.duplicate,
                "control": progress.control,
                "quarantined": progress.quarantined,
            }
        )
        return
    if done.lines and progress.quarantined == done.lines:
        _log.warning("not one line of it is a frame of a venue: is it a tape?")
    console = _common.console()
    console.print(
        f"{done.lines:,} lines: {progress.events:,} new events, {progress.duplicate:,} repeats, "
        f"{progress.control:,} others, {progress.quarantined:,} in quarantine; ledger {settings.ledger_path}"
    )
    if done.documents:
        console.print(
            f"The list of contracts can't be had ({done.documents}): some values stay unknown for now."
        )


def _market(name: str | None) -> Market | None:
    from rekt.errors import UsageError

    if name not in (None, "linear", "inverse"):
        raise UsageError(f"no market is called {name!r}", hint="write linear or inverse")
    return cast("Market | None", name)
