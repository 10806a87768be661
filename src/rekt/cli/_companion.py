"""`rekt post` beside `rekt run`: a process of its own, so that no picture, request or message ever slows recording.

It ends with us, however we end: its standard input is a pipe that only we hold. A post that is under way is carried
to its end by a process of its own; where even that is killed, the outbox knows.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rekt.cli import _common

if TYPE_CHECKING:
    import typer

log = logging.getLogger("rekt.run")
AGAIN_S = 10.0


@contextmanager
def companion(ctx: typer.Context, *, posting: bool) -> Iterator[None]:
    """Have it run meanwhile; started again when it ends by itself. Without `posting` it only tells of trouble."""
    from rekt import groups
    from rekt.cli import _posting

    groups.need("post", "run --post" if posting else "alerts")
    command = [sys.executable, "-m", "rekt", *_common.passed_on(ctx), "post", "--with-parent"]
    if posting:  # what is wrong is told before recording begins
        services, _ = _posting.chosen(_common.settings(ctx), None)
        log.info("each hour goes to %s", ", ".join(one.name for one in services))
    else:
        command += ["--no-hours", "--no-large"]
    stop = threading.Event()

    def keep() -> None:
        while not stop.is_set():
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            ) as child:
                while child.poll() is None and not stop.wait(0.2):
                    pass
                if child.stdin is not None:
                    child.stdin.close()  # it ends
                child.wait()
            if not stop.is_set():
                log.warning("what posts has ended (%s); it is started again", child.returncode)
                stop.wait(AGAIN_S)

    thread = threading.Thread(target=keep, name="companion")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
