from __future__ import annotations

import gzip
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rekt.errors import UsageError
from rekt.wire.frame import Frame
from rekt.wire.tape import KEPT, BadLine, TapeLine, encode_line, parse_line, read_tape

FRAME = b'{"e":"forceOrder","E":1781483912792,"o":{"s":"\xe5\xb8\x81USDT","q":"0.0230"}}'


def frames(path: Path | str) -> list[TapeLine]:
    """The frames of a tape that must have no bad line."""
    read = list(read_tape(path))
    assert not [line for line in read if isinstance(line, BadLine)]
    return [line for line in read if isinstance(line, TapeLine)]


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(1, 2**42 * 1000 - 1),
    st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass")), st.just(FRAME)),
)
def test_a_line_gives_back_exactly_what_was_recorded(
    venue: str, connection: str, received_us: int, data: bytes
) -> None:
    """Venue, connection, microseconds and every byte survive, whatever they are, on one line."""
    line = encode_line(venue, connection, Frame(received_us, data))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parse_line(7, line[:-1]) == TapeLine(7, received_us, data, venue, connection)


def test_the_form_of_a_line() -> None:
    """The documented form, to the character."""
    line = encode_line("binance", "01J-1", Frame(1_781_483_912_830_023, b'{"a":"b"}'))
    assert line == (
        b'{"venue":"binance","connection":"01J-1","recv_ts":1781483912830.023,"raw":"{\\"a\\":\\"b\\"}"}\n'
    )
    assert encode_line("v", "c", Frame(1000, b"\xff")) == (
        b'{"venue":"v","connection":"c","recv_ts":1.000,"raw_b64":"/w=="}\n'
    )


@pytest.mark.parametrize(
    ("line", "received_us", "data"),
    [
        (FRAME, None, FRAME),
        (FRAME[:-1] + b',"recv_ts":1781483912830}', 1_781_483_912_830_000, ...),
        (b'{"stream":"a@b","data":' + FRAME + b"}", None, ...),
        (b'{"recv_ts":1781483912830.5,"stream":"a@b","data":' + FRAME + b"}", 1_781_483_912_830_500, ...),
        (
            b'{"raw":' + json.dumps(FRAME.decode()).encode() + b',"captured":"2026-10-09","n":[1]}',
            None,
            FRAME,
        ),
        (b'{"raw": ' + FRAME + b' ,"recv_ts":1}', 1000, FRAME),
        (b'{"raw":[{"q":"0.10"}]}', None, b'[{"q":"0.10"}]'),
        (b'{"raw":null,"e":"x"}', None, ...),
        (b'{"raw":true,"e":"x"}', None, ...),
        (b'{"raw_b64":"/w=="}', None, b"\xff"),
        (b'{"raw_b64":5}', None, ...),
        (b'[{"e":"x"}]', None, ...),
        (b'"pong"', None, ...),
        (b"{}", None, ...),
        (b'{"e":"x","recv_ts":"soon"}', None, ...),
        (b'{"e":"x","recv_ts":-5}', None, ...),
        (b'{"e":"x","recv_ts":true}', None, ...),
        (b'{"e":"x","recv_ts":1e300}', None, ...),
        (b'{"e":"x","recv_ts":123456789012345678901234567890}', None, ...),
        (b'{"e":"x","recv_ts":{"a":1}}', None, ...),
        (b'{"e":"x","recv_ts":null}', None, ...),
        (b'{"e":"x","venue":5}', None, ...),
    ],
)
def test_every_form_of_a_line_is_understood(line: bytes, received_us: int | None, data: Any) -> None:
    """Bare, wrapped and enveloped frames; odd extra keys never cost a frame."""
    assert parse_line(1, line) == TapeLine(1, received_us, line if data is ... else data, None, None)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b'{"e":"x"',
        b"[1,",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b'{"raw":"\\ud800"}',
        b'{"raw_b64":"?"}',
        b'{"e":"x"} trailing',
    ],
)
def test_what_is_no_frame_is_a_bad_line(line: bytes) -> None:
    """A line that can't be understood comes back with its number and the reason, and stops nothing."""
    bad = parse_line(3, line)
    assert isinstance(bad, BadLine)
    assert bad.number == 3
    assert bad.reason
    assert bad.data == line[:KEPT]


@given(st.binary(max_size=200))
def test_no_line_whatsoever_raises(line: bytes) -> None:
    """Any bytes are a frame or a bad line."""
    assert isinstance(parse_line(1, line), TapeLine | BadLine)


def packed(name: str, text: bytes) -> bytes:
    """A file's bytes in one of the kinds of packing."""
    half = len(text) // 2
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    return {
        "plain": lambda: text,
        "gzip": lambda: gzip.compress(text),
        "gzip, two members": lambda: gzip.compress(text[:half]) + gzip.compress(text[half:]),
        "zstd": lambda: zstandard.compress(text),
        "zstd, three frames": lambda: (
            zstandard.compress(text[:half]) + zstandard.compress(b"") + zstandard.compress(text[half:])
        ),
        "zstd, skippable": lambda: skippable + zstandard.compress(text) + skippable,
    }[name]()


KINDS = ("plain", "gzip", "gzip, two members", "zstd", "zstd, three frames", "zstd, skippable")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_packed_files(kind: str, end: bytes, tmp_path: Path) -> None:
    """Plain, gzip and zstd files, of several parts too, are told by their bytes, whatever they are called."""
    text = b"\xef\xbb\xbf" + end.join(
        [b'{"n":%d}' % n for n in range(20_000)] + [b"", b"  ", b'{"n":"last"}']
    )
    path = tmp_path / "frames.txt"
    path.write_bytes(packed(kind, text))
    read = frames(path)
    assert [line.data for line in read[:-1]] == [b'{"n":%d}' % n for n in range(20_000)]
    assert read[-1] == TapeLine(20_003, None, b'{"n":"last"}', None, None)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads from a pipe, packed or not."""
    for text in (FRAME + b"\n", zstandard.compress(FRAME)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text))))
        assert [line.data for line in frames("-")] == [FRAME]


@pytest.mark.parametrize("kind", ["gzip", "gzip, two members", "zstd", "zstd, three frames"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_a_cut_file_gives_what_it_has_and_says_so(kind: str, kept: float, tmp_path: Path) -> None:
    """Of a packed file that was cut off, all that can be unpacked is given, then the reason for the end."""
    rows = [os.urandom(30).hex().encode() for _ in range(50_000)]
    whole = packed(kind, b"\n".join(b'{"n":"%s"}' % row for row in rows))
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(len(whole) * kept)])
    *read, last = read_tape(path)
    good = [line.data for line in read if isinstance(line, TapeLine)]
    assert good == [b'{"n":"%s"}' % row for row in rows[: len(good)]]
    assert len(good) > len(rows) * (kept - 0.25)
    assert isinstance(last, BadLine)
    assert last.number == 0
    assert "cut off" in last.reason


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_damaged_file_gives_what_it_has_and_says_so(kind: str, tmp_path: Path) -> None:
    """Garbage behind good data ends the reading, not the program."""
    path = tmp_path / "damaged"
    path.write_bytes(packed(kind, FRAME + b"\n") + b"garbage garbage garbage")
    good, bad = read_tape(path)
    assert good == TapeLine(1, None, FRAME, None, None)
    assert isinstance(bad, BadLine)
    assert "damaged" in bad.reason


def test_a_file_of_another_kind_is_refused_at_once(tmp_path: Path) -> None:
    """A database given by mistake is one bad line, not thousands."""
    path = tmp_path / "liqui.db"
    path.write_bytes(b"SQLite format 3\0" + os.urandom(10_000))
    assert [type(line) for line in read_tape(path)] == [BadLine]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Its name and the reason, as wrong use."""
    with pytest.raises(UsageError, match=r"nothing\.jsonl can't be opened: No such file"):
        next(read_tape(tmp_path / "nothing.jsonl"))
    with pytest.raises(UsageError, match="Is a directory"):
        next(read_tape(tmp_path))


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    """Nothing in, nothing out."""
    path = tmp_path / "empty.zst"
    for content in (b"", b"\n", gzip.compress(b""), zstandard.compress(b"")):
        path.write_bytes(content)
        assert list(read_tape(path)) == []


@pytest.mark.parametrize("kind", ["plain", "zstd", "gzip"])
def test_very_long_lines_are_bounded(kind: str, tmp_path: Path) -> None:
    """A line of 40 MB is one bad line with its beginning; the lines around it are read, and numbered."""
    long = b"x" * 40_000_000
    path = tmp_path / "long"
    path.write_bytes(packed(kind, b"\n".join([FRAME, long, FRAME, FRAME, long])))
    read = list(read_tape(path))
    assert [line.number for line in read] == [1, 2, 3, 4, 5]
    assert [isinstance(line, BadLine) for line in read] == [False, True, False, False, True]
    assert all(line.data in (FRAME, b"x" * KEPT) for line in read)


def test_recorded_frames_are_all_understood() -> None:
    """The real recordings, where they are at hand, have no bad line."""
    folder = os.environ.get("FRAMES_DIR") or Path(__file__).parents[3] / "shared" / "frames"
    paths = sorted(Path(folder).glob("*.jsonl"))
    if not paths:
        pytest.skip("no recordings here")
    for path in paths:
        read = frames(path)
        assert len(read) == len(path.read_bytes().splitlines())
        assert all(msgspec.json.decode(line.data) for line in read)
