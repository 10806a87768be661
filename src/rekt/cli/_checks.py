"""What `rekt doctor` looks at. Each check is a few lines that end in a state and a sentence."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from rekt import app
from rekt.cli import _common
from rekt.cli._check import Check
from rekt.cli._keys import keys
from rekt.errors import FrameError, LedgerError, RektError
from rekt.venue import Reference, Tick

if TYPE_CHECKING:
    from pathlib import Path

    from rekt.config import Settings
    from rekt.venue import Document, Endpoint, Venue

CONNECT_S = 6.0
CANARY_S = 6.0
DOCUMENT_S = 12.0
VERIFY_S = 10.0
VERIFY_BYTES = 64_000_000  # a larger ledger is not read whole in a few seconds
LITTLE_BYTES, NO_BYTES = 2_000_000_000, 100_000_000  # of free disk: a busy day takes about 100 MB
OFF_S, FAR_OFF_S = 2.0, 60.0  # of the clock
SOUND_SQLITE = (3, 51, 3)  # before it, two writers that checkpoint at once could lose commits


def all_checks(settings: Settings, canary_s: float = CANARY_S) -> Iterator[Check]:
    """Everything, quick things first; a stream gets so many seconds for its first sign of life."""
    yield from _configuration(settings)
    yield _disk(settings.data_folder)
    yield _sqlite()
    yield from _ledger(settings)
    yield from asyncio.run(_endpoints(settings, canary_s))
    yield from keys(settings)


def _configuration(settings: Settings) -> Iterator[Check]:
    name = "configuration"
    where = str(settings.file) if settings.file else "no file, the defaults hold"
    if settings.exposed:
        hint = f"chmod 600 {settings.file}"
        yield Check(name, "warn", f"{where}: it holds keys, and others can read or change it", hint)
    else:
        yield Check(name, "ok", where)
    for venue in app.venues(settings):
        if warning := venue.warning(settings.section(venue.name.upper())):
            yield Check(name, "warn", warning)
    from rekt.posts.compose import templates

    try:
        count = len(templates(settings.templates_path))
        yield Check("templates", "ok", f"{settings.templates_path or 'the built-in ones'}, {count} posts")
    except RektError as error:
        yield Check("templates", "fail", error.message, error.hint)


def _disk(folder: Path) -> Check:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    text = f"{_common.size(free)} free at {folder}"
    if not os.access(there, os.W_OK | os.X_OK):
        return Check("disk", "fail", f"{there} can't be written to", "name another place in [DATABASE] path")
    if free < LITTLE_BYTES:
        hint = "recording stops when none is left; make room, or name another place in [DATABASE] path"
        return Check("disk", "fail" if free < NO_BYTES else "warn", text, hint)
    return Check("disk", "ok", text)


def _sqlite() -> Check:
    import apsw

    version = apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")) < SOUND_SQLITE:
        return Check("sqlite", "warn", f"{version} may lose commits when two recorders run", "update apsw")
    return Check("sqlite", "ok", version)


def _ledger(settings: Settings) -> Iterator[Check]:
    path = settings.ledger_path
    if not path.exists():
        yield Check("ledger", "ok", f"none yet at {path}: `rekt run` makes it")
        return
    try:
        with app.reader(settings) as reader:
            rows, size, last = reader.rows(), reader.size(), reader.last_trade_time()
            counters = reader.counters()
    except RektError as error:
        yield Check("ledger", "fail", error.message, error.hint)
        return
    recording = "a recorder is at work" if app.recording(path) else "no recorder is at work"
    traded = f", the last traded {_common.moment(last)} UTC" if last is not None else ""
    yield Check("ledger", "ok", f"{path}: {rows:,} liquidations{traded}; {recording}")
    if size > VERIFY_BYTES:
        yield Check("ledger", "ok", f"{_common.size(size)} are too many to be checked in a few seconds")
    else:
        yield _verified(settings)
    if counters.quarantined:
        share = counters.quarantined / counters.received
        text = f"{counters.quarantined:,} frames ({share:.2%}) did not fit and are in quarantine"
        hint = "the venue may have changed its format; look for a newer rekt"
        yield Check("frames", "warn" if share > 0.001 else "ok", text, hint if share > 0.001 else "")


def _verified(settings: Settings) -> Check:
    """Read the whole ledger, in a thread that the end of the program does not wait for."""
    found: list[str] = []

    def look() -> None:
        try:
            with app.reader(settings) as reader:
                found.extend(reader.verify() or [""])
        except LedgerError as error:
            found.append(str(error))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(VERIFY_S)
    if not found:
        return Check("ledger", "ok", f"not checked to its end within {VERIFY_S:.0f} s")
    if not found[0]:
        return Check("ledger", "ok", "sound, and its roll-ups equal a recount")
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    hint = "keep a copy of it; `rekt backup` may still read it"
    return Check("ledger", "fail", f"{found[0]}{more}", hint)


async def _endpoints(settings: Settings, canary_s: float) -> list[Check]:
    """Every endpoint at once."""
    asked = []
    for venue in app.venues(settings):
        section = settings.section(venue.name.upper())
        asked += [_stream(venue, endpoint, canary_s) for endpoint in venue.endpoints(section)]
        documents = venue.documents(section)
        asked += [_document(document) for document in documents]
        asked.append(_clock([document.url for document in documents]))
    return list(await asyncio.gather(*asked))


async def _stream(venue: Venue, endpoint: Endpoint, canary_s: float) -> Check:
    """Connect, and wait for the canary: an answer alone proves nothing."""
    from rekt.wire.address import place
    from rekt.wire.connection import Connection

    where, began = place(endpoint.url), time.monotonic()
    try:
        connection = await Connection.open(endpoint.url, messages=endpoint.messages, timeout_s=CONNECT_S)
    except RektError as error:
        hint = (
            error.hint or "look at the network and the proxy; `rekt demo` shows everything without the venue"
        )
        return Check("stream", "fail", error.message, hint)
    connected = time.monotonic() - began
    try:
        async with asyncio.timeout(canary_s):
            async for batch in connection.batches():
                if any(_is_tick(venue, data, received) for received, data in batch):
                    took = time.monotonic() - began
                    return Check(
                        "stream", "ok", f"{where}: connected in {connected:.1f} s, alive after {took:.1f} s"
                    )
        ended = connection.disconnected
        return Check("stream", "fail", f"{where} hung up: {ended.detail if ended else 'no reason given'}")
    except TimeoutError:
        hint = (
            "the address may be retired: look at its path in the configuration, or at the venue's change log"
        )
        return Check(
            "stream", "fail", f"{where} connects, but sent no sign of life in {canary_s:.0f} s", hint
        )
    finally:
        await connection.close("stopped")


def _is_tick(venue: Venue, data: bytes, received_us: int) -> bool:
    try:
        return isinstance(venue.decode(data, received_us, Reference()), Tick)
    except FrameError:
        return False


async def _document(document: Document) -> Check:
    from rekt.wire.address import place
    from rekt.wire.rest import fetch

    try:
        found = document.parse(await fetch(document.url, timeout=DOCUMENT_S), time.time_ns() // 1000)
    except RektError as error:
        hint = error.hint or "recording goes on without it; values in dollars of some contracts stay unknown"
        return Check("contracts", "fail", error.message, hint)
    return Check("contracts", "ok", f"{place(document.url)}: {len(found):,} contracts")


async def _clock(urls: list[str]) -> Check:
    """This machine's clock against the Date of whichever answers, whatever it answers."""
    return judged(await asyncio.gather(*(offset(url) for url in urls)))


