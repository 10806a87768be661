from __future__ import annotations

import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from rekt import registry, service
from rekt.errors import LedgerError
from rekt.model import Window
from rekt.pipeline.committer import Committer
from rekt.pipeline.presence import recorders
from rekt.simulator import SimulatorThread, simulated
from rekt.stats.coverage import union
from rekt.stores.sqlite import Reader
from tests.waiting import until


@contextmanager
def rekt(
    folder: Path,
    *arguments: str,
    exchange: SimulatorThread | None = None,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[subprocess.Popen[str]]:
    """`rekt …` as a process, its ledger in this folder; killed at the end if it still runs."""
    url = exchange.ws_url if exchange else "ws://127.0.0.1:1/market/stream"
    rest = exchange.rest_url if exchange else "http://127.0.0.1:1"
    process = subprocess.Popen(
        [sys.executable, "-m", "rekt", *arguments],
        env={
            **os.environ,
            "REKT_DATABASE_PATH": str(folder / "l.db"),
            "REKT_BINANCE_WS_URL": url,
            "REKT_BINANCE_UM_REST_URL": rest,
            "REKT_BINANCE_CM_REST_URL": rest,
            **(environment or {}),
        },
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(stream: IO[str] | None, pattern: str = r"(?!)") -> str:
    """What a process says up to the first line with this in it, or to its end."""
    assert stream is not None
    lines: list[str] = []
    while (line := stream.readline()) and not re.search(pattern, line):
        lines.append(line)
    return "".join(lines) + line


def count(folder: Path) -> int:
    """How many events the ledger has; 0 while there is none."""
    try:
        with Reader(folder / "l.db") as reader:
            return reader.rows()
    except LedgerError:
        return 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(signum: int, tmp_path: Path) -> None:
    """SIGINT and SIGTERM write what has come, mark the connection as stopped, and end with 0."""
    with simulated(rate=200, hold_ms=0) as exchange, rekt(tmp_path, "run", exchange=exchange) as process:
        assert until(lambda: count(tmp_path) > 50)
        process.send_signal(signum)
        out, err = process.communicate(timeout=10)  # as promised; it takes a tenth of that
    assert process.returncode == 0, err
    with Reader(tmp_path / "l.db") as reader:
        assert {connection.cause for connection in reader.connections(None)} == {"stopped"}
        assert all(run.stopped_us for run in reader.runs())
        assert reader.verify() == []
    lines = out.splitlines()
    assert len([line for line in lines if re.match(r"\d\d:\d\d:\d\d  \S+ +(long|short)", line)]) > 50
    assert "\x1b" not in out + err
    assert "\r" not in out + err


def test_seconds_ends_it_as_a_signal_does(tmp_path: Path) -> None:
    """`--seconds` counts from the start and ends with 0."""
    began = time.monotonic()
    with simulated() as exchange, rekt(tmp_path, "run", "--seconds", "2", exchange=exchange) as process:
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert time.monotonic() - began >= 2


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """While the ledger is locked by somebody else the orderly end would wait; a second signal does not."""
    import apsw

    with simulated(rate=50, hold_ms=0) as exchange, rekt(tmp_path, "run", exchange=exchange) as process:
        assert until(lambda: count(tmp_path) > 5)
        other = apsw.Connection(str(tmp_path / "l.db"))
        other.set_busy_timeout(5000)
        other.execute("BEGIN IMMEDIATE")
        process.send_signal(signal.SIGINT)
        read_until(process.stderr, "stopping")  # so that it has heard the first
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130  # the orderly end would say 1, having written nothing
        other.execute("ROLLBACK")


def test_a_locked_ledger_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """When the ledger takes nothing, the orderly end gives up (in its ten seconds, by its own reckoning), says so, and fails."""
    import apsw

    assert service.ALL_S < 10
    assert inspect.signature(Committer.close).parameters["timeout_s"].default + 1 < service.ALL_S

    with simulated(rate=50, hold_ms=0) as exchange, rekt(tmp_path, "run", exchange=exchange) as process:
        assert until(lambda: count(tmp_path) > 5)
        other = apsw.Connection(str(tmp_path / "l.db"))
        other.set_busy_timeout(5000)
        other.execute("BEGIN IMMEDIATE")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=40)
        other.execute("ROLLBACK")
    assert process.returncode == 1
    assert "could not be written" in err


def test_an_output_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    """With both pipes full and unread everything is recorded, and the end comes in time."""
    with (
        simulated(rate=3000, hold_ms=0) as exchange,
        rekt(tmp_path, "run", "-v", exchange=exchange) as process,
    ):
        assert until(lambda: count(tmp_path) > 8000, 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        with Reader(tmp_path / "l.db") as reader:
            counters = reader.counters()
    assert counters.received == sum(counters[1:])


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_an_output_that_is_closed_holds_up_nothing(closed: str, tmp_path: Path) -> None:
    """A reader that hangs up is no reason to stop recording."""
    with simulated(rate=300, hold_ms=0) as exchange, rekt(tmp_path, "run", exchange=exchange) as process:
        getattr(process, closed).close()
        assert until(lambda: count(tmp_path) > 300)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_out_of_reach_is_one_sentence(tmp_path: Path) -> None:
    """Without a venue it says so once, with the reason and the demo, keeps trying, and ends well."""
    with rekt(tmp_path, "run") as process:
        err = read_until(process.stderr, "can't be reached")
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        err += read_until(process.stderr)
        assert process.wait(30) == 0
    told = [line for line in err.splitlines() if "can't be reached" in line]
    assert len(told) == 1
    assert "rekt demo" in told[0]
    assert "Traceback" not in err


def test_the_demo_shows_everything_and_says_what_it_is(tmp_path: Path) -> None:
    """The demo records, adds up and renders, in a ledger of its own; whatever it shows is marked as simulated."""
    row = r"\d\d:\d\d:\d\d  \S+ +(long|short) +[$u]"
    with rekt(tmp_path, "demo", "--seconds", "40", stderr=subprocess.DEVNULL) as process:
        out = read_until(process.stdout, row)
        process.send_signal(signal.SIGINT)
        out += read_until(process.stdout)
        assert process.wait(30) == 0
    events = [line for line in out.splitlines() if re.search(row, line)]
    assert events
    assert all(line.startswith("simulated") for line in events)
    assert "SIMULATED" in out
    assert "liquidation" in out
    assert "UTC" in out
    assert not (tmp_path / "l.db").exists()
    assert (tmp_path / "demo" / "demo.db").exists()


@pytest.mark.timeout(180)
def test_the_demo_of_all_venues(tmp_path: Path) -> None:
    """Each simulated exchange is recorded, has its own line, and what their totals mix is said."""
    names, ledger = registry.names("rekt.venues"), tmp_path / "demo" / "demo.db"

    def heard() -> bool:
        """Whether each has told something that counts."""
        time.sleep(0.5)
        try:
            with Reader(ledger) as reader:
                return {event.feed.venue for event in reader.liquidations() if event.notional} == set(names)
        except LedgerError:  # being made
            return False

    def end() -> None:
        if until(heard, 100):
            process.send_signal(signal.SIGINT)

    with rekt(tmp_path, "demo", "--venues", "all", "--seconds", "100", stderr=subprocess.DEVNULL) as process:
        enough = threading.Thread(target=end)
        enough.start()
        out = read_until(process.stdout)
        enough.join()
        assert process.wait(30) == 0
    for name in names:
        assert re.search(rf"^{name} +[1-9]\d* +\$", out, re.MULTILINE), (name, out)
    assert "mixed sampling" in out
    assert "Prices of mixed kinds" in out


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """Recording into some other file ends with 1 and a way out; the file stays as it was."""
    (tmp_path / "l.db").write_bytes(b"my thesis\n" * 1000)
    with rekt(tmp_path, "run", "--seconds", "3") as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert (tmp_path / "l.db").read_bytes() == b"my thesis\n" * 1000
    assert [path.name for path in tmp_path.iterdir()] == ["l.db"]


def test_a_wrong_configuration_ends_it(tmp_path: Path) -> None:
    """An unknown key ends with 2 and names the nearest one."""
    (tmp_path / "c.ini").write_text("[BINANCE]\nws_ur = x\n")
    with rekt(tmp_path, "run", "--config", str(tmp_path / "c.ini")) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "ws_url" in err


def test_a_recorder_is_taken_over_without_a_gap(tmp_path: Path) -> None:
    """`--take-over` beside a running one: it delivers first, then the old one goes; nothing is missed."""
    with simulated(rate=100, hold_ms=0) as exchange, rekt(tmp_path, "run", exchange=exchange) as old:
        assert until(lambda: count(tmp_path) > 100)
        with rekt(tmp_path, "run", "--take-over", exchange=exchange) as new:
            assert old.wait(20) == 0
            assert new.poll() is None
            first = exchange.counts.events
            assert until(lambda: exchange.counts.events > first + 200)
            new.send_signal(signal.SIGTERM)
            assert new.wait(10) == 0
        with Reader(tmp_path / "l.db") as reader:
            assert reader.verify() == []
            stored = {
                (event.symbol, event.trade_time, event.average_price) for event in reader.liquidations(None)
            }
            spans = union(reader.alive(Window(0, 1 << 60)))
        told = [json.loads(sent.payload) for sent in exchange.sent]
    assert len(spans) == 1
    inside = [value["o"] for value in told if spans[0][0] <= value["E"] <= spans[0][1]]
    assert len(inside) > 200
    assert {(order["s"], order["T"], order["ap"]) for order in inside} <= stored
    assert [path.name for path in tmp_path.glob("*recorder*")] == []


def test_without_taking_over_both_stay(tmp_path: Path) -> None:
    """A second recorder on the same ledger leaves the first alone; both are seen."""
    with (
        simulated() as exchange,
        rekt(tmp_path, "run", exchange=exchange) as one,
        rekt(tmp_path, "run", exchange=exchange) as two,
    ):
        assert until(lambda: len(recorders(tmp_path / "l.db")) == 2)
        time.sleep(4)
        assert recorders(tmp_path / "l.db") == sorted([one.pid, two.pid])
        two.kill()
        two.wait()
        assert recorders(tmp_path / "l.db") == [one.pid]


def test_systemd_is_told(tmp_path: Path) -> None:
    """Under a service manager it says that it is ready, that it is alive as often as asked, and that it stops."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, simulated() as exchange:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        with rekt(tmp_path, "run", exchange=exchange, environment=environment) as process:
            assert manager.recv(200) == b"READY=1"
            for _ in range(5):
                assert manager.recv(200).startswith(b"WATCHDOG=1\nSTATUS=")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            messages = [manager.recv(200)]
            while messages[-1] != b"STOPPING=1":
                messages.append(manager.recv(200))
