"""QuestDB killed, absent, full, taking over while events flow: in the end, ledger and table must agree exactly.

    .venv/bin/python -m tests.experiments.questdb kills --kills 20 --rate 2000
    .venv/bin/python -m tests.experiments.questdb absent --seconds 60
    .venv/bin/python -m tests.experiments.questdb full --folder FOLDER    (on a small file system of its own)
    .venv/bin/python -m tests.experiments.questdb takeover --kills 3      (of each of the original's three shapes)

Agreement: the number of rows, the sum in micro-dollars of every hour, the set of uids. The recorder is `rekt run` in a
process of its own; nobody restarts it, nobody helps the shipper.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from rekt.errors import LedgerError, StoreError
from rekt.fields import HOUR, iso_ms
from rekt.simulator import simulated
from rekt.stores.questdb.server import Running, Server
from rekt.stores.questdb.sql import Place, Sql
from rekt.stores.sqlite import Reader
from rekt.stores.sqlite.sinks import Follower
from tests.experiments.kill import recorder
from tests.stores.questdb import obtain

SINK = "questdb liqui"
DONE_S = 90.0  # for the rest to arrive


@dataclass
class Outcome:
    """What an experiment found; `faults` is empty when all held."""

    events: int = 0
    kills: int = 0
    midway: int = 0  # of those, while a table was being taken over
    behind_at_most: int = 0
    told_after_s: float = 0.0  # how long until the trouble was reported
    told: str = ""
    caught_up_after_s: float = 0.0
    aborted: bool = False
    faults: list[str] = field(default_factory=list)


def sink_state(ledger: Path) -> tuple[int, str | None, bool]:
    """Rows behind, the error, whether a table is suspended: as `rekt status` has them."""
    try:
        source: Follower = Follower(ledger)
    except LedgerError:
        return 0, None, False
    try:
        state = source.state(SINK)
        return source.behind(state.seq), state.error, state.suspended
    finally:
        source.close()


def wait_for(condition: Callable[[], bool], timeout_s: float) -> float:
    """Wait; how long it took, or the time-out."""
    began = time.monotonic()
    while not condition() and time.monotonic() - began < timeout_s:
        time.sleep(0.1)
    return time.monotonic() - began


def compare(ledger: Path, running: Running) -> tuple[int, list[str]]:
    """Events in the ledger, and how the server's tables differ from it."""
    with Reader(ledger) as reader:
        events = list(reader.liquidations())
        faults = reader.verify()
    sql = Sql(Place(running.url, running.user, running.password, "liqui"))
    found = []
    for table in ("liqui", "liqui_other"):
        if not sql.applied(table, timeout_s=30):
            faults.append(f"{table} is not applied")
        ours = " WHERE micros IS NOT NULL" if table == "liqui" else ""
        found.append(sql(f"SELECT timestamp::long / 1000, uid, micros FROM {table}{ours}"))
    sql.close()
    held, others = found
    kept = [event for event in events if event.counts and event.notional is not None]
    if len(held) != len(kept):
        faults.append(f"the ledger has {len(kept)} rows, the table {len(held)}")
    uids = {UUID(uid).bytes for _, uid, _ in held}
    if missing := {event.uid for event in kept} ^ uids:
        with Reader(ledger) as reader:
            places = [row.seq for row in reader.after(0, 1 << 40) if row.event.uid in missing]
            last = reader.last_seq()
        faults.append(
            f"{len(missing)} uids are not in both; in the ledger from {min(places, default=0)} to"
            f" {max(places, default=0)} of {last}, the cursor is {last - sink_state(ledger)[0]}"
        )
    hours: dict[int, int] = {}
    for event in kept:
        assert event.notional is not None
        hours[event.trade_time // HOUR] = hours.get(event.trade_time // HOUR, 0) + event.notional
    for at, _, micros in held:
        hours[at // HOUR] = hours.get(at // HOUR, 0) - micros
    faults += [f"{iso_ms(hour * HOUR)} differs by {off} micro-dollars" for hour, off in hours.items() if off]
    rest = {event.uid for event in events} - uids
    if rest != {UUID(uid).bytes for _, uid, _ in others} - uids:
        faults.append("the rows of the second table are not those that don't count")
    return len(events), faults


@contextmanager
def recording(folder: Path, rate: float, seed: int) -> Iterator[Path]:
    """`rekt run` with engine questdb on a simulated market, ended in order; its ledger. It logs into `run.log`."""
    ledger = folder / "liqui.db"
    with (
        simulated(rate=rate, hold_ms=0, seed=seed, unfilled_share=0.02, keep_sent=0) as exchange,
        (folder / "run.log").open("wb") as log,
    ):
        process = recorder(ledger, exchange, stderr=log, REKT_DATABASE_ENGINE="questdb")
        try:
            yield ledger
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)  # ten seconds are promised on a machine that isn't overloaded, as this makes it


def finish(ledger: Path, server: Server, outcome: Outcome) -> None:
    """After the recorder has ended: what is there."""
    running = server.running()
    assert running is not None
    outcome.events, faults = compare(ledger, running)
    outcome.faults += faults
    if not outcome.events:
        outcome.faults.append("nothing was recorded")


def kills(count: int, *, rate: float, seed: int = 1, up_s: tuple[float, float] = (2.0, 5.0)) -> Outcome:
    """Kill the server so many times while events flow."""
    rng, outcome = random.Random(seed), Outcome()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder / "questdb")
        port = int(obtain(server).url.rpartition(":")[2])
        try:
            with recording(folder, rate, seed) as ledger:
                for _ in range(count):
                    time.sleep(rng.uniform(*up_s))
                    running = server.running()
                    assert running is not None
                    assert running.pid is not None
                    os.kill(running.pid, signal.SIGKILL)
                    outcome.kills += 1
                    time.sleep(rng.uniform(0.0, 1.0))
                    outcome.behind_at_most = max(outcome.behind_at_most, sink_state(ledger)[0])
                    server.start(port)
                caught = wait_for(lambda: sink_state(ledger)[0] < rate and not sink_state(ledger)[1], DONE_S)
                outcome.caught_up_after_s = round(caught, 1)
                outcome.told = sink_state(ledger)[1] or ""
            finish(ledger, server, outcome)
        finally:
            server.stop()
    return outcome


