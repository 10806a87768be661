"""Recording put together: settings → recorders, committer, ledger and what goes beside them, running until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from rekt import __version__, app, shipping
from rekt.config import Section, Settings
from rekt.errors import ConfigError
from rekt.pipeline.committer import Committer, Progress
from rekt.pipeline.companion import Companion
from rekt.pipeline.notify import Notify
from rekt.pipeline.presence import Presence, recorders
from rekt.pipeline.recorder import Recorder
from rekt.pipeline.suspicion import Watch
from rekt.pipeline.trial import Collected, Seen, attend
from rekt.store import Appended, Run
from rekt.stores.sqlite import Ledger
from rekt.venue import Endpoint, Reference, Venue
from rekt.wire.address import is_loopback
from rekt.wire.tape_writer import TapeWriter

log = logging.getLogger("rekt.app")

ALL_S = 9.0  # of the ten seconds that an ordered end may take
OVERLAP_S = 2.5  # two ticks of a canary: so long both deliver before the old recorder is told to go


class Service:
    """Everything `rekt run` runs: one recorder per venue, one committer, one ledger."""

    def __init__(
        self,
        settings: Settings,
        *,
        tape: Path | None = None,
        take_over: bool = False,
        durable: Callable[[Appended], None] = lambda _: None,
        options: Sequence[str] = (),
    ) -> None:
        """`options`: of the command line, for the processes beside this one."""
        self._options = options
        self.recorders: list[Recorder] = []
        self.progress: Progress | None = None
        self.started = time.monotonic()
        self._settings = settings
        self._tape = tape
        self._take_over = take_over
        self._durable = durable

    def warnings(self) -> list[str]:
        """What is known to be wrong about the configured addresses, before anything is tried."""
        told = [one.warning(self._settings.section(one.name.upper())) for one in app.venues(self._settings)]
        return [warning for warning in told if warning is not None]

    async def run(self, stop: asyncio.Event, command: str = "run") -> int:
        """Record until `stop` is set; returns how many items could not be made durable (0 = all were)."""
        ledger = app.writer(self._settings)
        presence: Presence | None = None
        tape: TapeWriter | None = None
        companion = self._companion()
        keeping: asyncio.Task[None] | None = None
        try:
            recorded = app.venues(self._settings)
            for one in recorded:
                for endpoint in one.endpoints(self._settings.section(one.name.upper())):
                    self._check_host(ledger, one, endpoint)
            before = recorders(self._settings.ledger_path)
            presence = Presence(self._settings.ledger_path)
            run = secrets.token_hex(8)
            ledger.begin(Run(run, app.now_us(), None, command, __version__, os.getpid()))
            if companion is not None:
                keeping = asyncio.create_task(companion.keep())
            loop = asyncio.get_running_loop()
            if self._tape is not None:
                tape = TapeWriter(self._tape, run)

            def room() -> None:
                for recorder in self.recorders:
                    loop.call_soon_threadsafe(recorder.resume)

            committer = Committer(
                ledger,
                run,
                durable=self._durable,
                room=room,
                settle_ms=app.settle_ms(one.name for one in recorded),
            )
            self.progress = committer.progress
            watches: list[Watch] = []  # each looks at the others, too
            for one in recorded:
                with app.reader(self._settings) as known:
                    reference = Reference(known.instruments(one.name))
                    watches.append(Watch(one, watches, known.suspicions(), app.now_us()))
                self.recorders.append(
                    Recorder(
                        one,
                        self._settings.section(one.name.upper()),
                        committer,
                        reference,
                        run,
                        open_connection=app.connect,
                        fetch=app.fetch,
                        unsettled=app.unsettled(self._settings, one.name),
                        tape=tape,
                        watch=watches[-1],
                    )
                )
            tasks = [asyncio.create_task(recorder.run()) for recorder in self.recorders]
            stopping = asyncio.create_task(stop.wait())
            notify = Notify(os.environ)
            notify.ready()
            aside = [asyncio.create_task(self._beat(notify))]
            if self._take_over:
                aside.append(asyncio.create_task(self._relieve(before)))
            try:
                await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked = time.monotonic()
                notify.stopping()
                for task in aside:
                    task.cancel()
                for recorder in self.recorders:
                    recorder.stop()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                stopping.cancel()
                left = await asyncio.to_thread(committer.close)
                if companion is not None and keeping is not None:  # what was recorded last is shipped too
                    keeping.cancel()
                    await asyncio.to_thread(companion.stop, max(1.0, ALL_S - (time.monotonic() - asked)))
            for result in ended:
                if isinstance(result, BaseException):
                    raise result
            if not left:
                ledger.end(run, app.now_us())
            return left
        finally:
            if companion is not None:
                companion.stop(0.0)
            if tape is not None:
                tape.close()
            ledger.close()
            if presence is not None:
                presence.close()

    async def _relieve(self, pids: list[int]) -> None:
        """Once every venue is delivered here too, tell those that recorded before to go."""
        # Looked at now and then, not waited for: it is a state of several recorders, and asked once in a life.
        while not all(recorder.delivers(OVERLAP_S) for recorder in self.recorders):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        for pid in pids:
            if pid in recorders(self._settings.ledger_path) and pid != os.getpid():
                log.info("taking over from process %d, which is told to go", pid)
                os.kill(pid, signal.SIGTERM)

    async def _beat(self, notify: Notify) -> None:
        """Tell systemd's watchdog that the loop turns, as often as it wants."""
        while notify.period_s is not None:
            events = self.progress.events if self.progress else 0
            notify.alive(f"{events} events recorded")
            await asyncio.sleep(notify.period_s)

    def _companion(self) -> Companion | None:
        """The shipper's process, where the configuration wants one; it uses the same configuration."""
        if not shipping.wanted(self._settings):
            return None
        shipping.check(self._settings)
        command = [sys.executable, "-m", "rekt", *self._options, "questdb", "ship", "--attached"]
        environment = {**os.environ, "REKT_DATABASE_PATH": str(self._settings.ledger_path)}
        if self._settings.file is not None:
            environment["REKT_CONFIG"] = str(self._settings.file)
        return Companion("the shipper to QuestDB", command, environment)

    def _check_host(self, ledger: Ledger, one: Venue, endpoint: Endpoint) -> None:
        host = urlsplit(endpoint.url).hostname or ""
        kind = host_kind(host, one)
        if kind is None:
            return
        marked = ledger.claim("host_kind", kind)
        if marked != kind:
            section = self._settings.section(one.name.upper())
            keys = [key for key in section if key.endswith("ws_url")]
            named = [key for key in keys if urlsplit(section.text(key)).hostname == host] or keys
            raise ConfigError(
                f"{host} is a {kind} host, but {self._settings.ledger_path} holds {marked} events; nothing was recorded",
                hint=f"name another ledger in [DATABASE] path, or change [{section.name}] {named[0]}",
            )


def host_kind(host: str, venue: Venue) -> Literal["real", "testnet"] | None:
    """What a host's events are: play money or not; None for loopback, whose events go into either ledger."""
    if is_loopback(host):
        return None
    testnet = any(host == known or host.endswith("." + known) for known in venue.testnet_hosts)
    return "testnet" if testnet else "real"


def trial(settings: Settings, name: str, seconds: float) -> Seen:
    """Connect to a venue for so long as its recorder would, write nothing, and tell what was seen."""
    section = settings.section(name.upper())
    one, collected = app.venue(name), Collected()

    async def listen() -> Seen:
        recorder = Recorder(
            one,
            Section(section.name, {**section, "connections": "1"}),
            collected,
            Reference(),
            secrets.token_hex(8),
            open_connection=app.connect,
            fetch=app.fetch,
            unsettled=collected.unsettled,
            watch=Watch(one, (), (), app.now_us()),
        )
        return await attend(recorder, collected, seconds)

    return asyncio.run(listen())
