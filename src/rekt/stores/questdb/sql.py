# ruff: noqa: S608 - what is put together are names of tables and columns, checked before; values go through `text`
"""QuestDB's SQL over plain HTTP (`GET /exec`), with what goes wrong in words."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import httpx

from rekt.errors import StoreError
from rekt.sink import Away
from rekt.wire.tls import client_context

LONG_S = 3600.0  # copying a table


class Place(NamedTuple):
    """Where a server is and which table is meant."""

    url: str  # an origin: no user, no slash at the end
    user: str
    password: str
    table: str

    def __repr__(self) -> str:
        return f"Place({self.url}, {self.table})"  # never the password


class Unreachable(Away):
    """No server answers there (now)."""


class Denied(StoreError):
    """It wants another user or password."""


class Refused(StoreError):
    """It understood and said no: its words are the message."""

    retryable = False


class Sql:
    """One connection to a server, kept open; safe to use again after any failure."""

    def __init__(self, place: Place, *, timeout_s: float = 10.0) -> None:
        self.place = place
        secure = place.url.startswith("https:")
        self._http = httpx.Client(
            base_url=place.url,
            auth=(place.user, place.password) if place.user else None,
            timeout=timeout_s,
            verify=client_context() if secure else False,
            trust_env=False,  # a database is no matter for a proxy; the part that writes heeds none either
        )

    def __call__(self, query: str, *, long: bool = False) -> list[list[Any]]:
        """The rows of a query (none for a statement). Raises Unreachable, Denied or Refused."""
        headers = {"Statement-Timeout": str(round(LONG_S * 1000))} if long else {}
        timeout = httpx.Timeout(LONG_S, connect=10.0) if long else httpx.USE_CLIENT_DEFAULT
        try:
            answer = self._http.get("/exec", params={"query": query}, headers=headers, timeout=timeout)
        except httpx.HTTPError as error:
            raise unreachable(self.place.url, str(error) or type(error).__name__) from error
        if answer.status_code in (401, 403):
            raise denied(self.place)
        try:
            found = answer.json()
        except ValueError:
            raise Refused(
                f"{self.place.url} answers, but not as QuestDB does (HTTP {answer.status_code})",
                hint="[DATABASE] url must name QuestDB's HTTP port",
            ) from None
        if answer.status_code >= 500:
            raise unreachable(self.place.url, f"HTTP {answer.status_code}: {found.get('error', '')}")
        if "error" in found:
            raise Refused(f"QuestDB says: {found['error']}")
        rows: list[list[Any]] = found.get("dataset", [])
        return rows

    def one(self, query: str, *, long: bool = False) -> list[Any]:
        """The only row of a query."""
        (row,) = self(query, long=long)
        return row

    def version(self) -> str:
        """The server's version, such as 9.3.4."""
        build = str(self.one("SELECT build()")[0])
        return build.partition("QuestDB ")[2].partition(",")[0] or build

    def applied(self, *tables: str, timeout_s: float = 10.0) -> bool:
        """Wait until everything acknowledged can be read; False when it takes longer or a table is suspended."""
        deadline = time.monotonic() + timeout_s
        pause = 0.01
        while True:
            rows = self(
                "SELECT suspended, writerTxn, sequencerTxn FROM wal_tables()"
                f" WHERE name IN ({', '.join(map(text, tables))})"
            )
            if any(suspended for suspended, _, _ in rows):
                return False
            if all(written == acknowledged for _, written, acknowledged in rows):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.2)

    def close(self) -> None:
        """Let go of the connection; closing twice is harmless."""
        self._http.close()


def text(value: str) -> str:
    """A text as a literal of SQL.

    >>> print(text("it's"))
    'it''s'
    """
    return "'" + value.replace("'", "''") + "'"


def unreachable(url: str, why: str) -> Unreachable:
    """The error of a server that doesn't answer."""
    return Unreachable(
        f"QuestDB at {url} can't be reached: {why}",
        hint="`rekt questdb start` runs one here; [DATABASE] url names another",
    )


def denied(place: Place) -> Denied:
    """The error of a wrong password."""
    given = f"as user {place.user!r}" if place.user else "without a password"
    return Denied(
        f"QuestDB at {place.url} does not let us in {given}", hint="set [DATABASE] user and password"
    )
