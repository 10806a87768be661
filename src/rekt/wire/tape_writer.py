"""Writes tapes: what `rekt run --tape` keeps of every frame."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path
from typing import BinaryIO

import zstandard

from rekt.wire.frame import Frame
from rekt.wire.tape import encode_line

MAX_WAITING = 500_000  # frames that wait for a disk that does not take them; more are left out
SOON = 20_000  # frames that are written without waiting for the second to pass
RETRY_S = 10.0  # after trouble
_DAY_US = 86_400_000_000

_log = getLogger(__name__)


class TapeWriter:
    """Writes tapes, a file for each venue, UTC day and run: `<venue>-2026-07-16-<run>.jsonl.zst`.

    A thread packs and writes once a second (sooner if much comes), so that the event loop does not wait for the disk
    and a kill -9 costs a second. Trouble with the disk is logged once and counted in `missing`; recording goes on,
    and so does the tape when the trouble is over.
    """

    def __init__(self, folder: Path, run: str | None = None, *, flush_s: float = 1.0) -> None:
        self.missing = 0  # frames that are not on the tape
        self._folder = folder
        self._run = _file_word(run or secrets.token_hex(4))
        self._flush_s = flush_s
        self._queue: deque[tuple[str, str, Sequence[Frame], str | None]] = deque()
        self._given = self._taken = 0  # frames; each is counted by one thread only
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._stopping = False
        self._files: dict[str, _File] = {}
        self._trouble_until: float | None = None  # monotonic seconds
        self._thread = threading.Thread(target=self._work, name="tape", daemon=True)
        self._thread.start()

    def write(self, venue: str, connection: str, frames: Sequence[Frame], market: str | None = None) -> None:
        """Take frames that were just received; they must not be changed afterwards. Returns at once.

        `market`: the connection's, where the frames themselves don't tell.
        """
        waiting = self._given - self._taken + len(frames)
        if waiting > MAX_WAITING or self._stopping:
            self.missing += len(frames)
            return
        self._given += len(frames)
        self._queue.append((venue, connection, frames, market))
        if not self._wake.is_set():
            self._wake.set()
        if waiting > SOON:
            self._hurry.set()

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is left and end the files, as far as the disk lets us in that time."""
        self._stopping = True
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._hurry.wait(self._flush_s)
            self._hurry.clear()
            self._wake.clear()
            self._write_queue()
        self._write_queue()
        for file in self._files.values():
            with suppress(OSError):
                file.finish()

    def _write_queue(self) -> None:
        texts: dict[tuple[str, int], list[bytes]] = {}
        while self._queue:
            venue, connection, frames, market = self._queue.popleft()
            self._taken += len(frames)
            if frames:
                text = texts.setdefault((venue, frames[0].received_us // _DAY_US), [])
                text += [encode_line(venue, connection, frame, market) for frame in frames]
        for (venue, day), text in texts.items():
            if self._trouble_until is not None and time.monotonic() < self._trouble_until:
                self.missing += len(text)
                continue
            try:
                self._file(venue, day).write(b"".join(text))
            except (OSError, zstandard.ZstdError) as error:
                self.missing += len(text)
                self._trouble(venue, error)
            else:
                self._no_trouble()

    def _file(self, venue: str, day: int) -> _File:
        file = self._files.get(venue)
        if file is None or file.day != day:
            if file is not None:
                del self._files[venue]
                file.finish()
            file = self._files[venue] = _File(self._folder, _file_word(venue), day, self._run)
        return file

    def _trouble(self, venue: str, error: Exception) -> None:
        if file := self._files.pop(venue, None):
            file.give_up()
        if self._trouble_until is None:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            _log.error(
                "the tape in %s can't be written: %s; recording goes on without it", self._folder, reason
            )
        self._trouble_until = time.monotonic() + RETRY_S

    def _no_trouble(self) -> None:
        if self._trouble_until is not None:
            self._trouble_until = None
            _log.warning("the tape is written again; %d frames are missing on it", self.missing)


class _File:
    """One open tape. It never continues an older file: behind a broken end nothing could be read."""

    def __init__(self, folder: Path, venue: str, day: int, run: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.day = day
        date = datetime.fromtimestamp(day * 86_400, UTC).date()
        self._path, self._file = _create(folder, f"{venue}-{date}-{run}")
        self._packer = zstandard.ZstdCompressor(level=3).compressobj()
        self._holds = False

    def write(self, text: bytes) -> None:
        """Pack, and give all of it to the system."""
        packed = self._packer.compress(text) + self._packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        self._write_all(packed)
        self._holds = True

    def finish(self) -> None:
        """End the file properly."""
        with self._file:
            self._write_all(self._packer.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))

    def give_up(self) -> None:
        """Let go of a file that can't be written; one that holds nothing is removed."""
        with suppress(OSError):
            self._file.close()
        if not self._holds:
            with suppress(OSError):
                self._path.unlink()

    def _write_all(self, packed: bytes) -> None:
        rest = memoryview(packed)
        while rest:  # a nearly full disk takes a part, and says so only to the next write
            rest = rest[self._file.write(rest) :]


def _create(folder: Path, name: str) -> tuple[Path, BinaryIO]:
    number = 1
    while True:
        path = folder / (f"{name}.jsonl.zst" if number == 1 else f"{name}.{number}.jsonl.zst")
        try:
            return path, path.open("xb", buffering=0)
        except FileExistsError:
            number += 1


def _file_word(text: str) -> str:
    """What of a name may stand in a file's name."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", text)[:40] or "_"
