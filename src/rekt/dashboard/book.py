"""What the dashboard asks of a ledger, and threads that ask: each has a reader of its own, none waits for another."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeVar

from rekt.errors import LedgerError
from rekt.model import Connection, Liquidation, Side, Suspicion, Window
from rekt.publisher import Entry
from rekt.store import Counters, Facts, QualityFacts, Row, Run

THREADS = 4
Place = tuple[int, bytes]  # trade time, uid
T = TypeVar("T")


class Book(Facts, QualityFacts, Protocol):
    """A ledger, for reading."""

    path: Path

    def newest(
        self,
        window: Window | None = None,
        *,
        before: Place | None = None,
        limit: int = 100,
        venue: str | None = None,
        symbol: str | None = None,
        side: Side | None = None,
        min_usd: Decimal | int | None = None,
    ) -> tuple[list[Liquidation], Place | None]:
        """A page of events, newest first, and the place to go on before."""
        ...

    def after(self, seq: int, limit: int = 5_000) -> list[Row]:
        """Rows inserted or changed after a place in the ledger, in that order."""
        ...

    def last_seq(self) -> int:
        """The highest place in the ledger."""
        ...

    def runs(self) -> list[Run]:
        """Every run."""
        ...

    def counters(self) -> Counters:
        """Frames by outcome."""
        ...

    def connections(self, window: Window | None) -> list[Connection]:
        """Connections whose life touches the window (None: all), oldest first."""
        ...

    def rows(self) -> int:
        """How many events."""
        ...

    def size(self) -> int:
        """Bytes on disk."""
        ...

    def last_trade_time(self) -> int | None:
        """When the latest event was traded, ms."""
        ...

    def last_template(self, service: str, before_key: str) -> str:
        """What the newest post but this one was made from; a service of "" stands for all."""
        ...

    def posts(self, count: int = 20) -> list[Entry]:
        """The newest entries of the outbox."""
        ...

    def open_posts(self) -> int:
        """How many entries are not settled."""
        ...

    def spent(self, now_ms: int) -> dict[str, int]:
        """Micro-dollars by service spent in this month (UTC)."""
        ...

    def alerts(self) -> dict[str, tuple[str, int]]:
        """The troubles that last: name → text and since when (ms)."""
        ...

    def suspicions(self) -> list[Suspicion]:
        """What is suspicious about venues now."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Shelf:
    """Runs questions in a few threads. A ledger that was replaced by another file is opened anew."""

    def __init__(self, open_book: Callable[[], Book], path: Path) -> None:
        self._open = open_book
        self._path = path
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reader")
        self._own = threading.local()

    async def ask(self, question: Callable[[Book], T]) -> T:
        """The answer to a question. Raises LedgerError where the ledger can't be read."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, question)

    async def timed(self, question: Callable[[Book], T]) -> tuple[T, float]:
        """The answer, and the processor time that it took, s. Raises LedgerError."""

        def look(book: Book) -> tuple[T, float]:
            began = time.thread_time()
            return question(book), time.thread_time() - began

        return await self.ask(look)

    def close(self) -> None:
        """Let the questions that were begun end; take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, question: Callable[[Book], T]) -> T:
        return question(self._book())

    def _book(self) -> Book:
        file = self._file()
        held: tuple[Book, tuple[int, int] | None] | None = getattr(self._own, "held", None)
        if held is not None and held[1] == file:
            return held[0]
        if held is not None:
            with suppress(LedgerError):
                held[0].close()
            self._own.held = None
        book = self._open()
        self._own.held = (book, file)
        return book

    def _file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - the hot path
        except OSError:
            return None
        return found.st_dev, found.st_ino
