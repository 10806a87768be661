"""The ledger's file: its tables, how one is opened or made, and when it is refused (untouched).

A file is ours when its SQLite application id says so; its version is `user_version`. Both are in the first page,
which is looked at without taking a lock and without making a -wal or -shm file.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import apsw

from rekt.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

APPLICATION_ID = 0x72656B74  # "rekt"
BUSY_MS = 15_000  # how long a writer waits for another recorder's transaction
CHECKED_BYTES = 16 << 20  # a ledger up to this size is checked whole before it is written to

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE migration(version INTEGER PRIMARY KEY, applied_us INTEGER NOT NULL) STRICT;
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE feed(
        id INTEGER PRIMARY KEY, venue TEXT NOT NULL, market TEXT NOT NULL, price_kind TEXT NOT NULL,
        sampling TEXT NOT NULL, UNIQUE(venue, market, price_kind, sampling)) STRICT;
    -- No AUTOINCREMENT (a third slower): the next seq is the highest + 1, so the highest row must stay.
    CREATE TABLE liquidation(
        seq INTEGER PRIMARY KEY, feed INTEGER NOT NULL, trade_time INTEGER NOT NULL, uid BLOB NOT NULL,
        symbol TEXT NOT NULL, order_side TEXT NOT NULL, status TEXT, price TEXT, average_price TEXT,
        quantity TEXT, filled_quantity TEXT, notional INTEGER, basis TEXT, event_time INTEGER,
        received_us INTEGER NOT NULL) STRICT;
    CREATE UNIQUE INDEX liquidation_key ON liquidation(trade_time, uid);
    CREATE INDEX liquidation_unsettled ON liquidation(feed) WHERE notional IS NULL;
    -- scope 0: a minute, 1: an hour, 2: an hour by symbol. The sum is dollars * 1000000 + micros: neither column
    -- comes near 2^63. The largest is kept by the hour.
    CREATE TABLE bucket(
        scope INTEGER NOT NULL, start INTEGER NOT NULL, feed INTEGER NOT NULL, symbol TEXT NOT NULL,
        order_side TEXT NOT NULL, count INTEGER NOT NULL, unknown_count INTEGER NOT NULL,
        dollars INTEGER NOT NULL, micros INTEGER NOT NULL,
        largest INTEGER, largest_time INTEGER, largest_uid BLOB,
        PRIMARY KEY(scope, start, feed, symbol, order_side)) STRICT, WITHOUT ROWID;
    CREATE TABLE run(
        id TEXT PRIMARY KEY, started_us INTEGER, stopped_us INTEGER, command TEXT NOT NULL DEFAULT '',
        version TEXT NOT NULL DEFAULT '', pid INTEGER, control INTEGER NOT NULL DEFAULT 0,
        stored INTEGER NOT NULL DEFAULT 0, duplicate INTEGER NOT NULL DEFAULT 0,
        quarantined INTEGER NOT NULL DEFAULT 0, events INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE connection(
        id TEXT PRIMARY KEY, run TEXT NOT NULL, venue TEXT NOT NULL, url TEXT NOT NULL, opened_us INTEGER NOT NULL,
        first_frame_us INTEGER, last_frame_us INTEGER, last_canary_us INTEGER, closed_us INTEGER,
        cause TEXT) STRICT;
    CREATE INDEX connection_opened ON connection(opened_us);
    CREATE INDEX connection_venue ON connection(venue);
    CREATE TABLE span(
        connection TEXT NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,
        PRIMARY KEY(connection, start_ms)) STRICT, WITHOUT ROWID;
    CREATE INDEX span_end ON span(end_ms, start_ms);
    CREATE TABLE instrument(
        venue TEXT NOT NULL, symbol TEXT NOT NULL, market TEXT NOT NULL, base TEXT NOT NULL, quote TEXT NOT NULL,
        contract_size TEXT, seen_us INTEGER NOT NULL, PRIMARY KEY(venue, symbol)) STRICT, WITHOUT ROWID;
    -- size: of the frame as it came; kept_bytes: kept up to and with this row, for the bound on the whole.
    CREATE TABLE quarantine(
        id INTEGER PRIMARY KEY, run TEXT NOT NULL, venue TEXT NOT NULL, connection TEXT,
        received_us INTEGER NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL, kept_bytes INTEGER NOT NULL,
        data BLOB NOT NULL) STRICT;
    """,
    """
    -- What each connection told and lost of the events of an hour, while another was alive beside it.
    CREATE TABLE delivery(
        connection TEXT NOT NULL, hour INTEGER NOT NULL, told INTEGER NOT NULL, lost INTEGER NOT NULL,
        PRIMARY KEY(hour, connection)) STRICT, WITHOUT ROWID;
    -- An hour that was final and changed: its numbers before the first and after the last change of this run and reason.
    CREATE TABLE revision(
        hour INTEGER NOT NULL, run TEXT NOT NULL, reason TEXT NOT NULL, seen_us INTEGER NOT NULL,
        count_before INTEGER NOT NULL, dollars_before INTEGER NOT NULL, micros_before INTEGER NOT NULL,
        count_after INTEGER NOT NULL, dollars_after INTEGER NOT NULL, micros_after INTEGER NOT NULL,
        PRIMARY KEY(hour, run, reason)) STRICT, WITHOUT ROWID;
    CREATE TABLE clock_change(run TEXT NOT NULL, at_us INTEGER NOT NULL, seconds REAL NOT NULL, kind TEXT NOT NULL) STRICT;
    """,
    """
    -- A sink behind the ledger: all rows up to seq were acknowledged. Refused: rows that it will not take.
    CREATE TABLE sink(
        name TEXT PRIMARY KEY, seq INTEGER NOT NULL DEFAULT 0, acked_us INTEGER, error TEXT,
        suspended INTEGER NOT NULL DEFAULT 0, audited_us INTEGER) STRICT;
    CREATE TABLE sink_refused(
        sink TEXT NOT NULL, trade_time INTEGER NOT NULL, uid BLOB NOT NULL, reason TEXT NOT NULL,
        refused_us INTEGER NOT NULL, PRIMARY KEY(sink, trade_time, uid)) STRICT, WITHOUT ROWID;
    -- The events that are not in the sums: rare, and asked for by the hour.
    CREATE INDEX liquidation_aside ON liquidation(trade_time) WHERE (notional IS NULL OR status <> 'FILLED');
    """,
    """
    -- The outbox: one post to one service. The picture is kept until it is settled.
    CREATE TABLE post(
        service TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, alt TEXT NOT NULL, template TEXT NOT NULL,
        state TEXT NOT NULL, cause TEXT NOT NULL, reason TEXT NOT NULL, remote_id TEXT, attempts INTEGER NOT NULL,
        unclear INTEGER NOT NULL, created_ms INTEGER NOT NULL, first_ms INTEGER NOT NULL,
        attempt_ms INTEGER NOT NULL, look_ms INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, deadline_ms INTEGER,
        spent INTEGER NOT NULL, revision INTEGER NOT NULL, picture BLOB, PRIMARY KEY(service, key)) STRICT;
    CREATE INDEX post_open ON post(service) WHERE state IN ('pending', 'sending', 'unknown');
    CREATE INDEX post_created ON post(created_ms);
    CREATE INDEX post_first ON post(first_ms);
    -- The troubles that the operator was told of and that last.
    CREATE TABLE alert(name TEXT PRIMARY KEY, text TEXT NOT NULL, since_ms INTEGER NOT NULL) STRICT;
    """,
    """
    -- Events that may be told again with another time (an order standing at each connection, a position sent anew) have
    -- no event time: by this they are found.
    CREATE INDEX liquidation_again ON liquidation(uid) WHERE event_time IS NULL;
    """,
    """
    -- What is suspicious about a venue's events now; see pipeline.suspicion.
    CREATE TABLE suspicion(
        venue TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, since_us INTEGER NOT NULL,
        PRIMARY KEY(venue, kind)) STRICT, WITHOUT ROWID;
    """,
)
VERSION = len(MIGRATIONS)
_NEW = "move it away, or name another file under [DATABASE] path"


