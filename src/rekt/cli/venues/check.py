"""`rekt venues check`: a venue as it is, by connecting to it for real."""

from __future__ import annotations

from typing import Annotated

import typer

from rekt.cli import _common

USUAL_S = 60.0
MARGIN_S = 20.0  # to connect and subscribe


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The venue, as `rekt venues` lists it.")],
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            metavar="N",
            min=1,
            help="Listen for so long; by default 60, or until a slow canary is due.",
        ),
    ] = None,
    as_json: _common.Json = False,
) -> None:
    """Connect to a venue as the recorder would, write nothing, and tell what is seen.

    Whether it can be reached, acknowledges and ticks; what events come, how late, of what value; whether sides, units
    and sampling are what the venue says. Exit code 1 when something is wrong; what can't be told yet is no fault.
    """
    from rekt import app
    from rekt.cli import _check, _trial
    from rekt.errors import UsageError
    from rekt.service import trial

    settings = _common.settings(ctx)
    names = app.chosen(name)
    if len(names) != 1:
        raise UsageError("one venue at a time is checked", hint=f"known: {', '.join(app.chosen('all'))}")
    section = settings.section(names[0].upper())
    wanted = seconds if seconds is not None else max(USUAL_S, section.number("canary_timeout") + MARGIN_S)
    with _common.waiting(f"listening to {names[0]} for {wanted:g} s"):
        seen = trial(settings, names[0], wanted)
    found = _trial.judged(app.venue(names[0]), section, seen)
    if as_json:
        for check in found:
            _common.print_json(check._asdict())
    else:
        _check.show(found)
    if any(check.state == "fail" for check in found):
        raise typer.Exit(1)
