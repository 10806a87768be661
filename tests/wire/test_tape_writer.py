from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from rekt.wire import tape_writer
from rekt.wire.frame import Frame
from rekt.wire.tape import BadLine, TapeLine, read_tape
from rekt.wire.tape_writer import TapeWriter
from tests.waiting import until

NOON = 1_784_203_200_000_000  # 2026-07-16 12:00 UTC
MIDNIGHT = NOON + 43_200_000_000


def batch(start_us: int, count: int) -> list[Frame]:
    """Frames a microsecond apart."""
    return [Frame(start_us + n, b'{"n":%d}' % n) for n in range(count)]


def on_tape(folder: Path) -> int:
    """How many frames can be read in a folder while it is written to."""
    return sum(isinstance(line, TapeLine) for path in folder.iterdir() for line in read(path))


def holds(folder: Path, count: int) -> bool:
    """Whether just so many frames can be read there."""
    return on_tape(folder) == count


def read(path: Path) -> list[TapeLine | BadLine]:
    """All lines of a tape."""
    return list(read_tape(path))


def test_frames_are_replayed_as_they_were_recorded(tmp_path: Path) -> None:
    """What was written is read again: order, microseconds, venue and connection."""
    writer = TapeWriter(tmp_path / "tapes", "r1")
    writer.write("binance", "c1", batch(NOON, 1000))
    writer.write("binance", "c2", batch(NOON + 5000, 10))
    writer.write("binance", "c2", [])
    writer.close()
    (path,) = (tmp_path / "tapes").iterdir()
    assert path.name == "binance-2026-07-16-r1.jsonl.zst"
    lines = read(path)
    assert lines[:1000] == [
        TapeLine(n + 1, frame.received_us, frame.data, "binance", "c1")
        for n, frame in enumerate(batch(NOON, 1000))
    ]
    assert [line.connection for line in lines[1000:] if isinstance(line, TapeLine)] == ["c2"] * 10
    assert writer.missing == 0


def test_a_new_file_each_day_and_venue(tmp_path: Path) -> None:
    """Files change at midnight UTC and are apart by venue; a clock set back begins another file."""
    writer = TapeWriter(tmp_path, "r1", flush_s=0.01)
    given = (("a", MIDNIGHT - 1), ("a", MIDNIGHT), ("b", MIDNIGHT), ("a", MIDNIGHT - 1))
    for count, (venue, start) in enumerate(given, 1):
        writer.write(venue, "c", batch(start, 1))
        assert until(partial(holds, tmp_path, count))
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a-2026-07-16-r1.2.jsonl.zst",
        "a-2026-07-16-r1.jsonl.zst",
        "a-2026-07-17-r1.jsonl.zst",
        "b-2026-07-17-r1.jsonl.zst",
    ]
    assert [len(read(path)) for path in tmp_path.iterdir()] == [1] * 4


def test_two_recorders_in_one_folder(tmp_path: Path) -> None:
    """Each run has its own file, even where two call themselves the same."""
    writers = [
        TapeWriter(tmp_path),
        TapeWriter(tmp_path),
        TapeWriter(tmp_path, "r"),
        TapeWriter(tmp_path, "r"),
    ]
    for writer in writers:
        writer.write("binance", "c", batch(NOON, 500))
        writer.close()
    assert [len(read(path)) for path in tmp_path.iterdir()] == [500] * 4


def test_names_are_made_safe(tmp_path: Path) -> None:
    """No name leads out of the folder."""
    writer = TapeWriter(tmp_path / "tapes", "../../run")
    writer.write("../a/b\0", "c", batch(NOON, 1))
    writer.close()
    assert [path.name for path in (tmp_path / "tapes").iterdir()] == ["_a_b_-2026-07-16-_run.jsonl.zst"]
    assert [path.name for path in tmp_path.iterdir()] == ["tapes"]


