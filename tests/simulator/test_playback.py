from __future__ import annotations

import asyncio
import gzip
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zstandard

from rekt.simulator import Options, Simulator
from rekt.simulator.playback import read_line, read_tape, shifted
from rekt.simulator.scene import load
from rekt.simulator.source import source_of
from rekt.simulator.truth import Counts
from tests.simulator.client import STREAMS, Client, connected

ROOT = Path(__file__).resolve().parents[2]
FRAMES = Path(os.environ.get("FRAMES_DIR", ROOT.parent / "shared" / "frames"))

BARE = (
    b'{"e":"forceOrder","E":1790000001010,"o":{"s":"AAAUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"1.50",'
    b'"p":"0.990","ap":"1.000","X":"FILLED","l":"1.50","z":"1.50","T":1790000000002}}'
)
LATER = BARE.replace(b"1790000001010", b"1790000001310").replace(b"AAA", b"BBB")
WRAPPED = b'{"stream":"bbbusdt@forceOrder","data":' + LATER + b"}"
TICK = b'{"e":"markPriceUpdate","E":1790000001000,"s":"BTCUSDT","p":"5.00000000","T":1790006400000}'


def listened(url_part: str, **options: Any) -> Client:
    """What a client of a path has got when the tape is over."""

    async def run() -> Client:
        async with (
            Simulator(Options(**options)) as exchange,
            connected(f"ws://127.0.0.1:{exchange.port}{url_part}") as client,
        ):
            await asyncio.wait_for(exchange.played(), 20)
            await client.until(lambda: len(client.events) >= exchange.counts.written)
            return client

    return asyncio.run(run())


def tape_of(folder: Path, *lines: bytes) -> Path:
    """A tape file with these lines."""
    path = folder / "tape.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def test_forms_of_a_line() -> None:
    """A line is a wrapped frame, a bare payload, or the frame under `raw`; `recv_ts` is its receive time."""
    assert read_line(WRAPPED) == (WRAPPED, None)
    with_time = BARE[:-1] + b',"recv_ts":1790000001050}'
    assert read_line(with_time + b"\r\n") == (with_time, 1790000001050)
    raw = json.dumps({"raw": BARE.decode(), "recv_ts": 1790000001051.7}).encode()
    assert read_line(raw) == (BARE, 1790000001051)
    assert read_line(b"\n") is None
    assert read_line(b"{]") == (b"{]", None)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_compressed_tapes(tmp_path: Path, suffix: str) -> None:
    """Tapes are read plain, gzipped or as zstandard."""
    path = tmp_path / f"tape{suffix}"
    data = BARE + b"\n" + WRAPPED + b"\n"
    if path.suffix == ".gz":
        data = gzip.compress(data)
    elif path.suffix == ".zst":
        data = zstandard.compress(data)
    path.write_bytes(data)
    assert [frame for frame, _ in read_tape(path)] == [BARE, WRAPPED]


def test_envelopes_are_put_on_and_taken_off(tmp_path: Path) -> None:
    """A bare frame is wrapped and a wrapped one bared around the same bytes; a wrapped one stays as recorded."""
    tape = tape_of(tmp_path, BARE, WRAPPED)
    wrapped = listened(f"/market/stream?streams={STREAMS}", tape=tape, speed=None)
    assert [t for t in wrapped.texts if b"forceOrder" in t] == [
        b'{"stream":"!forceOrder@arr","data":' + BARE + b"}",
        WRAPPED,
    ]
    raw = listened(f"/market/ws/{STREAMS}", tape=tape, speed=None)
    assert [t for t in raw.texts if b"forceOrder" in t] == [BARE, LATER]


def test_pace(tmp_path: Path) -> None:
    """Frames keep the distances they were recorded at, divided by the speed; the tape waits for a reader."""
    tape = tape_of(tmp_path, BARE, LATER)
    for speed, distance_ms in ((1.0, 300), (3.0, 100)):
        options = Options(tape=tape, speed=speed)
        source = source_of(options, load(options), 1000, Counts())
        due = partial(source.due, paused=False)
        assert due(1000, 0) == []
        assert len(due(5000, 1)) == 1
        assert source.next_ms == 5000 + distance_ms
        assert due(5000 + distance_ms - 1, 1) == []
        assert len(due(5000 + distance_ms, 1)) == 1


def test_times_moved_to_now(tmp_path: Path) -> None:
    """Moved to now, both times of a frame move alike and every other byte stays."""
    tape = tape_of(tmp_path, BARE, LATER)
    client = listened("/market/ws/!forceOrder@arr", tape=tape, shift_to_now=True, clock=None)
    first, second = client.events
    assert first["E"] - first["o"]["T"] == 1008
    assert second["E"] - first["E"] == 300
    assert first["E"] > 1790000001010
    assert shifted(client.texts[0], 1790000001010 - first["E"]) == BARE
    assert shifted(TICK, 5) == TICK.replace(b"1790000001000", b"1790000001005").replace(
        b"6400000", b"6400005"
    )


def test_canary_of_the_tape(tmp_path: Path) -> None:
    """The tape's own canary is left out, or played instead of a made-up one."""
    tape = tape_of(tmp_path, TICK, BARE)
    without = listened(f"/market/ws/{STREAMS}", tape=tape, speed=None)
    assert TICK not in without.texts
    with_it = listened(f"/market/ws/{STREAMS}", tape=tape, speed=None, tape_canary=True)
    assert with_it.texts == [TICK, BARE]


@pytest.mark.skipif(not FRAMES.is_dir(), reason="the recordings are not here")
def test_recordings_byte_for_byte() -> None:
    """Every recorded frame reaches the client once, byte for byte, in its order."""
    for path in sorted(FRAMES.glob("*.jsonl")):
        client = listened(f"/market/stream?streams={STREAMS}", tape=path, speed=None)
        received = [text for text in client.texts if b"forceOrder" in text]
        recorded = [frame for frame, _ in read_tape(path)]
        assert len(received) == len(recorded)
        for got, frame in zip(received, recorded, strict=True):
            wrapped = frame.startswith(b'{"stream"')
            assert got == (frame if wrapped else b'{"stream":"!forceOrder@arr","data":' + frame + b"}")
