"""`rekt questdb logs`: what the server says."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from rekt.cli import _common


def command(
    ctx: typer.Context,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="The last so many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
) -> None:
    """Show the log of the server that `rekt questdb start` started."""
    from rekt import shipping
    from rekt.log import clean

    server = shipping.server(_common.settings(ctx))
    for line in server.tail(lines):
        typer.echo(clean(line))
    while follow:
        with server.log.open("rb") as file:
            place = file.seek(0, 2)
            while server.log.stat().st_size >= place:
                if line_bytes := file.readline():
                    place = file.tell()
                    typer.echo(clean(line_bytes.decode("utf-8", "replace").rstrip("\n")))
                else:
                    time.sleep(0.2)
