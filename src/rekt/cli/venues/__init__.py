"""`rekt venues`: which venues there are, and what their events are."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import typer

from rekt.cli import _common

if TYPE_CHECKING:
    from collections.abc import Collection

    from rekt.venue import Venue

WIDTH = 80


def command(ctx: typer.Context, as_json: _common.Json = False) -> None:
    """List the venues: which are recorded, what their events are, their limits, and what nobody has confirmed.

    A venue is recorded when [VENUES] enabled names it. Only reads the configuration: `rekt venues check` connects.
    """
    from rekt import app

    settings = _common.settings(ctx)
    on = app.enabled(settings)
    known = [app.venue(name) for name in app.chosen("all")]
    timeouts = {one.name: settings.section(one.name.upper()).number("canary_timeout") for one in known}
    if as_json:
        for one in known:
            object_ = venue_object(one, enabled=one.name in on, canary_timeout=timeouts[one.name])
            _common.print_json(object_)
        return
    typer.echo("\n".join(_table(known, on)))
    for one in known:
        typer.echo("\n".join(["", *_details(one, timeouts[one.name])]))


def venue_object(one: Venue, *, enabled: bool, canary_timeout: float) -> dict[str, Any]:
    """The object *venue*."""
    return {
        "venue": one.name,
        "enabled": enabled,
        "feeds": [
            {"market": feed.market, "price_kind": feed.price_kind, "sampling": feed.sampling}
            for feed in one.feeds
        ],
        "settle_seconds": one.settle_s,
        "canary": one.canary,
        "canary_timeout_seconds": canary_timeout,
        "limits": one.limits,
        "unconfirmed": list(one.unconfirmed),
    }


def _table(known: list[Venue], on: Collection[str]) -> list[str]:
    rows = [("", "venue", "markets", "sampling", "price", "waits")]
    rows += [
        (
            "●" if one.name in on else "",
            one.name,
            _joined([feed.market for feed in one.feeds]),
            _joined([feed.sampling for feed in one.feeds]),
            _joined([feed.price_kind for feed in one.feeds]),
            f"{one.settle_s:g} s",
        )
        for one in known
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return [*lines, "", f"● recorded: {', '.join(on)}   waits: for late events before an hour is final"]


def _joined(parts: list[str]) -> str:
    return ", ".join(dict.fromkeys(parts))


def _details(one: Venue, canary_timeout: float) -> list[str]:
    told = [("canary", f"{one.canary}; dead after {canary_timeout:g} s"), ("limits", one.limits)]
    told += [("unconfirmed" if not n else "", text) for n, text in enumerate(one.unconfirmed)]
    lines = [one.name]
    for label, text in told:
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=f"  {label:<13}", subsequent_indent=" " * 15, break_on_hyphens=False
        )
    return lines
