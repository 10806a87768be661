"""What `rekt watch` shows: the state of the feeds, the cards of the last hours, the tape; never more than the terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rekt.cli import _common
from rekt.cli._live import amount
from rekt.pipeline.joint import TOGETHER
from rekt.stats.coverage import Traits

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

WAY_MS = 3_000  # from the recorder's own limit until a feed is called dead: the way here
USUAL = Traits()
WIDEST = 27  # columns of a card
Object = dict[str, Any]


class Look(NamedTuple):
    """What came, and the cards where they are new."""

    events: list[Object]
    cards: dict[str, Object] | None
    state: str
    good: bool
    several: bool = False  # whether there are several venues: then each line names its own
    basis: tuple[str, ...] = ()  # what the cards' figures rest on


def page(
    tape: deque[Object], cards: dict[str, Object], look: Look, width: int, height: int
) -> RenderableType:
    """The screen, no more than it holds: state, the cards side by side, tape."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    each = min(WIDEST, width // max(1, len(cards)))
    row = Table.grid()
    texts = [card(one, each - 4) for one in cards.values()]
    lines = max((text.plain.count("\n") + 1 for text in texts), default=0)
    row.add_row(
        *(
            Panel(text, title=name, width=each, height=lines + 2)
            for name, text in zip(cards, texts, strict=True)
        )
    )
    notes = [Text(one, style="dim", no_wrap=True, overflow="ellipsis") for one in look.basis]
    rest = max(0, height - 1 - (lines + 2 if cards else 0) - len(notes))
    state = Text(
        look.state, style=_common.GOOD if look.good else _common.WARN, no_wrap=True, overflow="ellipsis"
    )
    rows = (line(event, several=look.several) for event in list(tape)[:rest])
    return Group(state, *([row] if cards else []), *notes, *rows)


def card(one: Object, width: int) -> Text:
    """One window: at least how much, of whom, the largest."""
    from rich.text import Text

    from rekt.log import clean

    total, long = float(one["total_usd"]), float(one["long"]["total_usd"])
    share = long / total if total else 0.0
    blind = not one["count"] and not one["coverage"]
    text = Text(
        "not recorded" if blind else _common.usd(round(total * 1e6)),
        style="bold",
        no_wrap=True,
        overflow="ellipsis",
    )
    part = round(share * width)
    text.append("\n" + "█" * part, style=_common.LONG)
    text.append("▒" * (width - part) if total else "", style=_common.SHORT)
    text.append(f"\n{_common.percent(share)} long" if total else "\n", style="not bold")
    text.append(
        "\n" + _fitting(width, f"{one['count']:,} liquidations", f"{one['count']:,}"), style="not bold"
    )
    largest = one["largest"]
    usd = _common.usd(round(float(largest["notional_usd"]) * 1e6)) if largest else ""
    name = clean(largest["symbol"])[: max(3, width - len(usd) - 1)] if largest else ""
    text.append(f"\n{name} {usd}", style="not bold dim")
    if one["coverage"] < 0.98:
        share_of = _common.percent(one["coverage"])
        text.append(
            "\n" + _fitting(width, f"{share_of} recorded", f"{share_of} rec."),
            style=f"not bold {_common.WARN}",
        )
    return text


def _fitting(width: int, words: str, short: str) -> str:
    return words if len(words) <= width else short


def state_of(
    status: Object, now_ms: int, traits: Mapping[str, Traits], only: str | None = None
) -> tuple[str, bool]:
    """The object *status* in a line: does each feed live; a dead one never reads like a calm market.

    Of several those that are dead come first, and the others by name alone. `only`: one venue's.
    """
    from rekt.log import clean

    feeds: dict[str, int] = {}
    lives = [one for one in status["connections"] if only in (None, one["venue"])]
    divided = {one["venue"] for one in lives if one["url"] == TOGETHER}
    for one in lives:  # a venue heard in parts lives while all of them do
        if one["venue"] not in divided or one["url"] == TOGETHER:
            canary = _ms(one["last_canary"]) if one["last_canary"] else 0
            feeds[one["venue"]] = max(feeds.get(one["venue"], 0), canary)
    if not status["recording"]:
        last = max(feeds.values(), default=0)
        since = f", the last sign of life {_common.length(max(0, now_ms - last))} ago" if last else ""
        return f"✗ nothing is recording{since}", False
    parts, living, good = [], [], True
    for venue, canary in sorted(feeds.items()):
        age = max(0, now_ms - canary)
        if canary and age < traits.get(venue, USUAL).canary_ms + WAY_MS:
            living.append((clean(venue), age))
        else:
            silent = f"for {_common.length(age)}" if canary else "yet"
            parts.append(f"{clean(venue)} ✗ dead feed: no sign of life {silent}")
            good = False
    if len(feeds) == 1 and living:
        parts.append(f"{living[0][0]} ● live {living[0][1] / 1000:.1f} s")
    elif living:
        names = ", ".join(venue for venue, _ in living)
        parts.append(f"{len(living)} of {len(feeds)} ● live: {names}")
    last = status["ledger"]["last_trade_time"]
    if last and good:
        parts.append(f"last liquidation {_common.length(max(0, now_ms - _ms(last)))} ago")
    return " · ".join(parts) or "○ connecting", good


def _ms(text: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(text).timestamp() * 1000)


def line(event: Object, *, several: bool = False) -> RenderableType:
    """One liquidation: time, its venue where there are several, symbol, side, dollars, price."""
    from rich.cells import cell_len
    from rich.text import Text

    from rekt.log import clean

    symbol = clean(event["symbol"])[:40]
    venue = f"{clean(event['venue'])[:8]:<8} " if several else ""
    worth = event["notional_usd"]
    usd = "unknown" if worth is None else _common.usd(round(float(worth) * 1e6))
    return Text.assemble(
        f"{event['trade_time'][11:19]}  {venue}{symbol}{' ' * max(0, 18 - cell_len(symbol))} ",
        (f"{event['side']:<5}", _common.LONG if event["side"] == "long" else _common.SHORT),
        f" {usd:>10}  ",
        (amount(event["filled_quantity"], event["average_price"] or event["price"]), "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )
