"""The QuestDB side put together: settings → where the server is, the shipper, the reader, the object *sink*.

`rekt run` ships from a process of its own (`rekt questdb ship`): the client brings numpy, and building rows would
take turns with the recorder's thread. The two meet in the ledger alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from rekt.config import SECTIONS, Settings
from rekt.errors import ConfigError, LedgerError, StoreError, UsageError
from rekt.fields import DAY, iso_us
from rekt.model import Window

if TYPE_CHECKING:
    from pathlib import Path

    from rekt.pipeline.audit import Difference
    from rekt.sink import SinkState
    from rekt.stores.questdb.reads import QuestDBReader
    from rekt.stores.questdb.server import Server
    from rekt.stores.questdb.sql import Place
    from rekt.stores.sqlite import Follower

SMALL = 1_000  # a batch size of the original's that nobody meant for us
KEEP_AT_LEAST = 8  # days: comparisons reach back 7, and so does the search for repeats


def wanted(settings: Settings) -> bool:
    """Whether the configuration asks to ship."""
    return settings.section("DATABASE").text("engine") == "questdb"


def check(settings: Settings) -> None:
    """Raise ConfigError for what can't be meant."""
    keep = settings.section("DATABASE").whole("keep_days")
    if 0 < keep < KEEP_AT_LEAST:
        raise ConfigError(
            f"[DATABASE] keep_days is {keep}",
            hint=f"at least {KEEP_AT_LEAST}: a week is compared with; 0 keeps all",
        )


def server(settings: Settings) -> Server:
    """The server of this data folder, running or not."""
    from rekt.stores.questdb.server import Server

    return Server(settings.data_folder / "questdb")


def place(settings: Settings) -> Place:
    """Where QuestDB is: as configured; the server started here is found, and its password used, by itself."""
    from rekt.stores.questdb.server import local_port
    from rekt.stores.questdb.sql import Place

    database = settings.section("DATABASE")
    url, table = database.text("url").rstrip("/"), database.text("name")
    user, password = database.text("user"), database.text("password")
    own = server(settings).last()
    if own is not None and not user:
        unset = url == SECTIONS["DATABASE"]["url"].default
        with suppress(UsageError):
            if unset or local_port(url) == local_port(own.url):
                return Place(own.url, own.user, own.password, table)
    return Place(url, user, password, table)


def reader(settings: Settings) -> QuestDBReader:
    """QuestDB as a store to read from. Raises StoreError when it is not there."""
    from rekt.stores.questdb.reads import QuestDBReader

    return QuestDBReader(place(settings))


def sink_name(settings: Settings) -> str:
    """The name of the cursor in the ledger."""
    return f"questdb {settings.section('DATABASE').text('name')}"


def batch(settings: Settings) -> int:
    """Rows of one request at most: the configured size caps ours only where it is above 1,000 (old files say 50)."""
    from rekt.pipeline.shipper import BATCH

    size = settings.section("DATABASE").whole("batch_size")
    return min(BATCH, size) if size > SMALL else BATCH


def ship(settings: Settings, stop: threading.Event) -> None:
    """Ship until `stop`; waits while another process ships this ledger. Raises LedgerError."""
    from rekt.pipeline.shipper import Shipper
    from rekt.stores.questdb.sink import QuestDB
    from rekt.stores.sqlite import Follower, Marks

    database = settings.section("DATABASE")
    with _alone(settings.ledger_path, stop) as ours:
        if not ours:
            return
        marks = Marks(settings.ledger_path)
        source = Follower(settings.ledger_path)
        sink = QuestDB(
            lambda: place(settings), ttl_days=database.whole("ttl_days"), room=lambda: _room(settings)
        )
        try:
            Shipper(source, marks, sink, batch=batch(settings), keep_days=database.whole("keep_days")).run(
                stop
            )
        finally:
            sink.close()
            source.close()
            marks.close()


def _room(settings: Settings) -> int | None:
    """Bytes free on the disk of the server started here; None where it is another's."""
    own = server(settings)
    with suppress(OSError):
        if (running := own.running()) is not None and running.url == place(settings).url:
            return shutil.disk_usage(own.root).free
    return None


