"""`rekt serve`: the dashboard and the HTTP API."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Annotated

import typer

from rekt.cli import _common

log = logging.getLogger("rekt.serve")

LOWER = 10  # of 19 steps below a recorder


def _give_way(*, wholly: bool) -> None:
    """Where processor time is short the recorder has it first.

    Beside a recorder, in its session, `wholly` (Linux): it gets only what the recorder leaves, and the scheduler does
    not let a running slice of ours end before the recorder's thread goes on, which were milliseconds (sched(7)).
    """
    os.nice(LOWER)
    if wholly and hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # where a sandbox forbids it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def command(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to listen; 127.0.0.1 unless configured.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65535, help="8765 unless configured; 0 takes a free one."),
    ] = None,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", hidden=True, help="End when standard input does.")
    ] = False,
) -> None:
    """Show the ledger in the browser: live tape, sums, coverage; and give it out by HTTP.

    Reads only, beside a recorder or without one. An address that others reach needs a token in [DASHBOARD].
    """
    from rekt import groups

    groups.need("dashboard", "rekt serve")
    with suppress(groups.ExtraMissing):  # Parquet needs it; all else goes without
        groups.need("data", "rekt serve")
    import asyncio

    from rekt import app
    from rekt.dashboard.server import listen, serve

    settings = _common.settings(ctx)
    section = settings.section("DASHBOARD")
    host = host or section.text("host")
    dashboard = app.dashboard(settings, host)
    socket = listen(host, section.whole("port") if port is None else port)
    number = socket.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{number}"

    def ready() -> None:
        typer.echo(url)
        log.info("the dashboard of %s is at %s; Ctrl+C ends it", settings.ledger_path, url)

    _give_way(wholly=until_eof)
    asyncio.run(serve(dashboard, socket, ready=ready, until_eof=until_eof))
