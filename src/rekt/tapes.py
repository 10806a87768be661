"""Tapes and other ledgers into the ledger: settings → a replay, a re-derivation, a merge."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from rekt import __version__, app, registry
from rekt.config import Settings
from rekt.errors import LedgerError, RestError, UsageError
from rekt.model import Market
from rekt.pipeline.committer import Change, Committer, Progress
from rekt.pipeline.instruments import refresh, settle
from rekt.pipeline.merge import merge as unite
from rekt.pipeline.rederive import Rederived
from rekt.pipeline.rederive import rederive as derive
from rekt.pipeline.replay import Reading, Replay
from rekt.store import Run
from rekt.stores.sqlite import Reader
from rekt.venue import Reference, Venue
from rekt.wire.tape import BadLine, TapeLine, read_tape


class Replayed(NamedTuple):
    """What came of a replay."""

    lines: int
    progress: Progress
    documents: str | None  # why the list of contracts could not be had, where it was needed


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
    usual = app.venue(default if default is not None else app.enabled(settings)[0])
    ledger = app.writer(settings)
    run = secrets.token_hex(8)
    ledger.begin(Run(run, app.now_us(), None, "replay", __version__, os.getpid()))
    known = _known(settings)
    committer = Committer(ledger, run, reason="replay", settle_ms=app.settle_ms([usual.name]))
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
                asyncio.run(refresh(one, section, reference, committer, app.fetch))
            except RestError as error:
                trouble = error.message
            committer.flush(60.0)
            settled = settle(one, reference, app.unsettled(settings, name)())
            committer.put(Change(settled=tuple(settled)))
    finally:
        left = committer.close(60.0)
        progress = committer.progress
        if not left:
            ledger.end(run, app.now_us())
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
    reading = Reading(_known(settings), app.enabled(settings)[0])
    ledger = app.writer(replace(settings, ledger_path=path))
    try:
        lines = chain.from_iterable(read_tape(tape) for tape in tapes)
        return derive(lines, reading, ledger.append, days, told)
    finally:
        ledger.close()


def merge(settings: Settings, path: Path, told: Callable[[int], None] = lambda _: None) -> tuple[int, int]:
    """Unite another ledger with the configured one; returns how many events were new, and how many were repeats.

    Raises LedgerError; UsageError where the two must not be united.
    """
    if path.resolve() == settings.ledger_path.resolve():
        raise UsageError(f"{path} is the ledger itself")
    if not path.exists():
        raise UsageError(f"there is no ledger at {path}", hint="name the file of another recorder")
    with Reader(path) as other:
        ledger = app.writer(settings)
        try:
            kind = other.meta("host_kind")
            ours = ledger.claim("host_kind", kind) if kind else kind
            if ours != kind:
                raise UsageError(f"{path} holds {kind} events, but {settings.ledger_path} holds {ours} ones")
            run = secrets.token_hex(8)
            ledger.begin(Run(run, app.now_us(), None, "merge", __version__, os.getpid()))
            with app.reader(settings) as here:
                known = {connection.id for connection in here.connections(None)}
                unvalued = {event.uid for name in here.venues() for event in here.unsettled(name)}
            done = unite(other, ledger.append, run, known=known, unvalued=unvalued, told=told)
            ledger.end(run, app.now_us())
            return done
        finally:
            ledger.close()


def _known(settings: Settings) -> Callable[[str], tuple[Venue, Reference] | None]:
    """Venues by name, each with what the ledger knows for decoding it; None for a name that is no venue's."""
    found: dict[str, tuple[Venue, Reference] | None] = {}

    def known(name: str) -> tuple[Venue, Reference] | None:
        if name not in found:
            found[name] = None
            if name in registry.names("rekt.venues"):
                instruments = {}
                if settings.ledger_path.exists():
                    with app.reader(settings) as ledger:
                        instruments = ledger.instruments(name)
                found[name] = app.venue(name), Reference(instruments)
        return found[name]

    return known