def failure(error: apsw.Error | OSError, path: Path, doing: str) -> LedgerError:
    """An error of SQLite or the system in words; `retryable` when the same attempt may succeed later."""
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return LedgerError(
            f"{path} is damaged: {error}",
            hint=f"keep it for repair with sqlite3's .recover, and restore a backup or {_NEW}",
        )
    if isinstance(error, apsw.FullError):
        result = LedgerError(
            f"{doing} {path} failed: the disk is full", hint="make room; nothing is lost meanwhile"
        )
    elif isinstance(error, (apsw.BusyError, apsw.LockedError)):
        result = LedgerError(f"{doing} {path} failed: another process holds it", hint="try again")
    elif isinstance(error, apsw.ReadOnlyError):
        result = LedgerError(
            f"{doing} {path} failed: it is read-only", hint="check the permissions of file and folder"
        )
    elif isinstance(error, (apsw.CantOpenError, PermissionError)):
        result = LedgerError(
            f"{doing} {path} failed: {error}",
            hint="check that the folder exists and that you may write in it",
        )
    else:
        result = LedgerError(f"{doing} {path} failed: {error}", hint="`rekt doctor` checks the disk")
    result.retryable = True
    return result


def open_writer(path: Path) -> apsw.Connection:
    """A connection that may write; makes the folder, the file and what its version lacks. Raises LedgerError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise failure(error, path, "making the folder of") from error
    made = _look(path)
    connection: apsw.Connection | None = None
    try:
        proved = made and not _log(path).exists() and _prove_alone(path)
        connection = apsw.Connection(str(path))
        connection.config(
            apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1
        )  # until it proves sound, nothing is changed
        connection.set_busy_timeout(BUSY_MS)
        if made and not proved:
            _prove(connection, path)
        _migrate(connection, path)
        for pragma in ("synchronous=FULL", "wal_autocheckpoint=0", "temp_store=MEMORY", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA journal_size_limit=16777216")
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    except apsw.Error as error:
        if connection is not None:
            connection.close()
        raise failure(error, path, "opening") from error
    except LedgerError:
        if connection is not None:
            connection.close()
        raise
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """A connection that can't write, to a ledger that is there. Raises LedgerError."""
    if not _look(path):
        raise LedgerError(
            f"nothing is recorded yet: there is no ledger at {path}", hint="`rekt run` makes it"
        )
    try:
        try:
            # Not opened read-only where that can be helped: such a connection leaves -wal and -shm files behind.
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            connection.set_busy_timeout(BUSY_MS)
            connection.execute("PRAGMA query_only=ON")
            version = _pragma(connection, "user_version")
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            connection, version = _open_read_only(path)
    except apsw.Error as error:
        raise failure(error, path, "opening") from error
    if version > VERSION:
        connection.close()
        raise _newer(path, version)
    if version < VERSION:
        connection.close()
        raise LedgerError(
            f"{path} is of an older version ({version}, now {VERSION})",
            hint="`rekt run` brings it up to date",
        )
    return connection


