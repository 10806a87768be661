"""`rekt run --dashboard`: two processes that end together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from rekt.simulator import simulated
from tests.waiting import until


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
        return httpx.get(f"{url}/healthz", timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


def test_both_end_in_time_with_streams_open(tmp_path: Path) -> None:
    """After SIGINT, with a client listening, both end, and the recorder says 0."""
    with (
        running(tmp_path) as (process, url),
        httpx.stream("GET", f"{url}/api/v1/stream", timeout=30) as stream,
    ):
        assert any("liquidation" in line for line in stream.iter_lines())
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        process.stdout.read()
        assert process.wait(30) == 0
        assert not answers(url)


def test_a_killed_recorder_takes_its_dashboard_with_it(tmp_path: Path) -> None:
    """Nothing is left behind by kill -9."""
    with running(tmp_path) as (process, url):
        assert answers(url)
        process.kill()
        process.wait()
        assert until(lambda: not answers(url))


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


TERMINAL = """
    import os, subprocess, sys, termios
    out = os.dup(1)
    _, terminal = os.openpty()
    os.login_tty(terminal)
    attributes = termios.tcgetattr(0)
    attributes[3] |= termios.TOSTOP
    termios.tcsetattr(0, termios.TCSANOW, attributes)
    command = [sys.executable, "-m", "rekt", "serve", "--until-eof", "--port", "0"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
    try:
        url = child.stdout.readline()
        child.stdin.close()
        os.write(out, url + str(child.wait(30)).encode())
    finally:
        child.kill()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a terminal that becomes another process's own")
def test_a_terminal_that_stops_who_writes_from_behind_does_not_stop_it(tmp_path: Path) -> None:
    """`stty tostop`: the dashboard beside a recorder writes to its terminal, serves on, and ends with its lifeline."""
    (tmp_path / "empty.ini").write_text(f"[DATABASE]\npath = {tmp_path / 'test.db'}\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("REKT_")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TERMINAL)],
        env={**kept, "REKT_CONFIG": str(tmp_path / "empty.ini")},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert re.fullmatch(r"http://\S+\n0", done.stdout), done.stdout


def test_a_port_without_a_dashboard_is_a_wrong_use(tmp_path: Path) -> None:
    """`run --port` alone says what is missing."""
    (tmp_path / "empty.ini").touch()
    command = [sys.executable, "-m", "rekt", "--config", str(tmp_path / "empty.ini"), "run", "--port", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--dashboard" in done.stderr


def test_watch_shows_the_tape_of_a_server(tmp_path: Path) -> None:
    """`rekt watch --server` prints liquidations as they come, and ends well."""
    with running(tmp_path) as (process, url):
        assert process.poll() is None
        command = [sys.executable, "-m", "rekt", "watch", "--server", url]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("REKT_")}
        with subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            shown = re.compile(r"\d\d:\d\d:\d\d  \S+ +(long|short) +\$")
            assert any(shown.match(line) for line in watch.stdout)
            watch.send_signal(signal.SIGINT)
            watch.stdout.read()
            assert watch.wait(30) in (0, 130)