def judged(offsets: Sequence[float | None]) -> Check:
    """The clock by the answer that is nearest to it: a stale cache must not blame it."""
    known = [one for one in offsets if one is not None]
    if not known:
        return Check("clock", "warn", "not checked: no endpoint told the time")
    off = min(known, key=abs)
    if abs(off) <= OFF_S:
        return Check("clock", "ok", f"within {OFF_S:.0f} s of the venue's")
    direction = "ahead of" if off > 0 else "behind"
    text = f"{abs(off):,.0f} s {direction} the venue's"
    hint = "hours would be closed at the wrong moment: set the clock by NTP"
    return Check("clock", "fail" if abs(off) > FAR_OFF_S else "warn", text, hint)


async def offset(url: str) -> float | None:
    """Seconds that our clock is ahead of the one behind this address; its Date is cut to the second."""
    import httpx

    from rekt.wire.address import proxy_for
    from rekt.wire.tls import client_context

    try:
        async with httpx.AsyncClient(
            verify=client_context() if url.startswith("https:") else False,
            proxy=proxy_for(url, os.environ),
            trust_env=False,
            timeout=CONNECT_S,
        ) as client:
            before = time.time()
            answer = await client.head(url)
            middle = (before + time.time()) / 2
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ImportError, KeyError, ValueError, RektError):
        return None
    return middle - told