RECORDER = """
import sys, time
from pathlib import Path
from rekt.wire.frame import Frame
from rekt.wire.tape_writer import TapeWriter
writer = TapeWriter(Path(sys.argv[1]), flush_s=0.2)
n = 0
while True:
    writer.write("binance", "c", [Frame(time.time_ns() // 1000, b'{"n":%d}' % n)])
    n += 1
    if n % 10 == 0:
        print(n, flush=True)
    time.sleep(0.002)
"""


def test_a_killed_recorder_loses_what_a_flush_had_not_taken(tmp_path: Path) -> None:
    """A tape grows while it is recorded; what was on it stays after kill -9, in whole lines, and the cut is told."""
    process = subprocess.Popen([sys.executable, "-c", RECORDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        assert until(lambda: on_tape(tmp_path) >= 300)
        there = on_tape(tmp_path)
        process.send_signal(signal.SIGKILL)
        recorded = int(process.stdout.read().split(b"\n")[-2])
    (path,) = tmp_path.iterdir()
    *lines, last = read(path)
    assert [line.data for line in lines] == [b'{"n":%d}' % n for n in range(len(lines))]
    assert isinstance(last, BadLine)
    assert last.number == 0
    assert there <= len(lines) <= recorded + 10


def test_trouble_with_the_disk_is_told_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder can't be written, recording goes on; when it can again, so does the tape."""
    monkeypatch.setattr(tape_writer, "RETRY_S", 0.05)
    folder = tmp_path / "tapes"
    folder.write_text("in the way")
    writer = TapeWriter(folder, "r1", flush_s=0.01)
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            writer.write("binance", "c", batch(NOON, 3))
            time.sleep(0.05)
        assert until(lambda: writer.missing == 15)
        folder.unlink()
        time.sleep(0.1)  # longer than it leaves the disk alone
        writer.write("binance", "c", batch(NOON, 4))
        writer.close()
    assert writer.missing == 15
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "recording goes on without it" in caplog.messages[0]
    assert "15 frames are missing" in caplog.messages[1]
    assert len(read(folder / "binance-2026-07-16-r1.jsonl.zst")) == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_spoils_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in the middle: what was written stays readable, what comes later has its own file."""
    monkeypatch.setattr(tape_writer, "RETRY_S", 0.0)
    writer = TapeWriter(tmp_path, "r1", flush_s=0.01)
    writer.write("binance", "c", batch(NOON, 10))
    assert until(partial(holds, tmp_path, 10))
    good = writer._files["binance"]._file
    writer._files["binance"]._file = open("/dev/full", "wb", buffering=0)  # noqa: PTH123, SIM115
    writer.write("binance", "c", batch(NOON, 20))
    assert until(lambda: writer.missing == 20)
    good.close()
    writer.write("binance", "c", batch(NOON, 30))
    writer.close()
    assert writer.missing == 20
    assert "No space left" in caplog.messages[0]
    first, second = (tmp_path / f"binance-2026-07-16-r1{part}.jsonl.zst" for part in ("", ".2"))
    assert [type(line) for line in read(first)] == [TapeLine] * 10 + [BadLine]
    assert [type(line) for line in read(second)] == [TapeLine] * 30


def test_a_stuck_disk_costs_frames_not_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded; what is above it is counted as missing, and so is what comes after the end."""
    monkeypatch.setattr(tape_writer, "MAX_WAITING", 100)
    writer = TapeWriter(tmp_path, "r1", flush_s=30)
    for _ in range(20):
        writer.write("binance", "c", batch(NOON, 10))
    writer.close()
    writer.write("binance", "c", batch(NOON, 1))
    (path,) = tmp_path.iterdir()
    assert len(read(path)) == 100
    assert writer.missing == 101


def test_idle_costs_nothing(tmp_path: Path) -> None:
    """Without frames the thread sleeps, and no file is made."""
    writer = TapeWriter(tmp_path, flush_s=0.01)
    before = os.times()
    time.sleep(0.3)
    after = os.times()
    writer.close()
    assert (after.user + after.system) - (before.user + before.system) < 0.1
    assert list(tmp_path.iterdir()) == []
