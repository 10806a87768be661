"""`rekt questdb audit`: whether QuestDB has what the ledger has."""

from __future__ import annotations

import typer

from rekt.cli import _common
from rekt.fields import iso_ms, money, parse_time
from rekt.model import Window


def command(
    ctx: typer.Context,
    start: _common.FromOption = None,
    end: _common.ToOption = None,
    as_json: _common.Json = False,
) -> None:
    """Compare count and sum of every hour, to the micro-dollar; changes nothing. Exit code 1 when they differ.

    Hours with rows that are still to be sent are left out.
    """
    from rekt import groups, shipping

    groups.need("questdb", "rekt questdb audit")
    settings = _common.settings(ctx)
    now = _common.now_ms()
    whole = shipping.everything()
    window = Window(
        parse_time(start, now) if start else whole.start, parse_time(end, now) if end else whole.end
    )
    with _common.waiting("comparing"):
        found, view, behind = shipping.audit(settings, window)
    if as_json:
        for one in found:
            _common.print_json(
                {
                    "hour": iso_ms(one.hour),
                    **{
                        name: {"count": sums.count, "total_usd": money(sums.total), "others": sums.others}
                        for name, sums in (("ledger", one.ledger), ("questdb", one.sink))
                    },
                }
            )
    else:
        for one in found:
            typer.echo(str(one))
        for sentence in view:
            typer.echo(sentence)
        word = "hours differ" if len(found) != 1 else "hour differs"
        typer.echo(
            (f"{len(found)} {word}" if found else "ledger and QuestDB agree in every hour")
            + (f"; {behind:,} rows are still to be sent" if behind else "")
        )
    if found or view:
        raise typer.Exit(1)
