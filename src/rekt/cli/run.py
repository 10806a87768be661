"""`rekt run`: record until told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rekt.cli import _common


def command(
    ctx: typer.Context,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="N", min=0, help="End after so long, as Ctrl+C does.")
    ] = None,
    tape: Annotated[
        Path | None,
        typer.Option(
            "--tape", metavar="DIR", help="Also keep every frame as it came, compressed, a file a day."
        ),
    ] = None,
    post: Annotated[
        bool,
        typer.Option(
            "--post", help="Also post each hour (and what else [POST] asks for), and tell of trouble."
        ),
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Once this one delivers, tell the recorder that is running to go."),
    ] = False,
) -> None:
    """Record every liquidation until Ctrl+C, showing each as it comes.

    Needs no configuration. Several may run on one ledger at the same time: repeats vanish.
    """
    from rekt.cli._recording import record

    if not post:
        record(_common.settings(ctx), seconds=seconds, tape=tape, take_over=take_over)
        return
    from rekt.cli._companion import companion

    with companion(ctx):
        record(_common.settings(ctx), seconds=seconds, tape=tape, take_over=take_over)
