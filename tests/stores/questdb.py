"""A real QuestDB for the tests: started once, by the code of `rekt questdb start`, on free ports of loopback."""

from __future__ import annotations

import atexit
import os
import tempfile
import time
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from rekt import groups
from rekt.errors import StoreError
from rekt.model import Liquidation
from rekt.pipeline.shipper import Shipper
from rekt.store import Appended, Batch
from rekt.stores.questdb.reads import QuestDBReader
from rekt.stores.questdb.server import Running, Server
from rekt.stores.questdb.sql import Place, Sql
from rekt.stores.sqlite import Ledger
from rekt.stores.sqlite.sinks import Follower, Marks

_tables = count(1)


def obtain(server: Server, *, password: bool = True) -> Running:
    """Start a server, or skip the test loudly; where CI=true, fail it."""
    try:
        for group in ("questdb", "questdb-server"):
            groups.need(group, "the QuestDB tests")
        return server.start(0, password=password)
    except (groups.GroupError, StoreError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"NO QUESTDB SERVER: {error}")
        pytest.skip(f"NO QUESTDB SERVER, NOT TESTED: {error}")


@cache
def running() -> Running:
    """The server that tests share; each uses tables of its own."""
    folder = tempfile.TemporaryDirectory(prefix="rekt-questdb-")
    server = Server(Path(folder.name))

    def end() -> None:
        server.stop()
        folder.cleanup()

    atexit.register(end)
    os.environ["QDB_DEV_MODE_ENABLED"] = "true"  # lets a test suspend a table
    try:
        return obtain(server)
    finally:
        del os.environ["QDB_DEV_MODE_ENABLED"]


def place(table: str = "") -> Place:
    """A table of its own on the shared server."""
    found = running()
    return Place(found.url, found.user, found.password, table or f"t{next(_tables)}")


class Shipped:
    """A ledger and the QuestDB behind it as one store: what is appended can be asked for at the server."""

    def __init__(self, folder: Path, where: Place | None = None) -> None:
        self.place = where or place()
        from rekt.stores.questdb.sink import QuestDB  # its packages are there by now

        path = folder / f"{self.place.table}.db"
        self.ledger, self.marks, self.source = Ledger(path), Marks(path), Follower(path)
        self.sink = QuestDB(lambda: self.place)
        self.shipper = Shipper(self.source, self.marks, self.sink)
        self._reader: QuestDBReader | None = None

    def append(self, batch: Batch) -> Appended:
        done = self.ledger.append(batch)
        self.ship()
        return done

    def ship(self) -> None:
        """Have all of the ledger readable at the server."""
        assert self.shipper.catch_up(time.monotonic() + 30)
        assert self.sink.settled(30)
        assert self.sink._sql.applied(*self.sink._names[:6], timeout_s=30)

    @property
    def reader(self) -> QuestDBReader:
        """The reading side."""
        if self._reader is None:
            self.ship()
            self._reader = QuestDBReader(self.place)
        return self._reader

    def __getattr__(self, name: str) -> object:
        return getattr(self.reader, name)

    def sql(self) -> Sql:
        """The server's SQL."""
        return Sql(self.place)

    def close(self) -> None:
        for part in (self._reader, self.sink, self.source, self.marks, self.ledger):
            if part is not None:
                part.close()


def by_key(events: list[Liquidation]) -> list[Liquidation]:
    """Events as a listing orders them."""
    return sorted(events, key=lambda one: (one.trade_time, one.uid))
