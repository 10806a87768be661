"""Tapes: every frame as it came, one JSON line each; written while recording (tape_writer.py), read again by replay.

    {"venue":"<name>","connection":"<id>","recv_ts":1781483912830.123,"raw":"<the frame's text>"}

`recv_ts` is the receive time in ms, with the microseconds behind the point. A frame that is no UTF-8 text stands in
`raw_b64` instead, base64. Where a venue's frames don't tell their market, the line has it as `market`. `read_tape` takes other people's recordings as well: see there.
"""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from rekt.errors import UsageError
from rekt.model import Market
from rekt.wire.frame import Frame
from rekt.wire.lines import MAX_LINE, Broken, lines

KEPT = 4096  # bytes of a bad line that are kept
_MAX_MS = 2**42  # up to here (the year 2109) a double of ms holds microseconds exactly


class TapeLine(NamedTuple):
    """One frame of a tape. What its line does not tell is None."""

    number: int  # of the line, from 1
    received_us: int | None
    data: bytes
    venue: str | None  # as the line says, which may be another recorder's name for it
    connection: str | None
    market: Market | None = None


class BadLine(NamedTuple):
    """A line without a frame; or, with number 0, the reason why a tape could not be read to its end."""

    number: int
    reason: str
    data: bytes  # cut at KEPT bytes


def read_tape(path: Path | str) -> Iterator[TapeLine | BadLine]:
    """The frames of a file (`-`: standard input), line by line, whichever of these forms each line has.

    - our own
    - any object with the frame under `raw`, as text or as an object
    - the frame itself, bare or wrapped in `{"stream":…,"data":…}`, where a `recv_ts` may have been put inside

    `recv_ts` (ms, whole or decimal) is the receive time; other keys are ignored. Plain, gzip or zstd. Blank lines are
    skipped; what is no JSON is a BadLine; a file that is cut off or damaged gives what it has, then a BadLine with
    number 0. Raises UsageError where there is no such file.
    """
    try:
        source = nullcontext(sys.stdin.buffer) if str(path) == "-" else Path(path).open("rb")  # noqa: SIM115 - below
    except OSError as error:
        raise UsageError(f"the tape {path} can't be opened: {error.strerror}") from None
    with source as file:
        try:
            for number, line in enumerate(lines(file), 1):
                if len(line) > MAX_LINE:
                    yield BadLine(number, f"longer than {MAX_LINE} bytes", line[:KEPT])
                elif line := line.strip():
                    yield parse_line(number, line)
        except Broken as error:
            yield BadLine(0, str(error), b"")
        except OSError as error:
            yield BadLine(0, f"it can't be read: {error.strerror}", b"")


def parse_line(number: int, line: bytes) -> TapeLine | BadLine:
    """The frame that a line holds."""
    try:
        outer = _decode_outer(line)
    except msgspec.ValidationError:  # no object: a frame can be that, too
        outer = _Outer()
        try:
            _decode_any(line)
        except (msgspec.MsgspecError, RecursionError) as error:
            return BadLine(number, f"no JSON: {error}", line[:KEPT])
    except (msgspec.MsgspecError, RecursionError) as error:
        return BadLine(number, f"no JSON: {error}", line[:KEPT])
    received_us = None if outer.recv_ts is None else _microseconds(outer.recv_ts)
    try:
        data = _inner(outer)
    except (msgspec.MsgspecError, ValueError) as error:
        return BadLine(number, f"the frame in it can't be read: {error}", line[:KEPT])
    if data is None:
        return TapeLine(number, received_us, line, None, None)
    venue, connection = outer.venue, outer.connection
    return TapeLine(
        number,
        received_us,
        data,
        venue if isinstance(venue, str) else None,
        connection if isinstance(connection, str) else None,
        outer.market if outer.market in ("linear", "inverse") else None,
    )


def encode_line(venue: str, connection: str, frame: Frame, market: str | None = None) -> bytes:
    """A frame as a line of a tape, with its line break."""
    received_us, data = frame
    try:
        key, value = b"raw", _encode(data.decode())
    except UnicodeDecodeError:
        key, value = b"raw_b64", _encode(b64encode(data).decode())
    return b'{"venue":%s,"connection":%s,%s"recv_ts":%d.%03d,"%s":%s}\n' % (
        _encode(venue),
        _encode(connection),
        b"" if market is None else b'"market":%s,' % _encode(market),
        received_us // 1000,
        received_us % 1000,
        key,
        value,
    )


class _Outer(msgspec.Struct, gc=False):
    """The keys of a line that matter. None must be there, and others may have put anything into them."""

    raw: msgspec.Raw | UnsetType = UNSET
    raw_b64: Any = None
    recv_ts: Any = None
    venue: Any = None
    connection: Any = None
    market: Any = None


_decode_outer = msgspec.json.Decoder(_Outer).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def _inner(outer: _Outer) -> bytes | None:
    """The frame under `raw` or `raw_b64`; None where the line itself is the frame."""
    if outer.raw is not UNSET:
        raw = bytes(outer.raw)
        if raw[:1] == b'"':
            return _decode_text(raw).encode()
        if raw[:1] in (b"{", b"["):
            return raw
    if isinstance(outer.raw_b64, str):
        return b64decode(outer.raw_b64, validate=True)
    return None


def _microseconds(recv_ts: object) -> int | None:
    """A receive time in µs; None where it is none, so that the frame at least is kept."""
    if isinstance(recv_ts, bool) or not isinstance(recv_ts, int | float) or not 0 < recv_ts < _MAX_MS:
        return None
    return round(recv_ts * 1000)
