"""The composition root: settings → a running recorder, a reader. The only place that knows concrete adapters."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from rekt.config import SECTIONS, Key, Section, Settings, load
from rekt.errors import ConfigError, LedgerError, RestError, UsageError

from . import __version__, registry

if TYPE_CHECKING:
    from rekt.dashboard.server import Dashboard
    from rekt.model import Liquidation, Market
    from rekt.pipeline.committer import Progress
    from rekt.pipeline.companion import Companion
    from rekt.pipeline.notify import Notify
    from rekt.pipeline.recorder import Recorder
    from rekt.pipeline.rederive import Rederived
    from rekt.publisher import Service as PublisherKind
    from rekt.stats.coverage import Traits
    from rekt.store import Appended
    from rekt.stores.sqlite import Ledger, Reader
    from rekt.stores.sqlite.outbox import Outbox
    from rekt.venue import Endpoint, Reference, Venue
    from rekt.wire.connection import Connection
    from rekt.wire.tape import BadLine, TapeLine
    from rekt.wire.tape_writer import TapeWriter

log = logging.getLogger("rekt.app")

_STARTED = time.monotonic()
ALL_S = 9.0  # of the ten seconds that an ordered end may take
OVERLAP_S = 2.5  # two ticks of a canary: so long both deliver before the old recorder is told to go


def tune() -> None:
    """Set the interpreter up for recording: one busy loop beside one writing thread, and few cycles of objects.

    The writer, back from SQLite, waits for Python's lock for so long as the loop is busy: the default of 5 ms is
    longer than its work. Events are plain tuples, which the collector need not look through again and again.
    """
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def since_start_s() -> float:
    """Seconds since the program started, set-up not counted (the launcher's process is this one too)."""
    return time.monotonic() - _STARTED


def venue(name: str) -> Venue:
    """One venue by its file's name."""
    found: Venue = registry.load("rekt.venues", name).VENUE
    return found


def enabled(settings: Settings) -> list[str]:
    """The venues that are recorded. Raises ConfigError for one that is not there."""
    try:
        return chosen(settings.section("VENUES").text("enabled"))
    except UsageError as error:
        raise ConfigError(f"[VENUES] enabled: {error.message}", hint=error.hint) from None


def chosen(names: str) -> list[str]:
    """The venues of a list with commas, or all, in the order of their names. Raises UsageError."""
    asked = [name.strip().lower() for name in names.split(",")]
    known = registry.names("rekt.venues")
    if "all" in asked:
        return known
    for name in asked:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}, or all"
            raise UsageError(f"no venue is called {name!r}", hint=hint)
    return [name for name in known if name in asked]


def venues(settings: Settings) -> list[Venue]:
    """The venues that are recorded. Raises ConfigError."""
    return [venue(name) for name in enabled(settings)]


def venue_keys() -> dict[str, dict[str, Key]]:
    """The configuration sections that the venues bring, named after them in capitals."""
    return {name.upper(): dict(venue(name).keys) for name in registry.names("rekt.venues")}


def service(name: str) -> PublisherKind:
    """One service that posts go to, by its file's name. Raises UsageError for one that is not there."""
    found: PublisherKind = registry.load("rekt.publishers", name).SERVICE
    return found


def services() -> dict[str, PublisherKind]:
    """Every service that posts can go to."""
    return {name: service(name) for name in registry.names("rekt.publishers")}


def keys() -> dict[str, dict[str, Key]]:
    """The configuration sections that venues and services bring."""
    brought = {one.section: dict(one.keys) for one in services().values() if one.keys}
    return {**venue_keys(), **brought}


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
    return load(config, os.environ, extra=keys(), launcher_root=checkout(), cwd=cwd)


def traits(settings: Settings | None = None) -> dict[str, Traits]:
    """What each venue's numbers rest on, and whether it is recorded by these settings (by default without)."""
    from rekt.stats.coverage import Traits

    chosen = enabled(settings) if settings is not None else [SECTIONS["VENUES"]["enabled"].default]
    found = {}
    for name in registry.names("rekt.venues"):
        one = venue(name)
        canary_s = float(one.keys["canary_timeout"].default)
        kinds = [
            " and ".join(sorted(set(kind))) for kind in zip(*(feed[2:] for feed in one.feeds), strict=True)
        ]
        found[name] = Traits(
            round(one.settle_s * 1000), round(canary_s * 1000), kinds[1], kinds[0], name in chosen
        )
    return found


