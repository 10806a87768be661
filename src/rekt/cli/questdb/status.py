"""`rekt questdb status`: the server, and how far the ledger's rows have come."""

from __future__ import annotations

import typer

from rekt.cli import _common


def command(ctx: typer.Context, as_json: _common.Json = False) -> None:
    """Show whether QuestDB answers, and how many rows of the ledger it still lacks."""
    from rekt import shipping

    found = shipping.status(_common.settings(ctx))
    if as_json:
        _common.print_json(found)
        return
    from rich.text import Text

    from rekt.log import clean

    console = _common.console()
    mark = ("● running", _common.GOOD) if found["running"] else ("○ not running", _common.WARN)
    version = f"   QuestDB {found['version']}" if found["version"] else ""
    console.print(Text.assemble(mark, f"   {found['url']}{version}, table {found['table']}"))
    if found["rows_behind"] is not None:
        acked = found["last_ack"] or "never"
        console.print(
            f"{found['rows_behind']:,} rows of the ledger are to be sent; acknowledged last: {acked}"
        )
    if found["refused"]:
        console.print(Text(f"{found['refused']:,} rows were refused and are set aside", style=_common.WARN))
    if found["last_audit"]:
        console.print(f"last audit without a difference: {found['last_audit']}")
    if found["suspended"]:
        console.print(Text("a table is suspended: what it acknowledges can't be read", style=_common.WARN))
    if found["last_error"]:
        console.print(Text(clean(found["last_error"]), style=_common.WARN), soft_wrap=True)
