"""`rekt watch`: the live tape and the cards in a terminal, from the ledger or from a server."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from rekt.cli import _common
from rekt.cli._screen import Look, Object, line, page, state_of
from rekt.errors import RestError
from rekt.stats.basis import Kind, kinds, sentences

POLL_S = 0.25
CARDS_S = 2.0
WINDOWS = {"1h": 3_600_000, "4h": 4 * 3_600_000, "12h": 12 * 3_600_000, "24h": 24 * 3_600_000}
KEPT = 200


def command(
    ctx: typer.Context,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Watch a running `rekt serve` instead of the ledger.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="The server's token; REKT_DASHBOARD_TOKEN where it is left out."),
    ] = None,
    venue: _common.VenueOption = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="N", min=0, help="End after so long.")
    ] = None,
) -> None:
    """Show liquidations as they come, and what the last hours add up to, until Ctrl+C. Works over ssh."""
    if server is not None:
        source = _remote(server, token or os.environ.get("REKT_DASHBOARD_TOKEN"), venue)
    else:
        source = _local(ctx, venue)
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
                live.update(page(tape, cards, look, console.width, console.height), refresh=True)
            else:
                for event in look.events:
                    console.print(line(event, several=look.several))
            if until is not None and time.monotonic() >= until:
                return
    finally:
        if live is not None:
            live.stop()


def _local(ctx: typer.Context, venue: str | None) -> Iterator[Look]:
    import apsw

    from rekt import app
    from rekt.fields import DAY
    from rekt.model import Window
    from rekt.objects import hour_object, liquidation_object
    from rekt.stats.status import status_object

    path = _common.settings(ctx).ledger_path
    traits = app.traits()
    with _common.ledger(ctx) as ledger:
        only = _common.venue_of(venue, ledger)
        among = None if only is None else [only]
        place = ledger.last_seq()
        now = _common.now_ms()
        recent, _ = ledger.newest(limit=50, venue=only)
        events = [liquidation_object(event) for event in reversed(recent)]
        next_cards, cards, state, good = 0.0, None, "", True
        several = False
        basis: tuple[str, ...] = ()
        while True:
            if time.monotonic() >= next_cards:
                next_cards = time.monotonic() + CARDS_S
                now = _common.now_ms()
                several = only is None and len(ledger.venues()) > 1
                found = {
                    name: _common.summary(ledger, Window(now - length, now), now, among)
                    for name, length in WINDOWS.items()
                }
                cards = {name: hour_object(one) for name, one in found.items()}
                basis = tuple(sentences(kinds(found["24h"].by_venue))) if several else ()
                status = status_object(
                    ledger, now_ms=now, recording=app.recording(path), sqlite_version=apsw.sqlite_lib_version(),
                    sink=None, recent=Window(now - DAY, now + DAY),
                )  # fmt: skip
                state, good = state_of(status, now, traits, only)
                state += f"   {path}"
            yield Look(events, cards, state, good, several, basis)
            time.sleep(POLL_S)
            rows = ledger.after(place)
            place = rows[-1].seq if rows else place
            events = [
                liquidation_object(row.event) for row in rows if only is None or row.event.feed.venue == only
            ]


def _remote(url: str, token: str | None, venue: str | None) -> Iterator[Look]:
    import httpx

    from rekt import app

    traits = app.traits()
    venue = _common.venue_of(venue, None)
    asked = {} if venue is None else {"venue": venue}
    base = f"{url.rstrip('/')}/api/v1"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    last: str | None = None
    began = several = False
    basis: tuple[str, ...] = ()
    while True:
        try:
            with httpx.Client(headers=headers, timeout=httpx.Timeout(10, read=15)) as client:
                if not began:
                    answer = client.get(f"{base}/liquidations", params={"limit": "50", **asked})
                    if answer.status_code != 200:
                        raise RestError(f"{url} answers {answer.status_code}", hint="does it need --token?")
                    began = True
                    cards = _cards(client, base, asked)
                    several, basis = _mixed(cards, venue)
                    yield Look(answer.json()["items"][::-1], cards, url, True, several, basis)
                resume = {} if last is None else {"Last-Event-ID": last}
                with client.stream("GET", f"{base}/stream", headers=resume, params=asked) as stream:
                    next_cards, state, good = time.monotonic() + CARDS_S, url, True
                    ahead = _common.now_ms() - _date(stream.headers.get("date"))  # of the server's clock
                    fields: dict[str, str] = {}
                    for text in stream.iter_lines():
                        if text:
                            name, _, value = text.partition(": ")
                            fields[name] = value
                            continue
                        events = []
                        if "id" in fields:
                            events, last = [json.loads(fields["data"])], fields["id"]
                        elif fields.get("event") == "status":
                            told = json.loads(fields["data"])
                            state, good = state_of(told, _common.now_ms() - ahead, traits, venue)
                            state += f"   {url}"
                        fields = {}
                        fresh = None
                        if time.monotonic() >= next_cards:
                            next_cards = time.monotonic() + CARDS_S
                            fresh = _cards(client, base, asked)
                            several, basis = _mixed(fresh, venue)
                        yield Look(events, fresh, state, good, several, basis)
        except (httpx.HTTPError, ValueError) as error:
            if not began:
                raise RestError(
                    f"{url} can't be reached: {error}", hint="is `rekt serve` running there?"
                ) from None
            yield Look([], None, f"✗ {url} does not answer: trying again", False)
            time.sleep(1)


def _date(text: str | None) -> int:
    """An HTTP date, ms; now where there is none. It has whole seconds: half of one is added."""
    from email.utils import parsedate_to_datetime

    if text is None:
        return _common.now_ms()
    return round(parsedate_to_datetime(text).timestamp() * 1000) + 500


def _cards(client: Any, base: str, asked: dict[str, str]) -> dict[str, Object]:
    return {
        name: client.get(f"{base}/summary", params={"window": name, "quality": "no", **asked}).json()
        for name in WINDOWS
    }


def _mixed(cards: dict[str, Object], venue: str | None) -> tuple[bool, tuple[str, ...]]:
    """Whether a server tells of several venues, and what its figures rest on then."""
    told = cards["24h"]["by_venue"]
    if venue is not None or len(told) < 2:
        return False, ()
    found = [Kind(one["venue"], one["sampling"], one["price_kind"]) for one in told]
    return True, tuple(sentences(found))
