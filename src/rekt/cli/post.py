"""`rekt post`: what posting needs between the hours, in a process of its own so that recording is not slowed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common

if TYPE_CHECKING:
    from collections.abc import Callable

    from rekt.cli._posting import Chosen
    from rekt.config import Settings
    from rekt.posts.large import Large, Notice, Rules
    from rekt.stores.sqlite import Reader

log = logging.getLogger("rekt.watch")

LOOK_S = 1.0
FEED_S = 15.0  # between two looks at the feed
AGAIN_S = 90.0  # after a post that is not settled
SAMPLE = 200  # events of a symbol before a percentile of them means anything


def command(
    ctx: typer.Context,
    hours: Annotated[bool, typer.Option("--hours/--no-hours", help="Whether to post each hour too.")] = True,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="N", min=0, help="End after so long.")
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when standard input does.")
    ] = False,
) -> None:
    """Post each hour, large liquidations and cascades as configured, and tell the operator of trouble.

    Only reads what `rekt run` records; `rekt run --post` starts it by itself.
    """
    if with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    watch(_common.settings(ctx), ctx, hours=hours, seconds=seconds)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def watch(settings: Settings, ctx: typer.Context, *, hours: bool, seconds: float | None) -> None:
    """Look once a second, until the end of time."""
    from rekt import app
    from rekt.cli import _posting
    from rekt.errors import LedgerError
    from rekt.posts.large import Large
    from rekt.posts.schedule import due

    services, _ = _posting.chosen(settings, None)
    rules = large_rules(settings)
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    child: subprocess.Popen[bytes] | None = None
    posted, next_try, next_feed = -1, 0.0, 0.0
    while time.monotonic() < end:
        try:
            with app.reader(settings) as reader:
                large = Large(rules, percentile(reader, rules.percentile))
                seq = reader.last_seq()
                while time.monotonic() < end:
                    now = _common.now_ms()
                    if rules.any:
                        seq = _large(settings, reader, large, seq, services)
                    if time.monotonic() >= next_feed:
                        next_feed = time.monotonic() + FEED_S
                        feed(settings, reader)
                    if child is not None and child.poll() is not None:
                        posted = posted if child.returncode else due(now).start
                        next_try, child = time.monotonic() + AGAIN_S, None
                    if hours and child is None and due(now).start != posted and time.monotonic() >= next_try:
                        child = subprocess.Popen(tweet_command(ctx), stdout=subprocess.DEVNULL)
                    time.sleep(LOOK_S)
        except LedgerError as error:  # not there yet, or busy
            log.debug("%s", error)
            time.sleep(LOOK_S * 5)
    if child is not None:
        child.wait()


def tweet_command(ctx: typer.Context) -> list[str]:
    """`rekt tweet` with the options of this call."""
    return [sys.executable, "-m", "rekt", *options(ctx), "tweet"]


def options(ctx: typer.Context) -> list[str]:
    """The global options that a process of ours is to have too."""
    common = ctx.ensure_object(_common.Common)
    found = [] if common.config is None else ["--config", common.config]
    found += ["--verbose"] if common.verbose else []
    return found + (["--log-format", common.log_format.value] if common.log_format else [])


def large_rules(settings: Settings) -> Rules:
    """What [POST] calls large."""
    from rekt.posts.large import Rules

    post = settings.section("POST")
    return Rules(
        round(post.number("big_usd") * 1e6),
        post.number("big_percentile"),
        round(post.number("cascade_usd") * 1e6),
        round(post.number("cascade_minutes") * 60_000),
        round(post.number("cooldown_minutes") * 60_000),
    )


def percentile(reader: Reader, percent: float) -> Callable[[str], int | None]:
    """The size that so many percent of a symbol's liquidations of 30 days do not exceed; looked up once a day."""
    from rekt.fields import DAY
    from rekt.model import Window

    @lru_cache(maxsize=1000)
    def look(symbol: str, day: int) -> int | None:
        window = Window((day - 30) * DAY, day * DAY)
        sizes = sorted(
            e.notional for e in reader.liquidations(window, symbol=symbol) if e.notional is not None
        )
        if len(sizes) < SAMPLE:
            return None
        return sizes[min(len(sizes) - 1, int(len(sizes) * percent / 100))]

    return lambda symbol: look(symbol, _common.now_ms() // DAY)


def _large(settings: Settings, reader: Reader, large: Large, seq: int, services: list[Chosen]) -> int:
    """Read on, and post what is to be told."""
    told: list[Notice] = []
    now = _common.now_ms()
    for row in reader.after(seq):
        seq = row.seq
        told += large.add(row.event, now)
    told += large.due(now)
    for notice in told:
        log.info("%s", notice.text)
        _post_notice(settings, notice, services)
    return seq


def _post_notice(settings: Settings, notice: Notice, services: list[Chosen]) -> None:
    from rekt.cli import _posting

    threading.Thread(target=_posting.post_notice, args=(settings, notice, services)).start()


def feed(settings: Settings, reader: Reader) -> None:
    """Look at every feed's last sign of life, and tell the operator what changed."""
    from rekt import app
    from rekt.cli import _alerts
    from rekt.posts.alerts import of_feed

    ticks: dict[str, int | None] = {}
    causes: dict[str, str] = {}
    for venue in app.ENABLED:
        last = reader.alive_before(venue, 1 << 60)
        ticks[venue] = last.end_ms if last else None
        lives = [one for one in reader.connections(None)[-20:] if one.venue == venue and one.cause]
        causes[venue] = (lives[-1].cause or "") if lives else ""
    found = of_feed(
        ticks,
        causes,
        recording=app.recording(settings.ledger_path),
        now_ms=_common.now_ms(),
        limit_s=settings.section("ALERTS").number("feed_seconds"),
    )
    with app.posts(settings) as kept:
        known = kept.alerts()
    if found or any(name.startswith("feed ") for name in known):
        with app.outbox(settings) as box:
            _alerts.update(settings, box, "feed", found)
