"""`rekt doctor`: whether everything a recording needs is there."""

from __future__ import annotations

import typer

from rekt.cli import _common


def command(ctx: typer.Context, as_json: _common.Json = False) -> None:
    """Check configuration, disk, clock, SQLite, ledger and every endpoint, in at most 15 seconds.

    Exit code 1 when something fails; warnings alone are 0.
    """
    from rekt.cli import _checks

    found = []
    if as_json:
        for check in _checks.all_checks(_common.settings(ctx)):
            found.append(check)
            _common.print_json(check._asdict())
    else:
        from rich.text import Text

        from rekt.log import clean

        console = _common.console()
        colours = {"ok": _common.GOOD, "warn": _common.WARN, "fail": f"bold {_common.WARN}"}
        with _common.waiting("asking the endpoints"):
            found = list(_checks.all_checks(_common.settings(ctx)))
        for check in found:
            line = Text.assemble(
                (f"{check.state:<5}", colours[check.state]), f"{check.name:<15}", clean(check.text)
            )
            console.print(line, soft_wrap=True)
            if check.hint:
                console.print(Text(f"{'':<20}{clean(check.hint)}", style="dim"), soft_wrap=True)
    if any(check.state == "fail" for check in found):
        raise typer.Exit(1)
