"""The simulator in a thread of its own, for tests and programs that are not asynchronous."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rekt.simulator.faults import Fault, Step, Target
from rekt.simulator.options import Options
from rekt.simulator.server import Simulator
from rekt.simulator.truth import Counts, Life, Sent

T = TypeVar("T")
CALL_TIMEOUT_S = 10.0


class SimulatorThread:
    """A running simulator whose methods may be called from any thread."""

    def __init__(self, options: Options, script: Iterable[Step] = ()) -> None:
        self._options = options
        self._script = list(script)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._simulator: Simulator | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Close everything; what happened can still be read."""
        if self._thread.is_alive() and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CALL_TIMEOUT_S)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 (handed to the thread that waits in start)
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._simulator = Simulator(self._options, self._script)
        async with self._simulator:
            self._ready.set()
            await self._stop.wait()

    def _call(self, call: Callable[[], T]) -> T:
        async def inside() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(CALL_TIMEOUT_S)

    @property
    def simulator(self) -> Simulator:
        """The simulator itself; call it on its own thread only, except for what merely reads."""
        if self._simulator is None:
            raise RuntimeError("not started")
        return self._simulator

    @property
    def ws_url(self) -> str:
        return self.simulator.ws_url

    @property
    def retired_url(self) -> str:
        return self.simulator.retired_url

    @property
    def rest_url(self) -> str:
        return self.simulator.rest_url

    @property
    def port(self) -> int:
        return self.simulator.port

    @property
    def connections(self) -> tuple[Life, ...]:
        """Copies: what they say was true at this moment."""
        return tuple(dataclasses.replace(life) for life in self.simulator.connections)

    @property
    def sent(self) -> tuple[Sent, ...]:
        if not self._thread.is_alive():
            return self.simulator.sent
        return self._call(lambda: self.simulator.sent)

    @property
    def counts(self) -> Counts:
        return dataclasses.replace(self.simulator.counts)

    def send(self, frame: bytes) -> Sent | None:
        """See `Simulator.send`."""
        return self._call(lambda: self.simulator.send(frame))

    def fault(
        self, fault: Fault | str, connection: Target = "open", spare: int = 0, **figures: Any
    ) -> tuple[int, ...]:
        """See `Simulator.fault`."""
        return self._call(lambda: self.simulator.fault(fault, connection, spare, **figures))

    def cut(self, connection: Target = "open", how: str = "reset", code: int = 1001) -> tuple[int, ...]:
        """See `Simulator.cut`."""
        return self._call(lambda: self.simulator.cut(connection, how, code))

    def clear(self, kind: str | None = None) -> None:
        """See `Simulator.clear`."""
        self._call(lambda: self.simulator.clear(kind))

    def unlist(self, *symbols: str) -> None:
        """Take symbols out of the instrument documents, although they trade."""
        self._call(lambda: self.simulator.scene.unlisted.update(symbols))

    def relist(self, *symbols: str) -> None:
        """Put symbols back into the documents (all of them, if none is named)."""
        unlisted = self.simulator.scene.unlisted
        self._call(lambda: unlisted.difference_update(symbols or tuple(unlisted)))

    def answer_documents(self, http_status: int) -> None:
        """Answer document requests with this status from now on; 200 serves them again."""
        self._call(lambda: setattr(self.simulator, "http_status", http_status))

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Wait until a condition on this simulator holds; False if it does not in time."""
        pause = threading.Event()
        for _ in range(max(1, int(timeout_s / 0.01))):
            if condition():
                return True
            pause.wait(0.01)
        return condition()

    def wait_played(self, timeout_s: float = 30.0) -> bool:
        """Wait until the tape has been written to its end; False if it has not in time."""
        done = asyncio.run_coroutine_threadsafe(self.simulator.played(), self._loop)
        try:
            done.result(timeout_s)
        except TimeoutError:
            done.cancel()
            return False
        return True


@contextmanager
def simulated(
    options: Options | None = None, *, script: Iterable[Step] = (), **changes: Any
) -> Iterator[SimulatorThread]:
    """A simulator in a thread, for the length of a `with`; `changes` are fields of `Options`."""
    simulator = SimulatorThread(dataclasses.replace(options or Options(), **changes), script)
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()
