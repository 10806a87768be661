"""`rekt serve`: the dashboard and the HTTP API."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from typing import Annotated

import typer

from rekt.cli import _common

log = logging.getLogger("rekt.serve")

LOWER = 10  # of 19 steps below a recorder


def _give_way(*, beside: bool) -> None:
    """Where processor time is short the recorder has it first. For threads that are started from now on.

    `beside` one, as its child in its session: on Linux it gets only what the recorder leaves, since the scheduler does
    not cut a slice short that a process of the same class has begun, and those are milliseconds (sched(7)).
    """
    os.nice(LOWER)
    if beside and hasattr(os, "SCHED_IDLE"):
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
    if until_eof:
        # It is not in the group that owns the recorder's terminal: what it writes there must not stop it.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    from rekt import groups

    groups.need("dashboard", "rekt serve")
    with suppress(groups.ExtraMissing):  # Parquet needs it; all else goes without
        groups.need("data", "rekt serve")
    import asyncio

    from rekt import app
    from rekt.dashboard.server import listen, serve

    _give_way(beside=until_eof)
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

    asyncio.run(serve(dashboard, socket, ready=ready, until_eof=until_eof))
