"""Who is answered: the Host header, the token, rates, and what a browser is told to refuse."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rekt.dashboard.guard import COOKIE, Guard, Rate
from tests.dashboard.conftest import Recorder, Served

Serve = Callable[..., Served]
TOKEN = "a long token that nobody guesses"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "192.168.1.9", "127.0.0.1.nip.io", ""]
)
def test_a_name_that_is_not_ours_is_refused(serve: Serve, recorder: Recorder, host: str) -> None:
    """On loopback only loopback names are answered, so that no other site's name leads here."""
    recorder.event()
    url = serve().url
    assert httpx.get(f"{url}/api/v1/status", headers={"Host": host}).status_code == 421
    assert httpx.get(f"{url}/api/v1/status", headers={"Host": "localhost:8765"}).status_code == 200
    assert httpx.get(f"{url}/api/v1/status", headers={"Host": "[::1]:1"}).status_code == 200


def test_a_request_that_the_end_cuts_off_is_told_so() -> None:
    """Where the server ends before an answer is begun, the answer is 503, not a fault with a traceback."""

    async def asked() -> list[Any]:
        began, sent = asyncio.Event(), []

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            began.set()
            await asyncio.sleep(60)

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
        task = asyncio.create_task(Guard(slow, token=None)(scope, receive, send))
        await began.wait()
        task.cancel()
        await task
        return sent

    start, body = asyncio.run(asked())
    assert start["status"] == 503
    assert b"the server is ending" in body["body"]


def test_an_open_address_needs_a_token(tmp_path: Path) -> None:
    """`rekt serve --host 0.0.0.0` without one is a wrong configuration, said in words."""
    ini = tmp_path / "empty.ini"
    ini.touch()
    done = subprocess.run(
        [sys.executable, "-m", "rekt", "--config", str(ini), "serve", "--host", "0.0.0.0", "--port", "0"],  # noqa: S104
        env={"REKT_DATABASE_PATH": str(tmp_path / "t.db"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "[DASHBOARD] token" in done.stderr


def test_with_a_token_nothing_is_told_without_it(serve: Serve, recorder: Recorder) -> None:
    """No figure, no page, no stream; health alone is open."""
    recorder.event()
    url = serve(REKT_DASHBOARD_TOKEN=TOKEN).url
    for path in (
        "/api/v1/status",
        "/api/v1/stream",
        "/metrics",
        "/",
        "/static/main.js",
        "/api/v1/openapi.json",
    ):
        answer = httpx.get(url + path)
        assert answer.status_code == 401, path
        assert TOKEN not in answer.text
    assert httpx.get(f"{url}/healthz").status_code == 200
    wrong = httpx.get(f"{url}/api/v1/status", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    right = httpx.get(f"{url}/api/v1/status", headers={"Authorization": f"Bearer {TOKEN}"})
    assert right.json()["ledger"]["rows"] == 1


def test_a_browser_logs_in_once(serve: Serve, recorder: Recorder) -> None:
    """The page sends to the form, the form sets a cookie that scripts and other sites can't use."""
    recorder.event()
    url = serve(REKT_DASHBOARD_TOKEN=TOKEN).url
    with httpx.Client(base_url=url, follow_redirects=False) as client:
        sent = client.get("/", headers={"Accept": "text/html"})
        assert sent.status_code == 303
        assert sent.headers["location"] == "/login?next=/"
        assert client.post("/login", data={"token": "wrong"}).status_code == 401
        cookie = ""
        for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example"):
            done = client.post("/login", data={"token": TOKEN, "next": elsewhere})
            assert done.headers["location"] == "/"
            cookie = done.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/api/v1/status").status_code == 200


def test_tokens_can_not_be_guessed_quickly(serve: Serve, recorder: Recorder) -> None:
    """After a few wrong ones the answer is to wait."""
    recorder.event()
    url = serve(REKT_DASHBOARD_TOKEN=TOKEN).url
    codes = [
        httpx.get(f"{url}/api/v1/status", headers={"Authorization": f"Bearer {n}"}).status_code
        for n in range(15)
    ]
    assert codes[0] == 401
    assert 429 in codes


def test_a_browser_is_told_to_run_nothing_but_our_files(serve: Serve, recorder: Recorder) -> None:
    """Every answer has the policy; no script may stand in a page."""
    recorder.event()
    url = serve().url
    for path in ("/", "/api/v1/liquidations", "/static/main.js", "/nothing/here"):
        headers = httpx.get(url + path).headers
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in httpx.get(url).text


@pytest.mark.parametrize(
    "name", ["..%2f..%2fserver.py", "%2e%2e/server.py", "nothing.js", ".hidden", "style.css%00"]
)
def test_only_the_page_s_own_files_are_served(serve: Serve, recorder: Recorder, name: str) -> None:
    """No way leads out of the folder."""
    recorder.event()
    assert httpx.get(f"{serve().url}/static/{name}").status_code == 404


def test_a_long_query_is_refused(serve: Serve, recorder: Recorder) -> None:
    """A few kilobytes are enough for any question."""
    recorder.event()
    assert httpx.get(f"{serve().url}/api/v1/liquidations?symbol={'x' * 5000}").status_code == 414


def test_each_address_has_a_rate() -> None:
    """A burst is taken, more is refused until time has passed; others are not concerned."""
    now = 0.0
    rate = Rate(10, 5, clock=lambda: now)
    assert [rate.take("a") for _ in range(6)] == [True] * 5 + [False]
    assert rate.take("b")
    now = 0.11
    assert rate.take("a")
    assert not rate.take("a")
