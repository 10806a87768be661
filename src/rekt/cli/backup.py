"""`rekt backup`: a copy of the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rekt.cli import _common
from rekt.errors import UsageError


def command(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The copy; it must not exist yet.", show_default=False)
    ],
) -> None:
    """Copy the ledger, consistently, also while it is being recorded into."""
    import time

    if file.exists() or file.is_symlink():
        raise UsageError(f"{file} is there already", hint="nothing is overwritten: name another file")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"the folder {file.absolute().parent} does not exist")
    began = time.monotonic()
    with _common.ledger(ctx) as ledger, _common.waiting("copying the ledger"):
        ledger.backup(file)
    size, seconds = file.stat().st_size, time.monotonic() - began
    _common.console().print(f"{file}: {_common.size(size)}, {seconds:.1f} s")
