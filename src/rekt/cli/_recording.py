"""Running the recorder in front of a person: signals, the time limit, the live view, the last word."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rekt import app
from rekt.cli._child import beside
from rekt.cli._live import Live, describe
from rekt.errors import LedgerError
from rekt.service import Service

if TYPE_CHECKING:
    from rekt.config import Settings

log = logging.getLogger("rekt.run")

REFRESH_S = 0.5


def record(
    settings: Settings,
    *,
    seconds: float | None,
    tape: Path | None = None,
    take_over: bool = False,
    command: str = "run",
    mark: str = "",
    options: Sequence[str] = (),
    dashboard: list[str] | None = None,
) -> None:
    """Record until a signal or the end of time; raises LedgerError when something could not be made durable.

    `dashboard`: the arguments of the command that shows it meanwhile, in a process of its own.
    """
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    live = Live(
        terminal=sys.stdout.isatty() and os.environ.get("TERM") != "dumb",
        colour=colour,
        mark=mark,
        several=len(app.enabled(settings)) > 1,
    )
    service = Service(settings, tape=tape, take_over=take_over, durable=live.durable, options=options)
    for warning in service.warnings():
        log.warning("%s", warning)
    log.info("recording into %s; Ctrl+C ends it", settings.ledger_path)
    app.tune()
    try:
        left = _complete(_run(service, live, seconds, command, dashboard))
    finally:
        live.close()
    progress = service.progress
    if progress is not None:
        log.info(
            "stopped: %s new events; %s frames stored, %s repeats, %s in quarantine; ledger %s",
            *(f"{n:,}" for n in (progress.events, progress.stored, progress.duplicate, progress.quarantined)),
            settings.ledger_path,
        )
    if left:
        raise LedgerError(f"{left} items could not be written before the end", hint="see the messages above")


def _complete(work: Coroutine[Any, Any, int]) -> int:
    """As asyncio.run, but without waiting for look-ups of names that hang: the end must come in time."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        if rest:
            loop.run_until_complete(asyncio.wait(rest))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _run(
    service: Service, live: Live, seconds: float | None, command: str, dashboard: list[str] | None
) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def asked(signum: int) -> None:
        if stop.is_set():
            os._exit(128 + signum)  # a second one ends at once
        log.info("stopping: what has come is written first (once more ends at once)")
        stop.set()

    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, asked, signum)
    if seconds is not None:
        loop.call_later(max(0.0, seconds - app.since_start_s()), stop.set)
    recording = asyncio.create_task(service.run(stop, command))
    showing = asyncio.create_task(beside(dashboard, live.line, stop)) if dashboard else None
    try:
        while not recording.done():
            if live.status_due:
                live.status(*describe(service, time.time_ns() // 1000))
            await asyncio.wait([recording], timeout=REFRESH_S)
        return recording.result()
    finally:
        stop.set()
        if showing is not None:
            await showing
