"""`rekt questdb ship`: the shipper by itself."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from rekt.cli import _common


def command(
    ctx: typer.Context,
    attached: Annotated[bool, typer.Option("--attached", hidden=True)] = False,
) -> None:
    """Ship the ledger to QuestDB until told to stop.

    `rekt run` does that by itself where [DATABASE] engine is questdb.
    """
    from rekt import app, groups, shipping

    settings = _common.settings(ctx)
    shipping.check(settings)
    groups.need("questdb", "rekt questdb ship")
    stop, dead = threading.Event(), threading.Event()
    if attached:
        from rekt.pipeline.companion import lifeline

        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)  # the recorder ends first, then it tells
        lifeline(sys.stdin.buffer, stop, dead)
        threading.Thread(target=_end, args=(dead,), daemon=True).start()
    else:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: stop.set())
    app.tune()
    shipping.ship(settings, stop)


def _end(dead: threading.Event) -> None:
    """The recorder died: end at once, whatever is being waited for."""
    dead.wait()
    os._exit(1)
