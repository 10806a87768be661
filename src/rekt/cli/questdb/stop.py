"""`rekt questdb stop`: end the server that was started here."""

from __future__ import annotations

import typer

from rekt.cli import _common


def command(ctx: typer.Context) -> None:
    """Stop the server that `rekt questdb start` started, and no other; its data stays."""
    from rekt import shipping

    server = shipping.server(_common.settings(ctx))
    with _common.waiting("stopping QuestDB"):
        stopped = server.stop()
    typer.echo("QuestDB is stopped; its data stays" if stopped else "no QuestDB of this data folder runs")
