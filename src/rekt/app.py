"""The composition root: settings → a running recorder, a reader. The only place that knows concrete adapters."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from . import __version__, registry
from .config import Key, Settings, load
from .errors import ConfigError

if TYPE_CHECKING:
    from .model import Liquidation
    from .pipeline.committer import Progress
    from .pipeline.recorder import Recorder
    from .store import Appended
    from .stores.sqlite import Ledger, Reader
    from .venue import Endpoint, Venue
    from .wire.connection import Connection

ENABLED = ("binance",)  # the venues that are recorded


def venue(name: str) -> Venue:
    """One venue by its file's name."""
    found: Venue = registry.load("rekt.venues", name).VENUE
    return found


def venue_keys() -> dict[str, dict[str, Key]]:
    """The configuration sections that the venues bring, named after them in capitals."""
    return {name.upper(): dict(venue(name).keys) for name in registry.names("rekt.venues")}


def checkout() -> Path | None:
    """The folder of the launcher; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "rekt").is_file() and (root / "locks").is_dir() else None


def settings(config: str | None = None) -> Settings:
    """The configuration in force. Raises ConfigError."""
    try:
        cwd: Path | None = Path.cwd()
    except OSError:  # the working directory is gone
        cwd = None
    return load(config, os.environ, extra=venue_keys(), launcher_root=checkout(), cwd=cwd)


def settle_ms() -> dict[str, int]:
    """How long after an hour's end each venue's events of it may still come, in ms."""
    return {name: round(venue(name).settle_s * 1000) for name in registry.names("rekt.venues")}


def reader(settings: Settings) -> Reader:
    """The ledger, for reading. Raises LedgerError when there is none yet or it can't be read."""
    from .stores.sqlite import Reader

    return Reader.open(settings.ledger_path)


def writer(settings: Settings) -> Ledger:
    """The ledger, for writing; made where there is none. Raises LedgerError."""
    from .stores.sqlite import Ledger

    return Ledger.open(settings.ledger_path)


def host_kind(host: str, venue: Venue) -> Literal["real", "testnet"] | None:
    """What a host's events are: play money or not; None for loopback, whose events go into either ledger."""
    from .wire.address import is_loopback

    if is_loopback(host):
        return None
    testnet = any(host == known or host.endswith("." + known) for known in venue.testnet_hosts)
    return "testnet" if testnet else "real"


class Recording:
    """A mark beside the ledger that a recorder is at work; the kernel takes it away with the process."""

    def __init__(self, ledger: Path) -> None:
        self._file = os.open(_mark(ledger), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_SH)  # shared: two recorders on one ledger are legal

    def close(self) -> None:
        """Take the mark away."""
        os.close(self._file)


def recording(ledger: Path) -> bool:
    """Whether a recorder is at work on this ledger."""
    try:
        mark = os.open(_mark(ledger), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(mark)
    return False


def _mark(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".recording")


class Service:
    """Everything `rekt run` runs: one recorder per venue, one committer, one ledger."""

    def __init__(
        self,
        settings: Settings,
        *,
        tape: Path | None = None,
        durable: Callable[[Appended], None] = lambda _: None,
    ) -> None:
        self.recorders: list[Recorder] = []
        self.progress: Progress | None = None
        self.started = time.monotonic()
        self._settings = settings
        self._tape = tape
        self._durable = durable

    def warnings(self) -> list[str]:
        """What is known to be wrong about the configured addresses, before anything is tried."""
        told = [venue(name).warning(self._settings.section(name.upper())) for name in ENABLED]
        return [warning for warning in told if warning is not None]

    async def run(self, stop: asyncio.Event) -> int:
        """Record until `stop` is set; returns how many items could not be made durable (0 = all were)."""
        from .pipeline.committer import Committer
        from .pipeline.recorder import Recorder
        from .venue import Reference
        from .wire.tape import TapeWriter

        ledger = writer(self._settings)
        mark: Recording | None = None
        tape: TapeWriter | None = None
        try:
            venues = [venue(name) for name in ENABLED]
            for one in venues:
                for endpoint in one.endpoints(self._settings.section(one.name.upper())):
                    self._check_host(ledger, one, endpoint)
            mark = Recording(self._settings.ledger_path)
            run = ledger.begin_run("run", os.getpid(), __version__, _now_us())
            loop = asyncio.get_running_loop()
            if self._tape is not None:
                tape = TapeWriter(self._tape, run)

            def room() -> None:
                for recorder in self.recorders:
                    loop.call_soon_threadsafe(recorder.resume)

            committer = Committer(ledger, run, durable=self._durable, room=room)
            self.progress = committer.progress
            known = ledger.instruments()
            for one in venues:
                reference = Reference({i.symbol: i for i in known if i.venue == one.name})
                self.recorders.append(
                    Recorder(
                        one,
                        self._settings.section(one.name.upper()),
                        committer,
                        reference,
                        run,
                        open_connection=_connect,
                        fetch=_fetch,
                        unsettled=_unsettled(self._settings.ledger_path, one.name),
                        tape=tape,
                    )
                )
            tasks = [asyncio.create_task(recorder.run()) for recorder in self.recorders]
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for recorder in self.recorders:
                    recorder.stop()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                stopping.cancel()
                left = await asyncio.to_thread(committer.close)
            for result in ended:
                if isinstance(result, BaseException):
                    raise result
            if not left:
                ledger.end_run(run, _now_us())
            return left
        finally:
            if tape is not None:
                tape.close()
            ledger.close()
            if mark is not None:
                mark.close()

    def _check_host(self, ledger: Ledger, one: Venue, endpoint: Endpoint) -> None:
        host = urlsplit(endpoint.url).hostname or ""
        kind = host_kind(host, one)
        if kind is None:
            return
        marked = ledger.mark(kind)
        if marked != kind:
            raise ConfigError(
                f"{host} is a {kind} host, but {self._settings.ledger_path} holds {marked} events; nothing was recorded",
                hint="name another ledger in [DATABASE] path, or change [BINANCE] ws_url",
            )


def _now_us() -> int:
    return time.time_ns() // 1000


async def _connect(endpoint: Endpoint) -> Connection:
    from .wire.connection import Connection

    return await Connection.open(endpoint.url, messages=endpoint.messages)


async def _fetch(url: str) -> bytes:
    from .wire.rest import fetch

    return await fetch(url)


def _unsettled(path: Path, venue: str) -> Callable[[], Iterable[Liquidation]]:
    def read() -> Iterable[Liquidation]:
        from .stores.sqlite import Reader

        with Reader.open(path) as reader:
            yield from reader.unsettled(venue)

    return read
