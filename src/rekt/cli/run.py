"""`rekt run`: record until told to stop."""

from __future__ import annotations

from contextlib import ExitStack
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
        typer.Option("--post", help="Also post each hour (and what else [POST] asks for)."),
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Also show it in the browser, from a process of its own.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="The dashboard's port; 0 takes a free one."
        ),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Once this one delivers, tell the recorder that is running to go."),
    ] = False,
) -> None:
    """Record every liquidation until Ctrl+C, showing each as it comes.

    Needs no configuration. Several may run on one ledger at the same time: repeats vanish.
    """
    from rekt import shipping
    from rekt.cli._recording import record
    from rekt.errors import UsageError

    serve = None
    if dashboard:
        serve = ["serve", *_common.passed_on(ctx), *(["--port", str(port)] if port is not None else [])]
    elif port is not None:
        raise UsageError("--port is the dashboard's", hint="add --dashboard")
    settings = _common.settings(ctx)
    if shipping.wanted(settings):
        from rekt import groups

        shipping.check(settings)
        groups.need("questdb", "rekt run")
    with ExitStack() as beside:
        if post or settings.section("ALERTS").text("urls"):
            from rekt.cli._companion import companion

            beside.enter_context(companion(ctx, posting=post))
        record(
            settings,
            seconds=seconds,
            tape=tape,
            take_over=take_over,
            options=_common.options(ctx),
            dashboard=serve,
        )
