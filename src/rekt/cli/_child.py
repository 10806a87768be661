"""The dashboard beside a recorder: a process of its own, that ends with it, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable

log = logging.getLogger("rekt.run")

END_S = 5.0  # so long it gets to end by itself
AGAIN_S = (1.0, 5.0, 30.0, 60.0)  # pauses before it is started again


async def beside(arguments: list[str], line: Callable[[str], None], stop: asyncio.Event) -> None:
    """Keep `rekt ARGUMENTS` running until `stop` is set, giving on what it writes; then end it.

    The child's standard input is ours to hold: it ends when that closes, so also when we are killed. One that was
    used wrongly (exit code 2) is not started again; recording goes on without it in any case.
    """
    stopping = asyncio.create_task(stop.wait())
    tries = 0
    try:
        while not stop.is_set():
            child = await _start(arguments)
            if child is None:
                return
            reading = asyncio.create_task(_lines(child, line))
            try:
                await asyncio.wait([reading, stopping], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(child)
                reading.cancel()
            if stop.is_set():
                return
            if child.returncode == 2:
                log.error("the dashboard can't be had; recording goes on without it")
                return
            pause = AGAIN_S[min(tries, len(AGAIN_S) - 1)]
            tries += 1
            log.error(
                "the dashboard ended (exit code %s); starting it again in %g s", child.returncode, pause
            )
            await asyncio.wait([stopping], timeout=pause)
    finally:
        stopping.cancel()


async def _start(arguments: list[str]) -> asyncio.subprocess.Process | None:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rekt", *arguments, "--until-eof",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, process_group=0,
        )  # fmt: skip
    except OSError as error:
        log.error("the dashboard can't be started: %s; recording goes on without it", error)  # noqa: TRY400
        return None


async def _lines(child: asyncio.subprocess.Process, line: Callable[[str], None]) -> None:
    if child.stdout is not None:
        async for text in child.stdout:
            line(f"dashboard: {text.decode('utf-8', 'replace').rstrip()}")


async def _end(child: asyncio.subprocess.Process) -> None:
    """End it: by closing its input, by a signal, by force."""
    if child.stdin is not None:
        child.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(child.wait(), END_S)
        return
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    await child.wait()