def absent(seconds: float, *, rate: float, seed: int = 2) -> Outcome:
    """Record without a server; start it; everything must arrive without a restart of the recorder."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder / "questdb")
        port = int(obtain(server).url.rpartition(":")[2])  # its place is known; it is not there
        server.stop()
        try:
            with recording(folder, rate, seed) as ledger:
                time.sleep(seconds)
                wait_for(lambda: sink_state(ledger)[0] > 0 and bool(sink_state(ledger)[1]), 60)
                outcome.behind_at_most, error, _ = sink_state(ledger)
                outcome.told = error or ""
                server.start(port)
                caught = wait_for(lambda: sink_state(ledger)[0] < rate and not sink_state(ledger)[1], DONE_S)
                outcome.caught_up_after_s = round(caught, 1)
            finish(ledger, server, outcome)
        finally:
            server.stop()
    if "can't be reached" not in outcome.told:
        outcome.faults.append(f"the absence was not told, but {outcome.told!r}")
    if not outcome.behind_at_most:
        outcome.faults.append("nothing was recorded while the server was absent")
    return outcome


def full(small: Path, *, rate: float, seed: int = 3, full_s: float = 20.0, left: int = 1 << 20) -> Outcome:
    """Fill the server's file system while events flow, then make room (and start the server if it aborted)."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "questdb").mkdir()
        (small / "root").mkdir(exist_ok=True)
        (folder / "questdb" / "root").symlink_to(small / "root")  # the data alone is on the small one
        server = Server(folder / "questdb")
        port = int(obtain(server).url.rpartition(":")[2])
        ballast = small / "ballast"
        try:
            with recording(folder, rate, seed) as ledger:
                wait_for(lambda: sink_state(ledger)[0] < rate and ledger.exists(), 20)
                time.sleep(4)
                room = os.statvfs(small)
                _fill(ballast, room.f_bfree * room.f_frsize - left)  # root's reserve too

                def told() -> bool:
                    _, error, suspended = sink_state(ledger)
                    return suspended or bool(error and "full" in error)

                outcome.told_after_s = round(wait_for(told, 120), 1)
                outcome.told = sink_state(ledger)[1] or ""
                time.sleep(full_s)
                outcome.behind_at_most = sink_state(ledger)[0]
                ballast.unlink()
                outcome.aborted = server.running() is None
                if outcome.aborted:
                    server.start(port)
                caught = wait_for(lambda: sink_state(ledger)[0] < rate and not sink_state(ledger)[1], DONE_S)
                outcome.caught_up_after_s = round(caught, 1)
            finish(ledger, server, outcome)
        finally:
            with suppress(FileNotFoundError):
                ballast.unlink()
            with suppress(StoreError):
                server.stop()
            shutil.rmtree(small / "root", ignore_errors=True)
    if "full" not in outcome.told:
        outcome.faults.append(f"the full disk was not told, but {outcome.told!r}")
    if outcome.told_after_s > 30:
        outcome.faults.append("it was told too late")
    return outcome