@contextmanager
def _alone(ledger: Path, stop: threading.Event) -> Iterator[bool]:
    """Hold the mark that this process ships; two recorders on one ledger have one shipper between them."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    path = ledger.with_name(ledger.name + ".shipping")
    mark = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if stop.wait(0.5):
                    yield False
                    return
            else:
                break
        yield True
    finally:
        os.close(mark)


def resync(settings: Settings, window: Window | None, tell: Callable[[int, int], None]) -> int:
    """Send everything (of a window) again; how many events. `tell` is given how many of how many. Raises StoreError."""
    from rekt.pipeline.shipper import Shipper
    from rekt.stores.questdb.sink import QuestDB
    from rekt.stores.sqlite import Follower, Marks

    marks = Marks(settings.ledger_path)
    source = Follower(settings.ledger_path)
    sink = QuestDB(lambda: place(settings), ttl_days=settings.section("DATABASE").whole("ttl_days"))
    try:
        shipper = Shipper(source, marks, sink, batch=batch(settings))
        return shipper.resend(window, tell)
    finally:
        sink.close()
        source.close()
        marks.close()


def audit(settings: Settings, window: Window) -> tuple[list[Difference], list[str], int]:
    """Compare ledger and QuestDB by the hour: what differs, what is wrong with the view, rows behind the cursor."""
    from rekt.pipeline.audit import Auditor
    from rekt.stores.questdb.sink import QuestDB
    from rekt.stores.sqlite import Follower, Marks

    marks = Marks(settings.ledger_path)
    source = Follower(settings.ledger_path)
    sink = QuestDB(lambda: place(settings))
    try:
        seq = source.state(sink.name).seq
        found = Auditor(source, marks, sink, len).compare(window, seq)
        if found is None:
            raise StoreError(
                "QuestDB has not applied what it acknowledged: a table is suspended or busy",
                hint="`rekt questdb status` says which; ask again then",
            )
        return found, sink.check(window), source.behind(seq)
    finally:
        sink.close()
        source.close()
        marks.close()


def everything() -> Window:
    """A window that holds all events."""
    return Window(0, time.time_ns() // 1_000_000 + 2 * DAY)


def status(settings: Settings) -> dict[str, Any]:
    """The object *sink*: the server as it is now, and how far the ledger's rows have come."""
    from rekt.stores.questdb.server import answers
    from rekt.stores.questdb.sql import Sql

    where = place(settings)
    found: dict[str, Any] = {
        "running": answers(where.url), "url": where.url, "version": None, "table": where.table,
        "rows_behind": None, "suspended": False, "last_error": None, "last_ack": None, "last_audit": None,
        "refused": None,
    }  # fmt: skip
    with suppress(LedgerError):  # another machine than the recorder's, or nothing recorded yet
        found |= _progress(settings)
    if found["running"]:
        sql = Sql(where, timeout_s=2.0)
        try:
            found["version"] = sql.version()
            own = f"name = '{where.table}' OR name LIKE '{where.table}\\_%'"
            stuck = sql(f"SELECT name FROM wal_tables() WHERE suspended AND ({own})")  # noqa: S608 - a checked name
            found["suspended"] = bool(stuck)
        except StoreError as error:
            found["last_error"] = found["last_error"] or str(error)
        finally:
            sql.close()
    return found


def reached(settings: Settings) -> tuple[SinkState, int, int]:
    """How far the sink has come, the ledger's highest row, and how many rows are to be sent. Raises LedgerError."""
    from rekt.stores.sqlite import Follower

    ledger: Follower = Follower(settings.ledger_path)
    try:
        state = ledger.state(sink_name(settings))
        return state, ledger.last_seq(), ledger.behind(state.seq)
    finally:
        ledger.close()


def _progress(settings: Settings) -> dict[str, Any]:
    from rekt.stores.sqlite import Follower

    ledger: Follower = Follower(settings.ledger_path)
    try:
        name = sink_name(settings)
        state = ledger.state(name)
        return {
            "rows_behind": ledger.behind(state.seq),
            "suspended": state.suspended,
            "last_error": state.error,
            "last_ack": None if state.acked_us is None else iso_us(state.acked_us),
            "last_audit": None if state.audited_us is None else iso_us(state.audited_us),
            "refused": ledger.refused_count(name),
        }
    finally:
        ledger.close()
