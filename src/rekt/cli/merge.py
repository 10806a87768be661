"""`rekt merge`: another recorder's ledger into this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rekt.cli import _common


def command(
    ctx: typer.Context,
    other: Annotated[
        Path, typer.Argument(metavar="OTHER.db", help="The ledger to take from; it stays as it is.")
    ],
    as_json: _common.Json = False,
) -> None:
    """Unite another ledger with this one: events, connections, coverage.

    Events that both have are there once. Hours that were final and change keep their old numbers and the reason.
    """
    from rekt import tapes

    settings = _common.settings(ctx)
    with _common.waiting("merging"):
        new, repeats = tapes.merge(settings, other)
    if as_json:
        _common.print_json({"new": new, "repeats": repeats})
        return
    _common.console().print(
        f"{new:,} new events, {repeats:,} that were there already; ledger {settings.ledger_path}"
    )