def settle_ms(names: Iterable[str]) -> int:
    """How long after an hour's end the quickest of these venues may still tell events of it, in ms."""
    return min(round(venue(name).settle_s * 1000) for name in names)


def reader(settings: Settings) -> Reader:
    """The ledger, for reading. Raises LedgerError when there is none yet or it can't be read."""
    from rekt.stores.sqlite import Reader

    return Reader(settings.ledger_path)


def outbox(settings: Settings) -> Outbox:
    """The posts, for writing. Raises LedgerError."""
    from rekt.stores.sqlite.outbox import Outbox

    return Outbox(settings.ledger_path)


def writer(settings: Settings) -> Ledger:
    """The ledger, for writing; made where there is none. Raises LedgerError."""
    from rekt.stores.sqlite import Ledger

    return Ledger(settings.ledger_path)


def dashboard(settings: Settings, host: str, *, rate: tuple[float, float] | None = None) -> Dashboard:
    """The dashboard's application over the configured ledger, which is made where there is none.

    `rate`: requests a second of one address, and how many at once.

    Raises ConfigError for an address that others reach, while no token is set.
    """
    import apsw

    from rekt.dashboard.guard import Rate
    from rekt.dashboard.numbers import Source
    from rekt.dashboard.preview import Posting
    from rekt.dashboard.server import Dashboard, is_loopback
    from rekt.posts.compose import templates
    from rekt.posts.gate import Terms

    section = settings.section("DASHBOARD")
    token = section.optional("token")
    if not is_loopback(host) and token is None:
        raise ConfigError(
            f"the dashboard listens on {host}, which others reach, only with a token",
            hint="set [DASHBOARD] token (or REKT_DASHBOARD_TOKEN), or leave out --host",
        )
    if token is not None and settings.exposed:
        raise ConfigError(
            f"{settings.file} holds keys, and others can read it; the token is one of them",
            hint=f"chmod 600 {settings.file}",
        )
    if not settings.ledger_path.exists():
        writer(settings).close()
    post, choices = settings.section("POST"), templates(settings.templates_path)
    terms = Terms(post.number("min_coverage"), post.number("skip_coverage"))
    names = [name.strip() for name in section.text("hosts").split(",") if name.strip()]
    source = Source(
        open_book=lambda: reader(settings),
        path=settings.ledger_path,
        traits=traits(settings),
        posting=Posting(lambda: choices, terms, post.text("theme") if post.flag("picture") else None),
        recording=lambda: recording(settings.ledger_path),
        sqlite_version=apsw.sqlite_lib_version(),
        version=__version__,
        sink=_sink(settings),
        token=token,
        hosts=(*names, host),
    )
    return Dashboard(source, loopback=is_loopback(host), rate=Rate(*rate) if rate else None)


def _sink(settings: Settings) -> Callable[[], dict[str, Any]] | None:
    """Asks what the rows are shipped to, where they are."""
    from rekt import shipping

    return partial(shipping.status, settings) if shipping.wanted(settings) else None


def host_kind(host: str, venue: Venue) -> Literal["real", "testnet"] | None:
    """What a host's events are: play money or not; None for loopback, whose events go into either ledger."""
    from rekt.wire.address import is_loopback

    if is_loopback(host):
        return None
    testnet = any(host == known or host.endswith("." + known) for known in venue.testnet_hosts)
    return "testnet" if testnet else "real"


def recording(ledger: Path) -> bool:
    """Whether a recorder is at work on this ledger."""
    from rekt.pipeline.presence import recorders

    return bool(recorders(ledger))


