"""The real recorder in a thread of its own, against the simulator: what the tests of the pipeline look at."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rekt import app, service
from rekt.config import Settings, load
from rekt.model import Connection, Liquidation
from rekt.simulator import SimulatorThread
from rekt.store import Appended, Counters
from rekt.stores.sqlite import Reader
from tests.waiting import until


def settings_for(ledger: Path, exchange: SimulatorThread, **binance: Any) -> Settings:
    """The settings of a recorder of this exchange; `binance` are keys of that section."""
    given = {
        "connections": 1,
        "ws_url": exchange.ws_url,
        "um_rest_url": exchange.rest_url,
        "cm_rest_url": exchange.rest_url,
        **binance,
    }
    environ = {f"REKT_BINANCE_{key.upper()}": str(value) for key, value in given.items()}
    environ["REKT_DATABASE_PATH"] = str(ledger)
    return load(None, environ, extra=app.keys(), launcher_root=ledger.parent, cwd=None)


class Running:
    """A service at work; `new` are the events it told to be durable."""

    def __init__(self, settings: Settings, tape: Path | None = None) -> None:
        self.ledger = settings.ledger_path
        self.new: list[Liquidation] = []
        self.service = service.Service(settings, durable=self._durable, tape=tape)
        self.left: int | None = None
        self.error: BaseException | None = None
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _durable(self, appended: Appended) -> None:
        self.new.extend(appended.new)

    def _run(self) -> None:
        async def work() -> None:
            self._loop = asyncio.get_running_loop()
            self.left = await self.service.run(self._stop)

        try:
            asyncio.run(work())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error

    def call(self, function: Callable[[], Any]) -> None:
        """Run something in the recorder's loop."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """End it in order; its error, if it had one, is raised here."""
        if self._loop is not None and self._thread.is_alive():
            self.call(self._stop.set)
        self._thread.join(15)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error

    def alive(self) -> bool:
        """Whether a connection has proved itself."""
        return any(link.proved.is_set() and not link.ended.is_set() for link in self.links())

    def links(self) -> list[Any]:
        """The links of every recorder."""
        return [link for recorder in self.service.recorders for link in recorder.links]

    def connections(self) -> list[Connection]:
        """The connections as the ledger has them."""
        with Reader(self.ledger) as reader:
            return reader.connections(None)

    def events(self) -> list[Liquidation]:
        """The events as the ledger has them."""
        with Reader(self.ledger) as reader:
            return [row.event for row in reader.after(0, 1_000_000)]

    def counters(self) -> Counters:
        """The counters as the ledger has them."""
        with Reader(self.ledger) as reader:
            return reader.counters()


@contextmanager
def running(
    ledger: Path, exchange: SimulatorThread, *, tape: Path | None = None, wait: bool = True, **binance: Any
) -> Iterator[Running]:
    """A recorder for the length of a `with`, alive when it begins (unless told not to wait)."""
    recorder = Running(settings_for(ledger, exchange, **binance), tape)
    try:
        if wait:
            assert until(recorder.alive), recorder.error
        yield recorder
    finally:
        recorder.stop()
