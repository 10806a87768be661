"""An archive's folder: a Parquet file and a manifest for each UTC day, all venues together.

    archive/2026-07-16.parquet      the rows, by (trade time, uid); of a later revision 2026-07-16.r2.parquet
    archive/2026-07-16.json         the manifest: which file, its digest, and what is known of the day

A day is archived when its manifest is there; the manifest is written last and names its file. So a process that is
killed leaves a day as it was before, and at most a file that no manifest names. Every name is made of a date alone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from rekt.errors import ArchiveError, UsageError
from rekt.fields import DAY
from rekt.files import put
from rekt.model import Window

SCHEMA = 1  # of the Parquet columns and the manifest; grows when one of them changes its meaning
Manifest = dict[str, Any]  # its keys: docs/archive.md

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.r[1-9]\d{0,5})?\.parquet", re.ASCII)


def day_name(start: int) -> str:
    """A day's date; `start` in ms.

    >>> day_name(1_784_160_000_000)
    '2026-07-16'
    """
    return datetime.fromtimestamp(start // 1000, UTC).strftime("%Y-%m-%d")


def day_window(name: str) -> Window:
    """The day of a date. Raises UsageError where it is none."""
    try:
        start = int(datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        start = -1
    if start < 0 or not _DAY.fullmatch(name):
        raise UsageError(f"{name!r} is no day", hint="write it like 2026-07-16")
    return Window(start, start + DAY)


class Folder:
    """The days in a folder. Reading needs no lock: a manifest is replaced in one step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def days(self) -> list[str]:
        """The archived days, oldest first."""
        found = [file.stem for file in self.path.glob("*.json") if _DAY.fullmatch(file.stem)]
        return sorted(found)

    def manifest(self, day: str) -> Manifest | None:
        """What is said of a day; None where it is not archived. Raises ArchiveError where it is damaged."""
        path = self._manifest(day)
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise ArchiveError(f"{path} can't be read: {error}", hint="restore it, or move it away") from None
        if not isinstance(found, dict) or found.get("seal") != _seal(found):
            raise ArchiveError(
                f"{path} was changed: its seal is broken", hint="restore it, or move it away with its file"
            )
        if found.get("schema") != SCHEMA:
            raise ArchiveError(
                f"{path} is of schema {found.get('schema')}, here {SCHEMA}",
                hint="read it with the rekt of its time",
            )
        named = _FILE.fullmatch(str(found.get("file")))
        if found.get("day") != day or named is None or named[1] != day:
            raise ArchiveError(f"{path} names another day or file: {found.get('file')!r}")
        return found

    def file(self, manifest: Manifest) -> Path:
        """Where a day's rows are."""
        return self.path / str(manifest["file"])

    def part(self, day: str) -> Path:
        """A file for a day's rows while they are written; hidden, and no Parquet file by its name."""
        return self.path / f".{day}.parquet.part"

    def commit(self, part: Path, manifest: Manifest, before: Manifest | None) -> Manifest:
        """Make a written day an archived one, durably; gives the manifest as it stands. Raises ArchiveError, OSError."""
        target = self.file(manifest)
        digest = digest_of(part)
        if target.exists() and digest_of(target) != digest:  # left by one that was killed, or somebody else's
            raise ArchiveError(f"{target} is there, and no manifest names it", hint="move it away")
        whole = {**manifest, "bytes": part.stat().st_size, "sha256": digest}
        whole["seal"] = _seal(whole)
        put(part, target)
        text = self.path / f".{manifest['day']}.json.part"
        text.write_text(json.dumps(whole, ensure_ascii=True, indent=1) + "\n", "ascii")
        put(text, self._manifest(str(manifest["day"])))
        if before is not None and before["file"] != manifest["file"]:
            self.file(before).unlink(missing_ok=True)
        return whole

    def strays(self) -> list[Path]:
        """Files named like a day's rows that no manifest names: who reads all files would count those rows twice."""
        named = {self.file(found) for day in self.days() if (found := self._or_none(day)) is not None}
        return sorted(
            file for file in self.path.glob("*.parquet") if _FILE.fullmatch(file.name) and file not in named
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one that writes here; clears away what killed ones left. Raises ArchiveError, OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArchiveError(
                    f"another process is archiving into {self.path}", hint="wait until it is done"
                ) from None
            for left in self.path.glob(".*.part"):
                if _DAY.match(left.name[1:]):
                    left.unlink(missing_ok=True)
            for stray in self.strays():  # of a day whose manifest names another: half-done, or replaced
                if self._or_none(stray.name[:10]) is not None:
                    stray.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)

    def _manifest(self, day: str) -> Path:
        return self.path / f"{day}.json"

    def _or_none(self, day: str) -> Manifest | None:
        try:
            return self.manifest(day)
        except ArchiveError:
            return None


def rows_files(path: Path) -> list[Path]:
    """The Parquet files of a folder that hold its rows once: those that manifests name, else all there are.

    Raises ArchiveError for a damaged manifest.
    """
    folder = Folder(path)
    if not (days := folder.days()):
        return sorted(path.rglob("*.parquet"))
    found = [folder.manifest(day) for day in days]
    return [folder.file(one) for one in found if one is not None]


def digest_of(path: Path) -> str:
    """A file's SHA-256, in hexadecimal digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def in_words(error: OSError, path: Path) -> ArchiveError:
    """Why writing failed."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "the disk is full" if full else error.strerror or str(error)
    hint = "make room and start it again" if full else "check the disk and the folder's permissions"
    return ArchiveError(f"{path} can't be written: {reason}; no day is half there", hint=hint)


def _seal(manifest: Manifest) -> str:
    """SHA-256 of a manifest without its seal, its keys sorted: a changed byte shows."""
    bare = {key: value for key, value in manifest.items() if key != "seal"}
    return sha256(json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