class Replayed(NamedTuple):
    """What came of a replay."""

    lines: int
    progress: Progress
    documents: str | None  # why the list of contracts could not be had, where it was needed


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
        told = [one.warning(self._settings.section(one.name.upper())) for one in venues(self._settings)]
        return [warning for warning in told if warning is not None]

    async def run(self, stop: asyncio.Event, command: str = "run") -> int:
        """Record until `stop` is set; returns how many items could not be made durable (0 = all were)."""
        from rekt.pipeline.committer import Committer
        from rekt.pipeline.notify import Notify
        from rekt.pipeline.presence import Presence, recorders
        from rekt.pipeline.recorder import Recorder
        from rekt.store import Run
        from rekt.venue import Reference

        ledger = writer(self._settings)
        presence: Presence | None = None
        tape: TapeWriter | None = None
        companion = self._companion()
        keeping: asyncio.Task[None] | None = None
        try:
            recorded = venues(self._settings)
            for one in recorded:
                for endpoint in one.endpoints(self._settings.section(one.name.upper())):
                    self._check_host(ledger, one, endpoint)
            before = recorders(self._settings.ledger_path)
            presence = Presence(self._settings.ledger_path)
            run = secrets.token_hex(8)
            ledger.begin(Run(run, _now_us(), None, command, __version__, os.getpid()))
            if companion is not None:
                keeping = asyncio.create_task(companion.keep())
            loop = asyncio.get_running_loop()
            if self._tape is not None:
                from rekt.wire.tape_writer import TapeWriter

                tape = TapeWriter(self._tape, run)

            def room() -> None:
                for recorder in self.recorders:
                    loop.call_soon_threadsafe(recorder.resume)

            committer = Committer(
                ledger,
                run,
                durable=self._durable,
                room=room,
                settle_ms=settle_ms(one.name for one in recorded),
            )
            self.progress = committer.progress
            for one in recorded:
                with reader(self._settings) as known:
                    reference = Reference(known.instruments(one.name))
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
                ledger.end(run, _now_us())
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
        from rekt.pipeline.presence import recorders

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
        from rekt import shipping

        if not shipping.wanted(self._settings):
            return None
        shipping.check(self._settings)
        from rekt.pipeline.companion import Companion

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


def replay(
    settings: Settings,
    tapes: Iterable[Iterable[TapeLine | BadLine]],
    *,
    default: str | None = None,
    market: Market | None = None,
) -> Replayed:
    """Record tapes into the configured ledger, then value what can be valued. Raises LedgerError.

    `default`: whose the frames are that name no venue (else the first one that is enabled); `market`: theirs, where
    that venue's frames don't tell it. Raises UsageError for a venue that is not there.
    """
    from rekt.pipeline.committer import Change, Committer
    from rekt.pipeline.instruments import refresh, settle
    from rekt.pipeline.replay import Reading, Replay
    from rekt.store import Run

    usual = venue(default if default is not None else enabled(settings)[0])
    ledger = writer(settings)
    run = secrets.token_hex(8)
    ledger.begin(Run(run, _now_us(), None, "replay", __version__, os.getpid()))
    known = _known(settings)
    committer = Committer(ledger, run, reason="replay", settle_ms=settle_ms([usual.name]))
    try:
        replay = Replay(Reading(known, usual.name, market), committer)
        for tape in tapes:
            replay.feed(tape)
        replay.end()
        trouble = None
        for name in sorted({name for name, _ in replay.symbols}):
            found = known(name)
            if found is None:
                continue
            section, (one, reference) = settings.section(name.upper()), found
            try:
                asyncio.run(refresh(one, section, reference, committer, _fetch))
            except RestError as error:
                trouble = error.message
            committer.flush(60.0)
            settled = settle(one, reference, _unsettled(settings.ledger_path, name)())
            committer.put(Change(settled=tuple(settled)))
    finally:
        left = committer.close(60.0)
        progress = committer.progress
        if not left:
            ledger.end(run, _now_us())
        ledger.close()
    if left:
        raise LedgerError(
            f"{left} lines could not be written: {progress.trouble}", hint="replay the tape again"
        )
    return Replayed(replay.lines, progress, trouble)


def rederive(
    settings: Settings,
    tapes: Iterable[Path],
    days: Collection[int],
    path: Path,
    *,
    told: Callable[[int], object] = lambda _: None,
) -> Rederived:
    """The events of some days (ms) from tapes into a new ledger at `path`; asks nobody for lists of contracts.

    Raises LedgerError; UsageError for a tape that can't be opened.
    """
    from rekt.pipeline.rederive import rederive
    from rekt.pipeline.replay import Reading
    from rekt.wire.tape import read_tape

    reading = Reading(_known(settings), enabled(settings)[0])
    ledger = writer(replace(settings, ledger_path=path))
    try:
        lines = chain.from_iterable(read_tape(tape) for tape in tapes)
        return rederive(lines, reading, ledger.append, days, told)
    finally:
        ledger.close()


