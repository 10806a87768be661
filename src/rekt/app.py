"""The composition root: settings → a running recorder, a reader. The only place that knows concrete adapters."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from rekt.config import SECTIONS, Key, Section, Settings, load
from rekt.errors import ConfigError, UsageError

from . import __version__, registry

if TYPE_CHECKING:
    from rekt.dashboard.server import Dashboard
    from rekt.model import Liquidation
    from rekt.publisher import Service as PublisherKind
    from rekt.stats.coverage import Traits
    from rekt.stores.sqlite import Ledger, Outbox, Reader
    from rekt.venue import Endpoint, Venue
    from rekt.wire.connection import Connection

log = logging.getLogger("rekt.app")

_STARTED = time.monotonic()

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
HEAP_KEPT = 128 * 1024  # bytes: glibc's own beginning


def tune() -> None:
    """Set the interpreter up for recording and shipping: one busy loop beside one writing thread, and few cycles of objects.

    The writer, back from SQLite, waits for Python's lock for so long as the loop is busy: the default of 5 ms is
    longer than its work. Events are plain tuples, which the collector need not look through again and again.
    """
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    _give_back()


def _give_back() -> None:
    """Have glibc return what is free at the heap's end, and large pieces at once, from the beginning to the end.

    By default it keeps more and more for later, by what was freed before: the recorder's memory then goes up and down by
    some MiB for many minutes, and nobody could tell a leak from that (mallopt(3): setting one of them ends this).
    """
    import ctypes

    with suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, HEAP_KEPT)
        mallopt(M_MMAP_THRESHOLD, HEAP_KEPT)


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
    from rekt.stores.sqlite import Outbox

    return Outbox(outbox_path(settings))


def outbox_path(settings: Settings) -> Path:
    """The file that remembers what was posted: the ledger; without one, a file of its own beside where it would be.

    Such a file stays the only outbox, also when a ledger comes later: two could each post the same hour.
    """
    ledger = settings.ledger_path
    own = ledger.with_name(f"{ledger.stem}.outbox.db")
    return own if own.exists() or not ledger.exists() else ledger


def posts(settings: Settings) -> Reader:
    """The posts, for reading. Raises LedgerError where there is no outbox yet."""
    from rekt.stores.sqlite import Reader

    return Reader(outbox_path(settings))


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


def recording(ledger: Path) -> bool:
    """Whether a recorder is at work on this ledger."""
    from rekt.pipeline.presence import recorders

    return bool(recorders(ledger))


def now_us() -> int:
    """The time, µs since 1970."""
    return time.time_ns() // 1000


async def connect(endpoint: Endpoint) -> Connection:
    """Open a venue's endpoint. Raises WireError."""
    from rekt.wire.connection import Connection

    return await Connection.open(endpoint.url, headers=dict(endpoint.headers) or None)


async def fetch(url: str) -> bytes:
    """A document's body. Raises RestError."""
    from rekt.wire.rest import fetch

    return await fetch(url)


def unsettled(settings: Settings, venue: str) -> Callable[[], Iterable[Liquidation]]:
    """Asks the ledger for a venue's events whose value is unknown."""

    def read() -> Iterable[Liquidation]:
        with reader(settings) as ledger:
            yield from ledger.unsettled(venue)

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
