from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from rekt import app
from rekt.cli import _checks
from rekt.simulator import simulated
from tests.cli.book import Result

Rekt = Callable[..., Result]


def use(monkeypatch: pytest.MonkeyPatch, ws_url: str, rest_url: str) -> None:
    """Have these addresses in the configuration."""
    monkeypatch.setenv("REKT_BINANCE_WS_URL", ws_url)
    monkeypatch.setenv("REKT_BINANCE_UM_REST_URL", rest_url)
    monkeypatch.setenv("REKT_BINANCE_CM_REST_URL", rest_url)


def states(result: Result) -> dict[str, str]:
    """The state of each check, the worst where a name comes twice."""
    found: dict[str, str] = {}
    for check in result.objects:
        worst = sorted([found.get(check["name"], "ok"), check["state"]], key=["ok", "warn", "fail"].index)[1]
        found[check["name"]] = worst
    return found


def test_all_is_well(rekt: Rekt, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a live venue and a sound ledger everything is ok or merely worth knowing, and the exit code 0."""
    with simulated(scene="none") as exchange:
        use(monkeypatch, exchange.ws_url, exchange.rest_url)
        result = rekt("doctor", "--json")
        people = rekt("doctor")
    found = states(result)
    assert result.code == people.code == 0
    assert "fail" not in found.values()
    assert {
        name: found[name] for name in ("stream", "contracts", "ledger", "sqlite", "disk")
    } == dict.fromkeys(("stream", "contracts", "ledger", "sqlite", "disk"), "ok")
    assert "alive after" in people.out
    assert "roll-ups equal a recount" in people.out


def test_nobody_answers(rekt: Rekt, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens: each endpoint is told with its reason, exit 1."""
    with simulated(scene="none") as exchange:
        use(monkeypatch, exchange.ws_url, exchange.rest_url)
    result = rekt("doctor", "--json")
    found = states(result)
    assert result.code == 1
    assert (found["stream"], found["contracts"], found["clock"]) == ("fail", "fail", "warn")


def test_the_retired_address(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that connects and stays silent is told apart from one that works."""
    with simulated(scene="none") as exchange:
        use(monkeypatch, exchange.retired_url, exchange.rest_url)
        found = list(_checks.all_checks(app.settings(), canary_s=1.0))
    (stream,) = [check for check in found if check.name == "stream"]
    assert stream.state == "fail"
    assert "connects, but sent no sign of life" in stream.text
    assert any("none yet" in check.text for check in found)


def test_a_file_that_is_no_ledger(rekt: Rekt, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no ledger fails with the reason and is left as it is."""
    path.parent.mkdir()
    path.write_bytes(b"hello" * 1000)
    use(monkeypatch, "ws://127.0.0.1:1/market/stream", "http://127.0.0.1:1")
    result = rekt("doctor", "--json")
    assert states(result)["ledger"] == "fail"
    assert path.read_bytes() == b"hello" * 1000


def test_exposed_keys(rekt: Rekt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that others can read are warned about, with the command that mends it, and not shown."""
    file = tmp_path / "empty.ini"
    file.write_text("[TWITTER]\nconsumer_key = s3cr3t\n")
    file.chmod(0o644)
    use(monkeypatch, "ws://127.0.0.1:1/market/stream", "http://127.0.0.1:1")
    result = rekt("doctor")
    assert f"chmod 600 {file}" in result.out
    assert "s3cr3t" not in result.out + result.err


@pytest.mark.parametrize(
    ("offsets", "state"),
    [
        ([0.3], "ok"),
        ([-1.9], "ok"),
        ([None, 30.0], "warn"),
        ([-90.0, 500.0], "fail"),
        ([90.0, 0.1], "ok"),
        ([], "warn"),
    ],
)
def test_the_clock(offsets: list[float | None], state: str) -> None:
    """The clock is judged by the answer that is nearest to it."""
    check = _checks.judged(offsets)
    assert (check.name, check.state) == ("clock", state)


def test_the_offset_of_a_real_answer() -> None:
    """The Date of an answer from this machine is this machine's time, also where it is an error's."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # knows no method: answers 501, with a Date
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    off = asyncio.run(_checks.offset(f"http://127.0.0.1:{server.server_port}/"))
    thread.join()
    server.server_close()
    assert off is not None
    assert abs(off) < 2
