"""Real dashboards: `rekt serve` as a process over a ledger that the test writes, and a real browser to look at it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from rekt.model import Connection, Span
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger
from tests.dashboard import scenes

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


expect.set_options(timeout=30_000)  # test machines are busy; a page that is right is right at once


class Served:
    """A `rekt serve` over one ledger; it can be stopped and started again on the same port."""

    def __init__(self, path: Path, **variables: str) -> None:
        self.path = path
        self.url = ""
        self._port = "0"
        self._variables = variables
        self._process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> Served:
        """Start it, and wait until it listens."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("REKT_")}
        ini = self.path.with_name("empty.ini")
        ini.touch()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rekt", "serve", "--port", self._port, *arguments],
            env={**kept, "REKT_CONFIG": str(ini), "REKT_DATABASE_PATH": str(self.path), **self._variables},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self._port = self.url.rpartition(":")[2]
        return self

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """End it; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signum)
        code = self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return code

    def close(self) -> None:
        """End it where it runs."""
        if self._process is not None:
            self.stop(signal.SIGKILL)


class Recorder:
    """Writes to a ledger as a recorder does: events, and a canary that proves them."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)
        self.ledger.begin(Run("live", time.time_ns() // 1000, None, "run", "0", os.getpid()))
        self._start = time.time_ns() // 1_000_000
        self._count = 0

    def now(self) -> int:
        """The time, ms."""
        return time.time_ns() // 1_000_000

    def tick(self, venue: str = "binance") -> None:
        """A sign of life, now."""
        now = time.time_ns() // 1_000_000
        name = "live" if venue == "binance" else venue
        life = Connection(name, "live", venue, "ws://x/", self._start * 1000, None, now * 1000, now * 1000)
        self.ledger.append(Batch("live", connections=[life], spans=[Span(name, self._start, now)]))

    def event(
        self, symbol: str = "BTCUSDT", usd: float = 1000.0, *, long: bool = True, venue: str = "binance"
    ) -> str:
        """A liquidation of just now; returns its uid in hex."""
        self._count += 1
        now = time.time_ns() // 1_000_000
        one = scenes.sized(now, symbol, usd, long=long, number=self._count)
        one = one._replace(feed=one.feed._replace(venue=venue))
        self.ledger.append(Batch("live", frames=[(one,)]))
        return one.uid.hex()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A recorder on a fresh ledger."""
    found = Recorder(tmp_path / "test.db")
    yield found
    found.ledger.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start a dashboard over this test's ledger."""
    started: list[Served] = []

    def start(*arguments: str, path: Path | None = None, **variables: str) -> Served:
        started.append(Served(path or tmp_path / "test.db", **variables))
        return started[-1].start(*arguments)

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A ledger of a scene, written once."""
    folder = tmp_path_factory.mktemp("books")

    def book(scene: str) -> Path:
        path = folder / scene / "test.db"
        if not path.exists():
            path.parent.mkdir()
            scenes.make(path, scene, days=8, per_hour=60)
        return path

    return book


@pytest.fixture(scope="module")  # its event loop must not be there for the tests of other folders
def browser() -> Iterator[Browser]:
    """The system's Chromium, with an empty profile."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        message = "no Chromium: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


Look = Callable[..., Page]


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Open the page; whatever the console complains of fails the test (a server that ends or is gone it may mention)."""
    complaints: list[str] = []
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        gone = "net::ERR_" in message.text or "status of 503" in message.text
        if message.type in ("error", "warning") and not gone:
            complaints.append(message.text)

    def open_page(
        url: str, *, theme: str = "dark", width: int = 1440, height: int = 900, phone: bool = False
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="light" if theme == "light" else "dark",
            is_mobile=phone,
            has_touch=phone,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.set_default_timeout(20_000)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
