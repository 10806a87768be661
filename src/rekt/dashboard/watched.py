"""What answers slowly, or not at all: asked again and again in a thread of its own, which nobody ever waits for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from rekt.errors import RektError

log = logging.getLogger("rekt.dashboard")

PAUSE_S: Final = 2.0
SHARE: Final = 20  # it rests so many times as long as it took
FIRST_S: Final = 3.0  # the first answer is waited for

Object = dict[str, Any]


class Watched:
    """The latest answer of a question."""

    def __init__(self, ask: Callable[[], Object]) -> None:
        self._ask = ask
        self._answer: Object | None = None
        self._first = threading.Event()
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="watched", daemon=True).start()

    def latest(self) -> Object | None:
        """What was answered last; None where nothing was, and after a moment's wait still is not."""
        self._first.wait(FIRST_S)
        return self._answer

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._answer = self._ask()
            except RektError as error:
                log.debug("%s", error)
            self._first.set()
            self._stop.wait(max(PAUSE_S, SHARE * (time.monotonic() - began)))
