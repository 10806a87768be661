"""Archiving a day: its rows into a file, that file proved against the day's numbers, then the manifest.

Once archived a day is left as it is. If the ledger says something else of it later (a late size, a replay, a merge) that
is told, and written as a new revision only where that is asked for; what the manifest said before stays in its history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rekt import __version__
from rekt.archive.check import BATCH, check
from rekt.archive.difference import difference
from rekt.archive.folder import SCHEMA, Folder, Manifest, day_name, in_words
from rekt.errors import ArchiveError
from rekt.fields import DAY, HOUR, iso_us
from rekt.model import Window
from rekt.objects import hour_object, loss_object, revision_object
from rekt.stats.quality import add_up, missed_by_all
from rekt.stats.summary import summarise
from rekt.store import Facts, Listing, QualityFacts
from rekt.tables import of_events, schema

NUMBERS = ("count", "unknown_count", "total_usd", "largest", "long", "short", "by_symbol", "by_venue", "coverage", "gaps")  # fmt: skip
ATTEMPTS = 3  # a day that changes while it is read is read again


class Source(Facts, Listing, QualityFacts, Protocol):
    """The ledger as an archive asks it."""

    def state(self, window: Window) -> tuple[int, int]:
        """Rows, and the highest seq of them."""
        ...

    def pruned_before(self) -> int:
        """The time (ms) before which rows were dropped."""
        ...


class Outcome(NamedTuple):
    """What became of one day."""

    day: str
    result: str  # archived, revised, unchanged; and with the reason: changed, not closed, pruned, damaged
    manifest: Manifest | None  # as it stands
    reason: str = ""


class Archivist:
    """Writes days of one ledger into one folder."""

    def __init__(
        self,
        folder: Folder,
        source: Source,
        *,
        now_us: int,
        settle: Mapping[str, int],
        told: Callable[[str, int, int], object] = lambda *_: None,
    ) -> None:
        """`settle`: each venue's settle time, ms. `told` hears of the day, the rows so far and all of them."""
        self._folder = folder
        self._source = source
        self._now_us = now_us
        self._settle = settle
        self._told = told

    def seal(self, start: int, *, revise: bool = False) -> Outcome:
        """Archive the day that begins then (ms), unless it is already. Raises ArchiveError, LedgerError."""
        window, day = Window(start, start + DAY), day_name(start)
        pruned = start < self._source.pruned_before()
        try:
            before = self._folder.manifest(day)
        except ArchiveError as error:
            return Outcome(day, "damaged", None, str(error))
        if before is not None:
            reason = self._changed(window, before, pruned=pruned)
            lost = not self._folder.file(before).is_file()
            if not reason and not lost:
                return Outcome(day, "unchanged", before)
            if pruned or not revise:
                gone = f"{before['file']} is not there"
                return Outcome(day, "damaged" if lost else "changed", before, gone if lost else reason)
        elif pruned:
            told = "its rows were pruned from the ledger; QuestDB has them, and the ledger their hourly sums"
            return Outcome(day, "pruned", None, told)
        for hour in range(start, start + DAY, HOUR):
            if not self._summary(Window(hour, hour + HOUR))["final"]:
                return Outcome(
                    day, "not closed", before, f"its hour {hour // HOUR % 24:02d} is not final yet"
                )
        try:
            manifest = self._write(window, before)
        except OSError as error:
            raise in_words(error, self._folder.path) from error
        return Outcome(day, "archived" if before is None else "revised", manifest)

    def _changed(self, window: Window, before: Manifest, *, pruned: bool) -> str:
        """What the ledger says otherwise than the manifest; nothing when it agrees."""
        reasons = []
        rows, seq = self._source.state(window)
        same = (rows, seq) == (before["rows"], before["ledger_seq"])
        file = self._folder.file(before)
        if not pruned and not same and file.is_file():
            reasons += difference(file, self._source.liquidations(window)).words("the ledger")
        now = self._summary(window)
        return "; ".join(reasons or differing(before, now))

    def _write(self, window: Window, before: Manifest | None) -> Manifest:
        day = day_name(window.start)
        part = self._folder.part(day)
        try:
            for _ in range(ATTEMPTS):
                state = self._source.state(window)
                manifest = self._manifest(window, state, before)
                written = self._rows(window, part, state[0])
                if (
                    written == state[0]
                    and self._source.state(window) == state
                    and not differing(manifest, self._summary(window))
                    and window.start >= self._source.pruned_before()
                ):
                    break
            else:
                raise ArchiveError(f"{day} changes while it is read", hint="start it again")
            if wrong := check(manifest, part, digest=False):
                raise ArchiveError(
                    f"{day} is not archived: its rows are not what the ledger adds up: {'; '.join(wrong[:3])}",
                    hint="`rekt doctor` checks the ledger",
                )
            return self._folder.commit(part, manifest, before)
        finally:
            part.unlink(missing_ok=True)

    def _rows(self, window: Window, part: Path, count: int) -> int:
        import pyarrow.parquet as pq

        rows = 0
        events = self._source.liquidations(window)
        # The same rows give the same bytes: groups of one size, and nothing in the file that depends on now.
        with part.open("wb") as file, pq.ParquetWriter(file, schema(), compression="zstd") as writer:
            while some := list(islice(events, BATCH)):
                writer.write_table(of_events(some), row_group_size=BATCH)
                rows += len(some)
                self._told(day_name(window.start), rows, count)
        return rows

    def _manifest(self, window: Window, state: tuple[int, int], before: Manifest | None) -> Manifest:
        import pyarrow as pa

        day = day_name(window.start)
        revision = 1 if before is None else int(before["revision"]) + 1
        losses = add_up(self._source.deliveries(window))
        return {
            "schema": SCHEMA,
            "day": day,
            "revision": revision,
            "file": f"{day}.parquet" if revision == 1 else f"{day}.r{revision}.parquet",
            "rows": state[0],
            "bytes": 0,  # this and the digest are known when it is written
            "sha256": "",
            **self._summary(window),
            "hours": list(self._hours(window)),
            "loss_rate": [loss_object(loss) for loss in losses],
            "missed_by_all": missed_by_all(losses),
            "revisions": [revision_object(one) for one in self._source.revisions(window)],
            "ledger_seq": state[1],
            "archived_at": iso_us(self._now_us),
            "software": {"rekt": __version__, "pyarrow": pa.__version__},
            "history": [] if before is None else [*before["history"], _entry(before)],
        }

    def _hours(self, window: Window) -> Iterator[dict[str, Any]]:
        for hour in range(window.start, window.end, HOUR):
            found = self._summary(Window(hour, hour + HOUR))
            yield {key: value for key, value in found.items() if key != "by_symbol"}

    def _summary(self, window: Window) -> dict[str, Any]:
        return numbers(self._source, window, self._now_us // 1000, self._settle)


def numbers(source: Facts, window: Window, now_ms: int, settle: Mapping[str, int]) -> dict[str, Any]:
    """The object *hour* of a window, without what compares it with others."""
    found = hour_object(summarise(source, window, now_ms, settle=settle))
    left_out = {"compared"} if found["hour"] else {"compared", "hour"}
    return {key: value for key, value in found.items() if key not in left_out}


def differing(manifest: Manifest, numbers: Mapping[str, Any]) -> list[str]:
    """Which numbers of a manifest are others now, in sentences."""
    return [
        f"{name} was {_short(manifest[name])} and is {_short(numbers[name])} in the ledger"
        for name in NUMBERS
        if manifest[name] != numbers[name]
    ]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    return str(value)


def _entry(manifest: Manifest) -> dict[str, Any]:
    """What the history keeps of a manifest that was replaced."""
    left_out = {"hours", "by_symbol", "history", "seal"}
    return {key: value for key, value in manifest.items() if key not in left_out}
