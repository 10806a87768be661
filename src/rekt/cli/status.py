"""`rekt status`: what the ledger holds and whether it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rekt.cli import _common

if TYPE_CHECKING:
    from rich.table import Table

    from rekt.model import Connection

SHOWN = 8  # connections
LOST_MS = 60_000  # a connection that is open and silent for so long belongs to a process that is gone


def command(ctx: typer.Context, as_json: _common.Json = False) -> None:
    """Show whether recording goes on, the frames so far, the connections and the ledger."""
    from rekt import app

    settings = _common.settings(ctx)
    recording = app.recording(settings.ledger_path)
    with _common.ledger(ctx) as ledger:
        if as_json:
            import apsw

            from rekt.stats.status import status_object

            version = apsw.sqlite_lib_version()
            _common.print_json(status_object(ledger, recording=recording, sqlite_version=version))
            return
        counters, connections = ledger.counters(), ledger.connections(None)
        runs, rows, last = len(ledger.runs()), ledger.rows(), ledger.last_trade_time()
        size = ledger.size()
    from rich.text import Text

    console = _common.console()
    now = _common.now_ms()
    mark = ("● recording", _common.GOOD) if recording else ("○ not recording", _common.WARN)
    console.print(Text.assemble(mark, f"   {settings.ledger_path}"))
    traded = f", the last traded {_common.length(max(0, now - last))} ago" if last is not None else ""
    console.print(
        f"{rows:,} liquidations{traded}; {_common.size(size)}, {runs:,} run{'s' if runs != 1 else ''}"
    )
    console.print(
        f"{counters.received:,} frames received = {counters.stored:,} stored + {counters.duplicate:,} repeats"
        f" + {counters.control:,} control + {counters.quarantined:,} in quarantine"
    )
    if connections:
        console.print()
        console.print(_table(connections[-SHOWN:], now))
        if len(connections) > SHOWN:
            console.print(f"and {len(connections) - SHOWN:,} earlier connections (--json has all)")


def _table(connections: list[Connection], now: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    from rekt.log import clean

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("connection", "opened (UTC)", "lasted", "last canary", "closed"):
        table.add_column(column, no_wrap=True)
    for one in connections:
        end = one.closed_us or (one.last_frame_us or one.opened_us)
        canary = (
            f"{_common.length(max(0, now - one.last_canary_us // 1000))} ago"
            if one.last_canary_us
            else "never"
        )
        silent = now - (one.last_frame_us or one.opened_us) // 1000 > LOST_MS
        closed = (
            clean(one.cause or "closed") if one.closed_us else "never told (killed?)" if silent else "open"
        )
        table.add_row(
            Text(f"{one.venue} {one.id[:8]}"),
            _common.moment(one.opened_us // 1000),
            _common.length((end - one.opened_us) // 1000),
            canary,
            Text(closed),
        )
    return table
