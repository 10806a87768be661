"""`rekt liquidations`: the events themselves."""

from __future__ import annotations

import sys
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rekt.cli import _common
from rekt.errors import UsageError
from rekt.fields import is_decimal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rekt.model import Liquidation


def command(
    ctx: typer.Context,
    hour: _common.HourOption = None,
    last: _common.LastOption = None,
    start: _common.FromOption = None,
    end: _common.ToOption = None,
    venue: _common.VenueOption = None,
    symbol: Annotated[
        str | None, typer.Option(metavar="SYMBOL", help="Only this symbol, as the venue spells it.")
    ] = None,
    side: Annotated[
        Literal["long", "short"] | None,
        typer.Option(help="Only positions of this side.", case_sensitive=False),
    ] = None,
    min_usd: Annotated[
        str | None, typer.Option(metavar="USD", help="Only from this notional on; leaves out unknown ones.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="At most so many; all without it.")
    ] = None,
    store: _common.StoreOption = None,
    as_json: _common.Json = False,
) -> None:
    """List liquidations by trade time; those of the hour that ended last where no time is given."""
    asked = _common.asked(hour, last, start, end, _common.now_ms())
    least = _dollars(min_usd)
    with _common.store(ctx, store, asked.window.start) as ledger:
        only = _common.venue_of(venue, ledger)
        found: Iterator[Liquidation] = ledger.liquidations(
            asked.window, venue=only, symbol=symbol, side=side, min_usd=least
        )
        if limit is not None:
            found = islice(found, limit)
        if as_json:
            from rekt.objects import liquidation_object

            for event in found:
                _common.print_json(liquidation_object(event))
        else:
            _print(found, asked, several=only is None and len(ledger.venues()) > 1)


def _dollars(text: str | None) -> Decimal | None:
    if text is None:
        return None
    plain = text.replace(",", "").removeprefix("$")
    if not is_decimal(plain):
        raise UsageError(f"--min-usd {text!r} is no amount of dollars", hint="write 100000 or 2500.50")
    return Decimal(plain)


def _print(found: Iterator[Liquidation], asked: _common.Asked, *, several: bool) -> None:
    """One row as it is read, so that any number of them shows at once and needs no memory.

    `several`: there is more than one venue, and each row names its own.
    """
    from rich.cells import cell_len
    from rich.text import Text

    from rekt.fields import iso_ms
    from rekt.log import clean

    console = _common.console()
    coloured = console.color_system is not None
    count = 0
    for event in found:
        if not count:
            named = f"{'venue':<8} " if several else ""
            head = f"{'trade time (UTC)':<23}  {named}{'symbol':<18} {'side':<5} {'USD':>13}  {'price':>14}  {'quantity':>14}"
            console.print(Text(head, style="bold"))
        count += 1
        symbol = clean(event.symbol)
        pad = " " * max(0, 18 - cell_len(symbol))
        usd = "unknown" if event.notional is None else f"{event.notional / 1e6:,.0f}"
        price, quantity = (
            event.average_price or event.price or "?",
            event.filled_quantity or event.quantity or "?",
        )
        time = iso_ms(event.trade_time).replace("T", " ").rstrip("Z")
        status = "" if event.counts else f"  {clean(event.status or '')}, not counted"
        named = f"{clean(event.feed.venue):<8} " if several else ""
        before, after = f"{time}  {named}{symbol}{pad} ", f" {usd:>13}  {price:>14}  {quantity:>14}{status}"
        if coloured:
            colour = _common.LONG if event.side == "long" else _common.SHORT
            console.print(Text.assemble(before, (f"{event.side:<5}", colour), after), soft_wrap=True)
        else:
            sys.stdout.write(f"{before}{event.side:<5}{after}\n")
    if not count:
        window = asked.window
        console.print(
            f"no liquidation from {_common.moment(window.start)} to {_common.moment(window.end)} UTC fits"
        )
