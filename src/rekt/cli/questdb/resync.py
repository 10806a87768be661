"""`rekt questdb resync`: give QuestDB the ledger again."""

from __future__ import annotations

import typer

from rekt.cli import _common
from rekt.fields import parse_time
from rekt.model import Window


def command(ctx: typer.Context, start: _common.FromOption = None) -> None:
    """Send every event of the ledger (from a time on) to QuestDB again: fills an empty server, harmless otherwise.

    May be done while `rekt run` is recording. Rows that were pruned from the ledger can't be sent.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rekt import groups, shipping

    groups.need("questdb", "rekt questdb resync")
    settings = _common.settings(ctx)
    now = _common.now_ms()
    window = Window(parse_time(start, now), shipping.everything().end) if start else None
    console = Console(stderr=True)
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("sending", total=None)

        def tell(done: int, of: int) -> None:
            progress.update(task, completed=done, total=None if window else of)

        sent = shipping.resync(settings, window, tell)
    typer.echo(f"{sent:,} events were sent and acknowledged; `rekt questdb audit` proves that they are there")
