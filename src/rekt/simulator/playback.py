"""Recorded frames as a source: a tape read line by line and paced by its own times.

A tape holds one frame a line: wrapped frames, bare payloads, or an object with the frame as text under
`raw`; `recv_ts` (milliseconds) is the receive time where there is one. `.gz` and `.zst` are read too.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
import zstandard

from rekt.simulator.scene import Kind, Publication

BATCH = 256
"""At full speed so many frames go out before the connections are looked at again."""

_TIME = re.compile(rb'"([ET])":(\d{13})(?=[,}])')


class TapeFrame(NamedTuple):
    """A recorded frame: its bytes, and when it was received (ms), if the tape says so."""

    frame: bytes
    received_ms: int | None


class _Line(msgspec.Struct):
    raw: str | None = None
    recv_ts: float | None = None


def read_line(line: bytes) -> TapeFrame | None:
    """The frame of one line of a tape; None for an empty line.

    A bare payload is the line itself, byte for byte: a `recv_ts` in it stays and is ignored by readers.
    """
    line = line.strip()
    if not line:
        return None
    try:
        fields = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return TapeFrame(line, None)
    received_ms = None if fields.recv_ts is None else int(fields.recv_ts)
    return TapeFrame(line if fields.raw is None else fields.raw.encode(), received_ms)


def read_tape(path: Path) -> Iterator[TapeFrame]:
    """The frames of a tape file, in its order."""
    with _open(path) as lines:
        for line in lines:
            if (frame := read_line(line)) is not None:
                yield frame


class Playback:
    """Gives out a tape's frames when their time has come."""

    def __init__(
        self,
        frames: Iterator[TapeFrame],
        publish: Callable[[bytes], Publication | None],
        *,
        speed: float | None,
        shift_to_now: bool,
        canary: bool,
    ) -> None:
        """`publish` makes a frame a publication; `speed` None is as fast as they are taken."""
        self._frames = frames
        self._publish = publish
        self._speed = speed
        self._shift = shift_to_now
        self._canary = canary
        self._first_ms = 0
        self._started_ms = 0
        self._next: tuple[Publication, int] | None = None
        self.finished = False
        self.next_ms = 0.0

    def due(self, now_ms: int) -> list[Publication]:
        """The publications whose time has come; the first call starts the tape."""
        publications: list[Publication] = []
        while not self.finished:
            self._next = self._next or self._read(now_ms)
            if self._next is None:
                self.finished = True
                self.next_ms = float("inf")
                break
            publication, at_ms = self._next
            if self._speed is None:
                self.next_ms = now_ms
                if len(publications) >= BATCH:
                    break
            else:
                self.next_ms = self._started_ms + (at_ms - self._first_ms) / self._speed
                if self.next_ms > now_ms:
                    break
            # Moved so that the frame is received now: at another speed the times are pulled together too.
            publications.append(
                _moved(publication, int(self.next_ms) - at_ms) if self._shift else publication
            )
            self._next = None
        return publications

    def _read(self, now_ms: int) -> tuple[Publication, int] | None:
        for frame, received_ms in self._frames:
            publication = self._publish(frame)
            if publication is None or (publication.kind is Kind.CANARY and not self._canary):
                continue
            at_ms = publication.event_time_ms if received_ms is None else received_ms
            if not self._started_ms:
                self._first_ms, self._started_ms = at_ms, now_ms
            return publication, at_ms
        return None


def shifted(frame: bytes, by_ms: int) -> bytes:
    """A frame with its times (`E` and `T`) moved, every other byte as it was."""
    return _TIME.sub(lambda found: b'"%b":%d' % (found[1], int(found[2]) + by_ms), frame)


def _moved(publication: Publication, by_ms: int) -> Publication:
    recorded = publication.recorded
    return publication._replace(
        payload=shifted(publication.payload, by_ms),
        recorded=None if recorded is None else shifted(recorded, by_ms),
        event_time_ms=publication.event_time_ms + by_ms,
    )


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path))
    if path.suffix == ".zst":
        return io.BufferedReader(zstandard.open(path, "rb"))
    return path.open("rb")
