"""`rekt demo`: the whole program on a simulated market, without network, keys or traces."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from rekt.cli import _common


def command(
    ctx: typer.Context,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="N", min=1, help="How long to record.")
    ] = 20.0,
    scene: Annotated[
        str, typer.Option("--scene", metavar="NAME", help="How much happens: none, calm, busy or cascade.")
    ] = "busy",
    venues: Annotated[
        str | None,
        typer.Option(
            "--venues",
            metavar="NAMES",
            help="Simulate these, with commas, or all; by default the one that is recorded by default.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same market.")] = 0,
) -> None:
    """Show everything on a simulated market: record, add up, render the post.

    It records over a real socket into a ledger of its own (made anew each time) and never posts.
    """
    from rekt import app
    from rekt.cli import summary, tweet
    from rekt.cli._recording import record
    from rekt.errors import UsageError
    from rekt.fields import HOUR
    from rekt.model import Window
    from rekt.posts.compose import compose, templates
    from rekt.posts.gate import Terms
    from rekt.posts.subject import subject
    from rekt.simulator import scenes, simulated
    from rekt.simulator.market import MOODS

    if scene not in MOODS:
        raise UsageError(f"no scene is called {scene!r}", hint=f"known: {', '.join(MOODS)}")
    console = _common.console()
    with ExitStack() as stack:
        played = {
            name: stack.enter_context(simulated(venue=name, scene=scene, seed=seed, keep_sent=0))
            for name in app.chosen(venues or scenes.DEFAULT)
        }
        addresses = {name: (exchange.ws_url, exchange.rest_url) for name, exchange in played.items()}
        settings = app.demo_settings(_common.settings(ctx), addresses)
        record(settings, seconds=seconds, command="demo", mark="simulated  ")
        with app.reader(settings) as ledger:  # the demo's market ends with its last canary, not with a gap
            last = max((one.end_ms for one in ledger.alive(Window(0, 1 << 60))), default=0)
    now = last or _common.now_ms()
    hour = Window(now - now % HOUR, now - now % HOUR + HOUR)
    with app.reader(settings) as ledger:
        found = _common.summary(ledger, hour, now)
        post = subject(ledger, hour, now, traits=app.traits(), terms=Terms())
    console.print("\nSIMULATED: none of this happened at an exchange.\n", style=_common.WARN)
    summary.page(console, found, now, chosen=True)
    console.print("\nThe post of this hour, as it stands; the demo never posts:\n")
    choices = templates(settings.templates_path)
    tweet.show(compose(post.summary, choices, venues=post.venues, without=post.without))
    console.print(f"\nSIMULATED. The demo's own ledger: {settings.ledger_path}", style=_common.WARN)
