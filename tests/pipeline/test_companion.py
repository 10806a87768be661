from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rekt.pipeline.companion import Companion
from tests.waiting import until

CHILD = """
import sys, threading, time
from rekt.pipeline.companion import lifeline
stop, dead = threading.Event(), threading.Event()
lifeline(sys.stdin.buffer, stop, dead)
open(sys.argv[1], "a").write("began\\n")
stop.wait(30)
open(sys.argv[1], "a").write("dead\\n" if dead.is_set() else "asked\\n")
"""


def said(path: Path) -> list[str]:
    """What the children wrote."""
    return path.read_text("utf-8").split() if path.exists() else []


def test_it_is_asked_to_end(tmp_path: Path) -> None:
    """Stopping asks in order, and waits."""
    told = tmp_path / "told"

    async def run() -> None:
        companion = Companion("the child", [sys.executable, "-c", CHILD, str(told)], os.environ)
        keeping = asyncio.create_task(companion.keep())
        assert await asyncio.to_thread(until, lambda: said(told) == ["began"])
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        companion.stop(10)
        companion.stop(10)  # twice is harmless

    asyncio.run(run())
    assert said(told) == ["began", "asked"]


def test_it_is_started_again_when_it_dies(tmp_path: Path) -> None:
    """A companion that ends by itself is there again a little later."""
    told = tmp_path / "told"
    child = f"open({str(told)!r}, 'a').write('began\\n')"

    async def run() -> None:
        companion = Companion("the child", [sys.executable, "-c", child], os.environ)
        keeping = asyncio.create_task(companion.keep())
        assert await asyncio.to_thread(until, lambda: len(said(told)) >= 2)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        companion.stop(10)

    asyncio.run(run())


def test_one_that_is_dead_is_not_asked_to_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping in the pause before it is started again is as harmless as at any other time."""
    monkeypatch.setattr("rekt.pipeline.companion.FIRST_S", 60.0)

    async def run() -> None:
        companion = Companion("the child", [sys.executable, "-c", ""], os.environ)
        keeping = asyncio.create_task(companion.keep())
        assert await asyncio.to_thread(until, lambda: "starting it again" in caplog.text)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        companion.stop(10)

    asyncio.run(run())


def test_it_does_not_outlive_a_killed_recorder(tmp_path: Path) -> None:
    """When the process that keeps it is killed, it notices and ends."""
    told = tmp_path / "told"
    parent = (
        "import asyncio, os, sys\n"
        "from rekt.pipeline.companion import Companion\n"
        f"asyncio.run(Companion('it', [sys.executable, '-c', {CHILD!r}, {str(told)!r}], os.environ).keep())\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        assert until(lambda: said(told) == ["began"])
        process.kill()
    assert until(lambda: said(told) == ["began", "dead"])
