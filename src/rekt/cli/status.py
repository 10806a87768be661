"""`rekt status`: what the ledger holds and whether it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from rekt.cli import _common

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rekt.model import Connection

SHOWN = 8  # connections
LOST_MS = 60_000  # a connection that is open and silent for so long belongs to a process that is gone


def command(ctx: typer.Context, as_json: _common.Json = False) -> None:
    """Show whether recording goes on, the frames so far, the connections and the ledger."""
    from rekt import app, shipping
    from rekt.stats.status import posting_object, status_object

    settings = _common.settings(ctx)
    recording = app.recording(settings.ledger_path)
    now = _common.now_ms()
    with _common.ledger(ctx) as ledger, app.posts(settings) as box:
        if as_json:
            import apsw

            version = apsw.sqlite_lib_version()
            sink = shipping.status(settings) if shipping.wanted(settings) else None
            _common.print_json(
                status_object(
                    ledger, now_ms=now, recording=recording, sqlite_version=version, sink=sink, outbox=box
                )
            )
            return
        posting = posting_object(box, now)
        counters, connections = ledger.counters(), ledger.connections(None)
        runs, rows, last = len(ledger.runs()), ledger.rows(), ledger.last_trade_time()
        size, suspicions = ledger.size(), ledger.suspicions()
    from rich.text import Text

    from rekt.log import clean

    console = _common.console()
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
    if shipping.wanted(settings):
        sink = shipping.status(settings)
        state = "answers" if sink["running"] else "does not answer"
        behind = f"{sink['rows_behind']:,} rows are to be sent" if sink["rows_behind"] is not None else ""
        console.print(Text(f"QuestDB at {sink['url']} {state}; {behind}"))
        if sink["last_error"]:
            console.print(Text(clean(sink["last_error"]), style=_common.WARN), soft_wrap=True)
    _show_posting(console, posting)
    for one in suspicions:
        since = _common.moment(one.since_us // 1000)
        words = f"suspicious since {since}Z: {one.venue}: {clean(one.text or '')}"
        console.print(Text(words, style=_common.WARN), soft_wrap=True)
    if connections:
        console.print()
        console.print(_table(connections[-SHOWN:], now))
        if len(connections) > SHOWN:
            console.print(f"and {len(connections) - SHOWN:,} earlier connections (--json has all)")


def _show_posting(console: Console, posting: dict[str, Any]) -> None:
    from rich.text import Text

    from rekt.log import clean

    posts = posting["posts"]
    if posts["latest"]:
        last = posts["latest"][0]
        spent = "".join(
            f"; {name} cost ${float(usd):.2f} this month" for name, usd in posts["spent_usd"].items()
        )
        waiting = f"; {posts['open']} not settled" if posts["open"] else ""
        console.print(
            Text(f"last post: {last['service']} {last['key']} {last['state']}{waiting}{spent}"),
            soft_wrap=True,
        )
    for alert in posting["alerts"]:
        console.print(
            Text(f"since {alert['since'][:16]}Z: {clean(alert['text'])}", style=_common.WARN), soft_wrap=True
        )


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