def _open_read_only(path: Path) -> tuple[apsw.Connection, int]:
    """For a file or folder that we may not write: as SQLite can, or as a file that nobody changes."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_MS)
        return connection, _pragma(connection, "user_version")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        if _log(path).exists():
            raise
        connection = _unlocked(path)
        return connection, _pragma(connection, "user_version")


def _unlocked(path: Path) -> apsw.Connection:
    """The file as it stands: no lock, no log, nothing made beside it."""
    uri = path.resolve().as_uri() + "?mode=ro&immutable=1"
    return apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def _pragma(connection: apsw.Connection, name: str) -> int:
    return cast("int", connection.pragma(name))


def _look(path: Path) -> bool:
    """Whether there is a ledger already; raises LedgerError for a file that is none of ours.

    Never opened past SQLite: closing a plain file would drop the locks this process holds on it.
    """
    before = _written(path)
    try:
        if path.is_dir():
            raise LedgerError(f"{path} is a folder, not a ledger", hint="name a file under [DATABASE] path")
        if not path.exists() or path.stat().st_size == 0:
            return False
        if path.stat().st_size < 512:
            raise _no_database(path)
        connection = _unlocked(path)
        try:
            application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
        finally:
            connection.close()
    except apsw.NotADBError as error:
        raise _no_database(path) from error
    except apsw.CorruptError as error:
        if _log(
            path
        ).exists():  # its writer is just copying the log into it: only through the log it is whole
            return True
        if _written(path) != before:  # it was, and its writer has gone
            return _look(path)
        raise failure(error, path, "opening") from error
    except (apsw.Error, OSError) as error:
        raise failure(error, path, "opening") from error
    if application != APPLICATION_ID:
        raise _foreign(path)
    if version > VERSION:
        raise _newer(path, version)
    return True


def _no_database(path: Path) -> LedgerError:
    return LedgerError(f"{path} is no ledger: it is not an SQLite file", hint=_NEW)


def _foreign(path: Path) -> LedgerError:
    return LedgerError(f"{path} is an SQLite database, but not a ledger of ours", hint=_NEW)


def _newer(path: Path, version: int) -> LedgerError:
    return LedgerError(
        f"{path} was written by a newer version of this software (ledger {version}, this one knows {VERSION})",
        hint=f"install the newer version, or {_NEW}",
    )


def _written(path: Path) -> tuple[int, int] | None:
    """When a file was written last (ns), and its size; None where there is none."""
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return None


def _log(path: Path) -> Path:
    return Path(f"{path}-wal")


def _prove_alone(path: Path) -> bool:
    """Prove a ledger that nobody has open, making nothing beside it; False when somebody opened it meanwhile."""
    before = _written(path)
    connection = _unlocked(path)
    try:
        _prove(connection, path)
    except (apsw.Error, LedgerError):
        if _log(path).exists() or _written(path) != before:
            return False
        raise
    finally:
        connection.close()
    return True


def _prove(connection: apsw.Connection, path: Path) -> None:
    """Refuse a damaged ledger before anything is written: small ones whole, large ones at their roots."""
    if (
        version := _pragma(connection, "user_version")
    ) > VERSION:  # told by the log, not yet by the first page
        raise _newer(path, version)
    pages, size = _pragma(connection, "page_count"), _pragma(connection, "page_size")
    if pages * size <= CHECKED_BYTES:
        found = cast("list[tuple[str]]", connection.execute("PRAGMA quick_check(1)").fetchall())
        if found != [("ok",)]:
            raise failure(apsw.CorruptError(found[0][0].splitlines()[-1]), path, "opening")
        return
    if not _log(path).exists() and path.stat().st_size < pages * size:
        raise failure(apsw.CorruptError("the file is shorter than it says"), path, "opening")
    roots: Sequence[tuple[str]] = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
    ).fetchall()  # type: ignore[assignment]  # apsw can't know the columns
    for (table,) in roots:
        connection.execute(f'SELECT * FROM "{table}" LIMIT 1').fetchall()  # noqa: S608 - the schema's own names


def _migrate(connection: apsw.Connection, path: Path) -> None:
    """Bring the file up to VERSION, each step a transaction of its own; two processes may do it at once."""
    while (version := _pragma(connection, "user_version")) < VERSION:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            version = _pragma(connection, "user_version")
            if version == 0 and connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
                raise _foreign(path)  # noqa: TRY301 - rolled back below
            if version < VERSION:
                connection.execute(MIGRATIONS[version])
                now = time.time_ns() // 1000
                connection.execute("INSERT INTO migration VALUES(?, ?)", (version + 1, now))
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if _use_log(connection) != "wal":
        raise LedgerError(f"the file system of {path} can't hold a ledger", hint="use a local disk")
    with suppress(
        apsw.BusyError
    ):  # another recorder is at it: the first page in the file itself tells the version
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _use_log(connection: apsw.Connection) -> object:
    """Switch to write-ahead logging; SQLite doesn't wait for another process by itself here."""
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            return connection.pragma("journal_mode", "wal")
        except (apsw.BusyError, apsw.LockedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
