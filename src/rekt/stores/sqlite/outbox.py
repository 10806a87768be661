# ruff: noqa: S608 - what is put together are the names of columns; every value is bound
"""The outbox: every post to every service, in the ledger (or a file like it). Short transactions of a connection of its own."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import apsw

from rekt.publisher import Entry
from rekt.stores.sqlite.schema import failure, open_writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLL_S = 0.1
_COLUMNS = ", ".join(Entry._fields)
_OPEN = "state IN ('pending', 'sending', 'unknown')"


class Outbox:
    """Entries by service and key. Everything is durable when a method returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_writer(path)

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        self._connection.close()

    def add(self, entry: Entry, picture: bytes | None = None) -> Entry:
        """Keep a new entry; the one that is there already where there is one: a post is rendered once."""
        places = ", ".join("?" * (len(Entry._fields) + 1))
        self._rows(
            f"INSERT INTO post({_COLUMNS}, picture) VALUES({places}) ON CONFLICT DO NOTHING",
            *entry, picture,
        )  # fmt: skip
        return cast("Entry", self.entry(entry.service, entry.key))

    def entry(self, service: str, key: str) -> Entry | None:
        """One entry."""
        found = self._rows(f"SELECT {_COLUMNS} FROM post WHERE service = ? AND key = ?", service, key)
        return Entry(*found[0]) if found else None

    def picture(self, service: str, key: str) -> bytes | None:
        """Its picture, while it is not settled."""
        found = self._rows("SELECT picture FROM post WHERE service = ? AND key = ?", service, key)
        return cast("bytes | None", found[0][0]) if found else None

    def save(self, entry: Entry) -> Entry | None:
        """Store a changed entry; None when it was changed since it was read. A sent post's picture is let go."""
        following = entry._replace(revision=entry.revision + 1)
        names = ", ".join(f"{name} = ?" for name in Entry._fields)
        self._rows(
            f"UPDATE post SET {names}, picture = iif(?, NULL, picture)"
            " WHERE service = ? AND key = ? AND revision = ?",
            *following, entry.state == "sent", entry.service, entry.key, entry.revision,
        )  # fmt: skip
        return following if self._connection.changes() else None

    def replace(self, entry: Entry, picture: bytes | None) -> Entry | None:
        """Store an entry that is rendered anew because it was never tried."""
        saved = self.save(entry)
        if saved is not None:
            self._rows(
                "UPDATE post SET picture = ? WHERE service = ? AND key = ? AND revision = ?",
                picture, saved.service, saved.key, saved.revision,
            )  # fmt: skip
        return saved

    def open_entries(self, service: str) -> list[Entry]:
        """Those that are not settled, oldest first."""
        found = self._rows(
            f"SELECT {_COLUMNS} FROM post WHERE service = ? AND {_OPEN} ORDER BY created_ms, key",
            service,
        )
        return [Entry(*row) for row in found]

    def last_hour(self, service: str, before_key: str) -> str | None:
        """The newest hour before this one that is known."""
        found = self._rows(
            "SELECT max(key) FROM post WHERE service = ? AND key < ? AND key GLOB '2*-*T*'",
            service,
            before_key,
        )
        return cast("str | None", found[0][0])

    def free_ms(self, service: str) -> int:
        """When the service's own limits allow the next post."""
        found = self._rows(
            "SELECT max(not_before_ms) FROM post WHERE service = ? AND state = 'sent'", service
        )
        return cast("int | None", found[0][0]) or 0

    def spent(self, service: str, month_ms: int) -> int:
        """Micro-dollars spent in the month (UTC) of this time."""
        return spent(self._connection, month_ms).get(service, 0)

    def last_template(self, service: str, before_key: str) -> str:
        """What the newest post but this one was made from."""
        return last_template(self._connection, service, before_key)

    def forget_pictures(self, before_ms: int) -> None:
        """Let the pictures go of what is older and settled."""
        self._rows(
            f"UPDATE post SET picture = NULL WHERE picture IS NOT NULL AND created_ms < ? AND NOT {_OPEN}",
            before_ms,
        )

    def raise_alert(self, name: str, text: str, now_ms: int) -> bool:
        """Note a trouble; whether it is new."""
        self._rows(
            "INSERT INTO alert(name, text, since_ms) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
            name,
            text,
            now_ms,
        )
        return bool(self._connection.changes())

    def clear_alert(self, name: str) -> bool:
        """Note that a trouble is over; whether there was one."""
        self._rows("DELETE FROM alert WHERE name = ?", name)
        return bool(self._connection.changes())

    def alerts(self) -> dict[str, tuple[str, int]]:
        """The troubles that last: name → text and since when."""
        found = self._rows("SELECT name, text, since_ms FROM alert ORDER BY since_ms")
        return {name: (text, since) for name, text, since in found}

    @contextmanager
    def alone(self, service: str, until_s: float) -> Iterator[bool]:
        """Be the only process at work for a service; False when another still is at this time (monotonic)."""
        lock = self.path.with_name(f"{self.path.name}.post-{service}")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            mine = False
            while not mine:
                with suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    mine = True
                if not mine:
                    if time.monotonic() + POLL_S >= until_s:
                        break
                    time.sleep(POLL_S)
            yield mine
        finally:
            os.close(descriptor)

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise failure(error, self.path, "writing") from error


def last_template(connection: apsw.Connection, service: str, before_key: str) -> str:
    """What the newest post but this one was made from; a service of "" stands for all."""
    found: Any = connection.execute(
        "SELECT template FROM post WHERE ?1 IN ('', service) AND template != '' AND key != ?2"
        " ORDER BY created_ms DESC, key DESC LIMIT 1",
        (service, before_key),
    ).fetchall()
    return str(found[0][0]) if found else ""


def spent(connection: apsw.Connection, month_ms: int) -> dict[str, int]:
    """Micro-dollars by service spent in the month (UTC) of this time: by when a post was tried first."""
    now = datetime.fromtimestamp(month_ms / 1000, UTC)
    start = datetime(now.year, now.month, 1, tzinfo=UTC)
    end = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    rows: Any = connection.execute(
        "SELECT service, sum(spent) FROM post WHERE first_ms >= ? AND first_ms < ? GROUP BY service",
        (round(start.timestamp() * 1000), round(end.timestamp() * 1000)),
    ).fetchall()
    return {service: total for service, total in rows if total}
