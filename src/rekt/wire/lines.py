"""The lines of a file that may be packed, cut off, damaged, or meant to do harm."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

import zstandard

MAX_LINE = 16 * 1024 * 1024  # bytes
_CHUNK = 256 * 1024
_ZSTD, _GZIP, _BOM = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\xef\xbb\xbf"


class Broken(Exception):
    """Nothing more can be read: the file is cut off, damaged, or of another kind."""


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines without their breaks; of one longer than MAX_LINE only that much and a byte.

    Plain text, gzip or zstd, told by the first bytes. Raises Broken after the last line that could be read.
    """
    tail = b""
    skipping = False  # the rest of a too long line
    broken = None
    chunks = _plain(file)
    while True:
        try:
            chunk = next(chunks, None)
        except Broken as error:
            chunk, broken = None, error
        if chunk is None:
            break
        first, *complete = chunk.split(b"\n")
        if not skipping:
            tail += first
        if complete:
            if not skipping:
                yield tail
            tail, skipping = complete.pop(), False
            yield from complete
        if len(tail) > MAX_LINE and not skipping:
            yield tail[: MAX_LINE + 1]
            tail, skipping = b"", True
    if tail:
        yield tail
    if broken is not None:
        raise broken


class _Unpacker(Protocol):
    """What zlib's and zstandard's decompressors have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _plain(file: BinaryIO) -> Iterator[bytes]:
    """A file's bytes, unpacked, without a byte order mark."""
    read: Callable[[int], bytes] = getattr(file, "read1", file.read)  # a pipe's bytes as they come
    start = b""
    while len(start) < 4 and (more := read(_CHUNK)):
        start += more
    if start.startswith(_ZSTD) or (
        start[1:4] == b"\x2a\x4d\x18" and start[0] >> 4 == 5
    ):  # or a skippable frame
        # 2 KiB of zstd hold 512 blocks, 64 MiB unpacked, at the very most: nobody can fill memory with them
        yield from _unpacked(start, read, 2048, zstandard.ZstdDecompressor().decompressobj)
    elif start.startswith(_GZIP):
        yield from _unpacked(start, read, 32 * 1024, lambda: zlib.decompressobj(31))  # 31: with gzip's header
    elif b"\0" in start:
        raise Broken("it holds neither lines of JSON, nor gzip, nor zstd")
    else:
        yield start.removeprefix(_BOM)
        while chunk := read(_CHUNK):
            yield chunk


def _unpacked(
    start: bytes, read: Callable[[int], bytes], step: int, unpacker_of_one: Callable[[], _Unpacker]
) -> Iterator[bytes]:
    """Unpack a file of one or more frames (zstd) or members (gzip)."""
    unpacker = unpacker_of_one()
    chunk, first = start, True
    try:
        while chunk:
            for at in range(0, len(chunk), step):
                packed = chunk[at : at + step]
                while packed:
                    if unpacker.eof:
                        unpacker = unpacker_of_one()
                    plain = unpacker.decompress(packed)
                    packed = unpacker.unused_data if unpacker.eof else b""
                    if first and plain:
                        plain, first = plain.removeprefix(_BOM), False
                    yield plain
            chunk = read(_CHUNK)
    except (zlib.error, zstandard.ZstdError) as error:
        raise Broken(f"its packed data is damaged: {error}") from None
    if not unpacker.eof:
        raise Broken("it ends in the middle of its packed data: it was cut off, or is still being written")