SHAPES = {
    "documented": "",
    "old server's": "TIMESTAMP(timestamp) PARTITION BY DAY BYPASS WAL",
    "newer server's": "TIMESTAMP(timestamp) PARTITION BY DAY WAL",
}
QUERY = (
    "SELECT count() AS count, sum(USDVALUE) AS sum, max(USDVALUE) AS max FROM {}"
    " WHERE timestamp > dateadd('d', -20, now()) AND timestamp < dateadd('d', -1, now())"
)


def takeover(shape: str, count: int, *, rate: float, rows: int, seed: int = 4) -> Outcome:
    """Kill the server so many times while a table of the original's, so many rows long, is being taken over."""
    rng, outcome = random.Random(seed), Outcome()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder / "questdb")
        running = obtain(server)
        port = int(running.url.rpartition(":")[2])
        sql = Sql(Place(running.url, running.user, running.password, "liqui"))
        try:
            sql(
                "CREATE TABLE liqui (PAIR symbol, PRICE double, QUANTITY double, USDVALUE double,"
                f" timestamp timestamp) {SHAPES[shape]}"
            )
            sql(
                "INSERT INTO liqui SELECT rnd_symbol('A','B','C'), 1.5, 2.0, (x % 1000) + 0.25,"
                " timestamp_sequence(dateadd('d', -10, now()), 100000) + (x % 2) * 100000 t"
                f" FROM long_sequence({rows})",
                long=True,
            )  # pairs of equal times
            assert shape != "newer server's" or sql.applied("liqui", timeout_s=60)
            before = sql.one(QUERY.format("liqui"))
            with recording(folder, rate, seed) as ledger:
                for _ in range(count):
                    wait_for(lambda: _at_work(sql), 60)
                    time.sleep(rng.uniform(0.0, 0.3))
                    outcome.midway += not _taken(sql)
                    state = server.running()
                    assert state is not None
                    assert state.pid is not None
                    os.kill(state.pid, signal.SIGKILL)
                    outcome.kills += 1
                    time.sleep(rng.uniform(0.0, 1.0))
                    server.start(port)
                wait_for(lambda: _taken(sql), DONE_S)
                caught = wait_for(lambda: sink_state(ledger)[0] < rate and not sink_state(ledger)[1], DONE_S)
                outcome.caught_up_after_s = round(caught, 1)
            finish(ledger, server, outcome)
            after = sql.one(QUERY.format("liqui"))
            if before != after or before[0] != rows:
                outcome.faults.append(f"the original's query gave {before}, now {after}")
            old = "FROM liqui WHERE micros IS NULL"
            if (found := sql.one(f"SELECT count(), count_distinct(uid) {old}")) != [rows, rows]:
                outcome.faults.append(f"of {rows} old rows (count, uids) are there: {found}")
            if "starting it again" in (folder / "run.log").read_text("utf-8"):
                outcome.faults.append("the shipper ended meanwhile")
        finally:
            sql.close()
            server.stop()
    return outcome


def _at_work(sql: Sql) -> bool:
    """Whether the taking over has begun: a copy is there, or the table has our columns."""
    with suppress(StoreError):
        found = sql(
            "SELECT count() FROM tables() WHERE table_name = 'liqui_takeover' UNION ALL"
            " SELECT count() FROM table_columns('liqui') WHERE \"column\" = 'uid'"
        )
        return any(number for (number,) in found)
    return False


def _taken(sql: Sql) -> bool:
    with suppress(StoreError):
        found = sql("SELECT count() FROM table_columns('liqui') WHERE \"column\" = 'uid' AND upsertKey")
        return bool(found and found[0][0])
    return False


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file, suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, max(size, 1))


def main() -> None:
    """Run one of the long forms and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("kills", "absent", "full", "takeover"))
    parser.add_argument("--rate", type=float, default=2_000.0, help="events a second")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="absent: how long; full: how long it stays so"
    )
    parser.add_argument("--rows", type=int, default=5_000_000, help="takeover: of the original's table")
    parser.add_argument("--folder", type=Path, help="full: on a small file system, 600 MB or so")
    given = parser.parse_args()
    began = time.time()
    if given.what == "kills":
        outcome = kills(given.kills, rate=given.rate)
    elif given.what == "absent":
        outcome = absent(given.seconds, rate=given.rate)
    elif given.what == "takeover":
        outcomes = [takeover(shape, given.kills, rate=given.rate, rows=given.rows) for shape in SHAPES]
        for shape, one in zip(SHAPES, outcomes, strict=True):
            print(f"{shape} table: {one}")
        sys.exit(1 if any(one.faults for one in outcomes) else 0)
    elif given.folder is None:
        parser.error("full needs --folder")
    else:
        outcome = full(given.folder, rate=given.rate, full_s=given.seconds)
    print(f"{iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}")
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
