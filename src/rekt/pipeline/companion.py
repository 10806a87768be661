"""A process beside the recorder: started with it, started again when it dies, ended in order, never left behind.

Its standard input is its lifeline. A line `stop` asks it to end in order; the end of the input without that line says
that the recorder is dead, and it ends at once.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

log = logging.getLogger("rekt.run")

FIRST_S, CAP_S = 1.0, 10.0  # before it is started again
WELL_S = 30.0  # having lived so long, it starts again at once


class Companion:
    """One such process."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._name, self._command, self._environment = name, list(command), dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    async def keep(self) -> None:
        """Have it live until this task is cancelled."""
        loop = asyncio.get_running_loop()
        pause = FIRST_S
        while True:
            began = loop.time()
            # Not by asyncio: its child must outlive this loop until `stop`.
            self._process = process = await asyncio.to_thread(self._start)
            while process.poll() is None:  # noqa: ASYNC110 - a process tells its end to its parent's poll alone
                await asyncio.sleep(0.5)
            self._process = None  # until it is there again nothing has to be asked to end
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            if loop.time() - began > WELL_S:
                pause = FIRST_S
            log.error("%s ended (%s); starting it again in %g s", self._name, process.returncode, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, CAP_S)

    def stop(self, timeout_s: float) -> None:
        """Ask it to end in order; after the time-out it is killed, which its design bears."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        with suppress(OSError):
            process.stdin.write(b"stop\n")
            process.stdin.close()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.warning("%s does not end in time; it goes on at the next start", self._name)
            process.kill()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,  # Ctrl+C is for the recorder, which then asks in order
        )


def lifeline(stream: IO[bytes], stop: threading.Event, dead: threading.Event) -> None:
    """Watch the lifeline from a thread of its own: sets `stop` when asked to end, `dead` too when nobody asked."""

    def watch() -> None:
        if not stream.readline().startswith(b"stop"):
            dead.set()
        stop.set()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
