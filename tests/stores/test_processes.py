from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from rekt.errors import LedgerError
from rekt.model import Window
from rekt.stores.sqlite import Ledger, Reader, ledger
from tests.stores.events import START, batch, event, events, writer


def kill_again_and_again(path: Path, kills: int, seed: int = 0) -> int:
    """Kill a writer `kills` times at random moments; what it said is committed must be there, once. Returns it."""
    chance = random.Random(seed)
    told = 0
    for n in range(kills):
        process = writer(path, seed=seed * 1_000_000 + n, batches=100_000, size=20)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        line = ""
        for _ in range(chance.randrange(1, 60)):
            line = process.stdout.readline()
        process.kill()
        said = [line, *process.stdout.read().splitlines(keepends=True)]
        process.wait()
        process.stdout.close()
        count = int([line for line in said if line.endswith("\n")][-1])
        told += count
        Ledger(path).close()
        want = {(one.trade_time, one.uid) for one in events(count, seed=seed * 1_000_000 + n)}
        with Reader(path) as reader:
            assert want <= {(one.trade_time, one.uid) for one in reader.liquidations()}
            assert reader.rows() >= told
            assert reader.verify() == []
    return told


def test_survives_being_killed(tmp_path: Path) -> None:
    """After kill -9 at any moment the ledger opens, is sound, and holds every event that was told as committed."""
    assert kill_again_and_again(tmp_path / "ledger.db", kills=5) > 100


def test_two_processes_write_one_ledger(tmp_path: Path) -> None:
    """Both record the same events at once, and others of their own: each is there once, roll-ups included."""
    path = tmp_path / "ledger.db"
    same = [
        writer(path, seed=3, batches=60),
        writer(path, seed=3, batches=60),
        writer(path, seed=4, batches=60),
    ]
    for process in same:
        process.communicate()
        assert process.returncode == 0
    with Reader(path) as reader:
        counters = reader.counters()
        assert (counters.stored, counters.duplicate) == (2400, 1200)
        assert reader.rows() == 2400
        assert reader.verify() == []


def test_reads_while_another_process_writes(tmp_path: Path) -> None:
    """A cursor that follows seq sees every event once, in the order of the commits."""
    path = tmp_path / "ledger.db"
    process = writer(path, batches=60)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    seen: list[bytes] = []
    last = 0
    with Reader(path) as reader:
        running = True
        while running:
            running = process.poll() is None
            while rows := reader.after(last, 100):
                assert [row.seq for row in rows] == list(range(last + 1, last + 1 + len(rows)))
                seen += [row.event.uid for row in rows]
                last = rows[-1].seq
    process.communicate()
    assert seen == [one.uid for one in events(1200)]


def test_backs_up_while_another_process_writes(tmp_path: Path) -> None:
    """The copy is one state of the ledger: sound, roll-ups equal to its events, and a ledger like any other."""
    path, copy = tmp_path / "ledger.db", tmp_path / "copies" / "copy.db"
    process = writer(path, batches=200)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    with Reader(path) as reader:
        reader.backup(copy)
        with pytest.raises(LedgerError, match="exists already"):
            reader.backup(copy)
    process.communicate()
    assert list(copy.parent.iterdir()) == [copy]
    assert sqlite3.connect(copy).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with Reader(copy) as reader:
        rows = reader.rows()
        assert rows >= 19 * 20
        assert rows % 20 == 0
        assert reader.verify() == []
    again = Ledger(copy)
    assert again.append(batch(event(99_999))).stored == 1
    again.close()


def test_a_listing_goes_on_while_events_come(tmp_path: Path) -> None:
    """A listing in pages shows what was there at its start once, in order, across the pages' ends."""
    path = tmp_path / "ledger.db"
    made = events(12_000)
    first = Ledger(path)
    first.append(batch(*made[:11_000]))
    with Reader(path) as reader:
        listing = reader.liquidations(Window(START, START + 7_200_000))
        got = [next(listing)]
        first.append(batch(*made[11_000:]))
        got += listing
    keys = [(one.trade_time, one.uid) for one in got]
    assert keys == sorted(set(keys))
    assert {(one.trade_time, one.uid) for one in made[:11_000]} <= set(keys)
    first.close()


@pytest.mark.parametrize("reading", [False, True])
def test_the_log_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: bool) -> None:
    """With two writers and a reader that asks again and again, the log is emptied time and again."""
    monkeypatch.setattr(ledger, "CHECKPOINT_PAGES", 50)
    monkeypatch.setattr(ledger, "URGENT_PAGES", 100)
    monkeypatch.setattr(ledger, "CUT_PAGES", 400)
    path = tmp_path / "ledger.db"
    ledgers = [Ledger(path), Ledger(path)]
    done = threading.Event()

    def ask() -> None:
        with Reader(path) as reader:
            while not done.is_set():
                for _ in reader.liquidations(symbol="ETHUSDT"):
                    pass

    thread = threading.Thread(target=ask)
    if reading:
        thread.start()
    try:
        largest = 0
        made = events(6_000)
        for n in range(0, len(made), 20):
            ledgers[n // 20 % 2].append(batch(*made[n : n + 20]))
            largest = max(largest, (tmp_path / "ledger.db-wal").stat().st_size)
    finally:
        done.set()
        if reading:
            thread.join()
    assert largest < 4 * 400 * 4096
    for one in ledgers:
        one.close()
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_a_reader_held_is_cut_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a read is held the log can't start over; the first checkpoint after it ends empties it."""
    monkeypatch.setattr(ledger, "URGENT_PAGES", 50)
    monkeypatch.setattr(ledger, "CUT_PAGES", 100)
    monkeypatch.setattr(ledger, "CUT_MS", 10)
    path = tmp_path / "ledger.db"
    log = tmp_path / "ledger.db-wal"
    one = Ledger(path)
    made = events(4_000)
    one.append(batch(*made[:20]))
    with Reader(path) as reader:
        with reader.snapshot():
            assert reader.rows() == 20
            for n in range(20, 3_000, 20):
                one.append(batch(*made[n : n + 20]))
            assert reader.rows() == 20
            held = log.stat().st_size
        assert held > 100 * 4096
        while n < 3_980 and log.stat().st_size >= held:
            n += 20
            one.append(batch(*made[n : n + 20]))
        assert log.stat().st_size < held
    one.close()


FIRST = """
    import sys, threading
    from rekt import app, shipping
    from rekt.errors import LedgerError

    sys.setswitchinterval(1e-6)
    settings = app.settings(sys.argv[1])
    wrong, begun = [], threading.Barrier(3)

    def first(ask):
        begun.wait()
        try:
            ask(settings).close()
        except LedgerError:
            pass  # there is no ledger
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=first, args=(ask,)) for ask in (app.reader, app.outbox, shipping.reached)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    sys.exit(str(wrong) if wrong else 0)
"""


@pytest.mark.parametrize("attempt", range(3))
def test_threads_may_be_the_first_to_need_it(tmp_path: Path, attempt: int) -> None:
    """Whatever of the ledger's package threads ask for first, and at once: none gets a module that is half made."""
    (tmp_path / "empty.ini").write_text(f"[DATABASE]\npath = {tmp_path / f'{attempt}.db'}\n")
    command = [sys.executable, "-c", textwrap.dedent(FIRST), str(tmp_path / "empty.ini")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
