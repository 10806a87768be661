"""`rekt doctor`: whether everything a recording needs is there."""

from __future__ import annotations

import typer

from rekt.cli import _common


def command(ctx: typer.Context, as_json: _common.Json = False) -> None:
    """Check configuration, disk, clock, SQLite, ledger and every endpoint, in at most 15 seconds.

    Exit code 1 when something fails; warnings alone are 0.
    """
    from rekt.cli import _check, _checks

    found = []
    if as_json:
        for check in _checks.all_checks(_common.settings(ctx)):
            found.append(check)
            _common.print_json(check._asdict())
    else:
        with _common.waiting("asking the endpoints"):
            found = list(_checks.all_checks(_common.settings(ctx)))
        _check.show(found)
    if any(check.state == "fail" for check in found):
        raise typer.Exit(1)
