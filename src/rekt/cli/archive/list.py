"""`rekt archive list`: which days are archived."""

from __future__ import annotations

import typer

from rekt.cli import _common
from rekt.cli.archive._days import FolderOption, folder_of


def command(ctx: typer.Context, folder: FolderOption = None, as_json: _common.Json = False) -> None:
    """List the archived days: rows, dollars, share recorded; with --json their manifests."""
    from rich.table import Table

    from rekt.archive.folder import Folder

    target = Folder(folder_of(_common.settings(ctx), folder))
    found = [manifest for day in target.days() if (manifest := target.manifest(day)) is not None]
    if as_json:
        for manifest in found:
            _common.print_json(manifest)
        return
    if not found:
        typer.echo(f"no day is archived in {target.path}")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("day (UTC)", no_wrap=True)
    for column in ("rows", "count", "USD", "recorded", "size", "revision"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            one["day"],
            f"{one['rows']:,}",
            f"{one['count']:,}",
            _common.usd(int(one["total_usd"].replace(".", ""))),  # six decimals: micro-dollars
            _common.percent(one["coverage"]),
            _common.size(one["bytes"]),
            str(one["revision"]),
        )
    _common.console().print(table)
