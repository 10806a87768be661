"""`rekt watch`: the live tape and the cards in a terminal, from the ledger or from a server."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from rekt.cli import _common
from rekt.errors import RestError

if TYPE_CHECKING:
    from rich.console import RenderableType

POLL_S = 0.25
CARDS_S = 2.0
WINDOWS = {"1h": 3_600_000, "4h": 4 * 3_600_000, "12h": 12 * 3_600_000, "24h": 24 * 3_600_000}
KEPT = 200
Object = dict[str, Any]


class Look(NamedTuple):
    """What came, and the cards where they are new."""

    events: list[Object]
    cards: dict[str, Object] | None
    state: str
    good: bool


def command(
    ctx: typer.Context,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Watch a running `rekt serve` instead of the ledger.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="The server's token; REKT_DASHBOARD_TOKEN where it is left out."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="N", min=0, help="End after so long.")
    ] = None,
) -> None:
    """Show liquidations as they come, and what the last hours add up to, until Ctrl+C. Works over ssh."""
    if server is not None:
        source = _remote(server, token or os.environ.get("REKT_DASHBOARD_TOKEN"))
    else:
        source = _local(ctx)
    until = None if seconds is None else time.monotonic() + seconds
    try:
        _show(source, until)
    except KeyboardInterrupt:
        return


def _show(source: Iterator[Look], until: float | None) -> None:
    from rich.live import Live

    console = _common.console()
    tape: deque[Object] = deque(maxlen=KEPT)
    cards: dict[str, Object] = {}
    live = (
        Live(console=console, screen=console.is_terminal, auto_refresh=False) if console.is_terminal else None
    )
    if live is not None:
        live.start()
    try:
        for look in source:
            tape.extendleft(look.events)
            cards = look.cards or cards
            if live is not None:
                live.update(page(tape, cards, look, console.height), refresh=True)
            else:
                for event in look.events:
                    console.print(line(event))
            if until is not None and time.monotonic() >= until:
                return
    finally:
        if live is not None:
            live.stop()


def page(tape: deque[Object], cards: dict[str, Object], look: Look, height: int) -> RenderableType:
    """The screen: state, cards, tape."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    shown = [Panel(card(one), title=name, width=27) for name, one in cards.items()]
    rest = max(3, height - (9 if shown else 3))
    state = Text(look.state, style=_common.GOOD if look.good else _common.WARN)
    return Group(state, Columns(shown), *(line(event) for event in list(tape)[:rest]))


def card(one: Object) -> RenderableType:
    """One window: at least how much, of whom, the largest."""
    from rich.text import Text

    from rekt.log import clean

    total, long = float(one["total_usd"]), float(one["long"]["total_usd"])
    share = long / total if total else 0.0
    text = Text(f"{_common.usd(round(total * 1e6))}\n", style="bold")
    width = round(share * 22)
    text.append("█" * width, style=_common.LONG)
    text.append("█" * (22 - width) + "\n" if total else "\n", style=_common.SHORT)
    text.append(f"{_common.percent(share)} long · {one['count']:,}\n", style="not bold")
    largest = one["largest"]
    words = (
        f"{clean(largest['symbol'])} {_common.usd(round(float(largest['notional_usd']) * 1e6))}"
        if largest
        else ""
    )
    text.append(words[:23], style="not bold dim")
    if one["coverage"] < 0.98:
        text.append(f"\n{_common.percent(one['coverage'])} recorded", style=f"not bold {_common.WARN}")
    return text


def line(event: Object) -> RenderableType:
    """One liquidation: time, symbol, side, dollars, price."""
    from rich.cells import cell_len
    from rich.text import Text

    from rekt.log import clean

    symbol = clean(event["symbol"])[:40]
    worth = event["notional_usd"]
    usd = "unknown" if worth is None else _common.usd(round(float(worth) * 1e6))
    return Text.assemble(
        f"{event['trade_time'][11:19]}  {symbol}{' ' * max(0, 18 - cell_len(symbol))} ",
        (f"{event['side']:<5}", _common.LONG if event["side"] == "long" else _common.SHORT),
        f" {usd:>10}  ",
        (f"{event['filled_quantity']} at {event['average_price']}", "dim"),
    )


def _local(ctx: typer.Context) -> Iterator[Look]:
    from rekt import app
    from rekt.model import Window
    from rekt.objects import hour_object, liquidation_object

    path = _common.settings(ctx).ledger_path
    with _common.ledger(ctx) as ledger:
        place = ledger.last_seq()
        now = _common.now_ms()
        recent, _ = ledger.newest(limit=50)
        events = [liquidation_object(event) for event in reversed(recent)]
        next_cards, cards, state, good = 0.0, None, "", True
        while True:
            if time.monotonic() >= next_cards:
                next_cards = time.monotonic() + CARDS_S
                now = _common.now_ms()
                cards = {
                    name: hour_object(_common.summary(ledger, Window(now - length, now), now))
                    for name, length in WINDOWS.items()
                }
                good = app.recording(path)
                state = f"{'● recording' if good else '✗ nothing is recording'}   {path}"
            yield Look(events, cards, state, good)
            time.sleep(POLL_S)
            rows = ledger.after(place)
            place = rows[-1].seq if rows else place
            events = [liquidation_object(row.event) for row in rows]


def _remote(url: str, token: str | None) -> Iterator[Look]:
    import httpx

    base = f"{url.rstrip('/')}/api/v1"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    last: str | None = None
    began = False
    while True:
        try:
            with httpx.Client(headers=headers, timeout=httpx.Timeout(10, read=15)) as client:
                if not began:
                    answer = client.get(f"{base}/liquidations", params={"limit": "50"})
                    if answer.status_code != 200:
                        raise RestError(f"{url} answers {answer.status_code}", hint="does it need --token?")
                    began = True
                    yield Look(answer.json()["items"][::-1], _cards(client, base), f"● {url}", True)
                resume = {} if last is None else {"Last-Event-ID": last}
                with client.stream("GET", f"{base}/stream", headers=resume) as stream:
                    next_cards = time.monotonic() + CARDS_S
                    fields: dict[str, str] = {}
                    for text in stream.iter_lines():
                        if text:
                            name, _, value = text.partition(": ")
                            fields[name] = value
                            continue
                        events, last = (
                            ([json.loads(fields["data"])], fields["id"]) if "id" in fields else ([], last)
                        )
                        fields = {}
                        cards = None
                        if time.monotonic() >= next_cards:
                            next_cards = time.monotonic() + CARDS_S
                            cards = _cards(client, base)
                        yield Look(events, cards, f"● {url}", True)
        except (httpx.HTTPError, ValueError) as error:
            if not began:
                raise RestError(
                    f"{url} can't be reached: {error}", hint="is `rekt serve` running there?"
                ) from None
            yield Look([], None, f"✗ {url} does not answer: trying again", False)
            time.sleep(1)


def _cards(client: Any, base: str) -> dict[str, Object]:
    return {
        name: client.get(f"{base}/summary", params={"window": name, "quality": "no"}).json()
        for name in WINDOWS
    }
