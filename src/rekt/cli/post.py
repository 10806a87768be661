"""`rekt post`: what posting needs between the hours, in a process of its own so that recording is not slowed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common

if TYPE_CHECKING:
    from rekt.cli._posting import Chosen
    from rekt.config import Settings
    from rekt.posts.large import Large, Notice
    from rekt.stores.sqlite import Reader

log = logging.getLogger("rekt.watch")

LOOK_S = 1.0
AGAIN_S = 90.0  # after a post that is not settled


def command(
    ctx: typer.Context,
    hours: Annotated[bool, typer.Option("--hours/--no-hours", help="Whether to post each hour too.")] = True,
    large: Annotated[
        bool,
        typer.Option("--large/--no-large", help="Whether to post large ones and cascades, if configured."),
    ] = True,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="N", min=0, help="End after so long.")
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when standard input does.")
    ] = False,
) -> None:
    """Post each hour, large liquidations and cascades as configured, and tell the operator of trouble.

    Only reads what `rekt run` records; `rekt run --post` starts it by itself, and so does `rekt run` for the alerts
    alone where [ALERTS] urls are set.
    """
    if with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    watch(_common.settings(ctx), ctx, hours=hours, large=large, seconds=seconds)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def watch(settings: Settings, ctx: typer.Context, *, hours: bool, large: bool, seconds: float | None) -> None:
    """Look once a second, until the end of time."""
    from rekt import app
    from rekt.cli import _posting
    from rekt.cli._watch import Sizes, Troubles, large_rules
    from rekt.errors import LedgerError
    from rekt.posts.large import Large, Rules
    from rekt.posts.schedule import due

    services = _posting.chosen(settings, None)[0] if hours or large else []
    rules = large_rules(settings) if large else Rules()
    sizes = Sizes(settings, rules)
    big = Large(rules, sizes.limit)
    troubles = Troubles(settings)
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    child: subprocess.Popen[bytes] | None = None
    posted, next_try, seq = -1, 0.0, -1
    while time.monotonic() < end:
        try:
            with app.reader(settings) as reader:
                seq = reader.last_seq() if seq < 0 else seq
                while time.monotonic() < end:
                    now = _common.now_ms()
                    if rules.any:
                        sizes.look(now)
                        seq = _large(settings, reader, big, seq, services)
                    troubles.look(reader)
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
    return [sys.executable, "-m", "rekt", *_common.passed_on(ctx), "tweet"]


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