def merge(settings: Settings, path: Path, told: Callable[[int], None] = lambda _: None) -> tuple[int, int]:
    """Unite another ledger with the configured one; returns how many events were new, and how many were repeats.

    Raises LedgerError; UsageError where the two must not be united.
    """
    from rekt.pipeline.merge import merge
    from rekt.store import Run
    from rekt.stores.sqlite import Reader

    if path.resolve() == settings.ledger_path.resolve():
        raise UsageError(f"{path} is the ledger itself")
    if not path.exists():
        raise UsageError(f"there is no ledger at {path}", hint="name the file of another recorder")
    with Reader(path) as other:
        ledger = writer(settings)
        try:
            kind = other.meta("host_kind")
            ours = ledger.claim("host_kind", kind) if kind else kind
            if ours != kind:
                raise UsageError(f"{path} holds {kind} events, but {settings.ledger_path} holds {ours} ones")
            run = secrets.token_hex(8)
            ledger.begin(Run(run, _now_us(), None, "merge", __version__, os.getpid()))
            with reader(settings) as here:
                known = {connection.id for connection in here.connections(None)}
                unvalued = {event.uid for name in here.venues() for event in here.unsettled(name)}
            done = merge(other, ledger.append, run, known=known, unvalued=unvalued, told=told)
            ledger.end(run, _now_us())
            return done
        finally:
            ledger.close()


def _known(settings: Settings) -> Callable[[str], tuple[Venue, Reference] | None]:
    """Venues by name, each with what the ledger knows for decoding it; None for a name that is no venue's."""
    from rekt.venue import Reference

    found: dict[str, tuple[Venue, Reference] | None] = {}

    def known(name: str) -> tuple[Venue, Reference] | None:
        if name not in found:
            found[name] = None
            if name in registry.names("rekt.venues"):
                instruments = {}
                if settings.ledger_path.exists():
                    with reader(settings) as ledger:
                        instruments = ledger.instruments(name)
                found[name] = venue(name), Reference(instruments)
        return found[name]

    return known


def _now_us() -> int:
    return time.time_ns() // 1000


async def _connect(endpoint: Endpoint) -> Connection:
    from rekt.wire.connection import Connection

    return await Connection.open(endpoint.url, headers=dict(endpoint.headers) or None)


async def _fetch(url: str) -> bytes:
    from rekt.wire.rest import fetch

    return await fetch(url)


def _unsettled(path: Path, venue: str) -> Callable[[], Iterable[Liquidation]]:
    def read() -> Iterable[Liquidation]:
        from rekt.stores.sqlite import Reader

        with Reader(path) as reader:
            yield from reader.unsettled(venue)

    return read


def pointed_at(section: Section, ws_url: str, rest_url: str) -> Section:
    """A venue's section with every address led to another host: paths stay, origins are these."""
    given = dict(section)
    for key, value in section.items():
        if key.endswith(("ws_url", "rest_url")):
            origin = urlsplit(ws_url if key.endswith("ws_url") else rest_url)
            given[key] = urlunsplit(urlsplit(value)._replace(scheme=origin.scheme, netloc=origin.netloc))
    return Section(section.name, given)


def demo_settings(settings: Settings, exchanges: Mapping[str, tuple[str, str]]) -> Settings:
    """The same settings, but with simulated exchanges alone and a ledger of the demo's own, made anew.

    `exchanges`: of each venue the websocket's and the documents' address. Raises UsageError while another demo is
    using that ledger.
    """
    path = settings.data_folder / "demo" / "demo.db"
    if recording(path):
        raise UsageError("a demo is running already", hint=f"it uses {path}")
    for old in path.parent.glob(path.name + "*"):
        old.unlink()
    sections = {
        **settings.sections,
        "DATABASE": Section(
            "DATABASE", {**settings.section("DATABASE"), "engine": "sqlite"}
        ),  # it ships nothing
        "VENUES": Section("VENUES", {"enabled": ",".join(exchanges)}),
    }
    defaults = load(None, {}, extra=keys(), launcher_root=None, cwd=None)
    for name, addresses in exchanges.items():
        sections[name.upper()] = pointed_at(defaults.section(name.upper()), *addresses)
    return replace(settings, ledger_path=path, sections=sections)
