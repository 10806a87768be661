"""`rekt run --dashboard`: two processes that end together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from rekt.simulator import simulated


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A recorder of a simulated market with its dashboard, and the dashboard's address."""
    (tmp_path / "empty.ini").touch()
    with simulated(scene="busy", seed=1, keep_sent=0) as venue:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("REKT_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "rekt", "run", "--dashboard", "--port", "0", *arguments],
            env={
                **kept,
                "REKT_CONFIG": str(tmp_path / "empty.ini"), "REKT_DATABASE_PATH": str(tmp_path / "test.db"),
                "REKT_BINANCE_WS_URL": venue.ws_url, "REKT_BINANCE_UM_REST_URL": venue.rest_url,
                "REKT_BINANCE_CM_REST_URL": venue.rest_url,
            },
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            url = ""
            for line in process.stdout:
                if found := re.search(r"dashboard: (http://\S+)", line):
                    url = found[1]
                    break
            yield process, url
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_both_end_in_time_with_streams_open(tmp_path: Path) -> None:
    """After SIGINT, with a client listening, both are gone within ten seconds, and the recorder says 0."""
    with (
        running(tmp_path) as (process, url),
        httpx.stream("GET", f"{url}/api/v1/stream", timeout=30) as stream,
    ):
        assert any("liquidation" in line for line in stream.iter_lines())
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        process.stdout.read()
        assert process.wait(15) == 0
        assert time.monotonic() - began < 10
        assert not answers(url)


def test_a_killed_recorder_takes_its_dashboard_with_it(tmp_path: Path) -> None:
    """Nothing is left behind by kill -9."""
    with running(tmp_path) as (process, url):
        assert answers(url)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while answers(url) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not answers(url)


@pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE and /proc are Linux's")
def test_the_recorder_has_the_processor_first(tmp_path: Path) -> None:
    """The dashboard is in the recorder's session, where its rank counts, yet not in its group, which Ctrl+C reaches."""
    with running(tmp_path) as (process, url):
        assert answers(url)
        told = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        (child,) = [int(pid) for pid in told.split()]
        assert os.sched_getscheduler(child) == os.SCHED_IDLE
        assert os.getsid(child) == os.getsid(process.pid)
        assert os.getpgid(child) != os.getpgid(process.pid)


def test_a_port_without_a_dashboard_is_a_wrong_use(tmp_path: Path) -> None:
    """`run --port` alone says what is missing."""
    (tmp_path / "empty.ini").touch()
    command = [sys.executable, "-m", "rekt", "--config", str(tmp_path / "empty.ini"), "run", "--port", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--dashboard" in done.stderr


@pytest.mark.parametrize("seconds", ["3"])
def test_watch_shows_the_tape_of_a_server(tmp_path: Path, seconds: str) -> None:
    """`rekt watch --server` prints liquidations as they come."""
    with running(tmp_path) as (process, url):
        assert process.poll() is None
        command = [sys.executable, "-m", "rekt", "watch", "--server", url, "--seconds", seconds]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("REKT_")}
        done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=40, check=False)
        assert done.returncode == 0, done.stderr
        assert re.search(r"^\d\d:\d\d:\d\d  \S+ +(long|short) +\$", done.stdout, re.MULTILINE)
