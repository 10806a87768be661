"""The simulated exchange: a websocket and HTTP server on one port, and the clock that drives it.

One task wakes every few milliseconds, asks the source (synthetic market or tape) and the canary what is
due, and hands the batch to every connection. Everything runs on one event loop; `threaded.py` puts it in
a thread of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from functools import partial
from heapq import merge
from http import HTTPStatus
from types import TracebackType
from typing import Any

import picows

from rekt.simulator.connection import Connection, Rules
from rekt.simulator.faults import Fault, Step, Target
from rekt.simulator.handshake import json_response, mangled
from rekt.simulator.injection import Injection
from rekt.simulator.options import Clock, Options
from rekt.simulator.port import ListeningPort
from rekt.simulator.scene import Kind, Publication, load
from rekt.simulator.source import Source, source_of
from rekt.simulator.truth import Counts, Life, Record, Sent

IDLE_S = 0.05
"""The longest sleep: how late a pause or a step of the clock is noticed."""


def steady_clock() -> Clock:
    """Unix milliseconds that never go back: the machine's time at this moment, then the monotonic clock."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset_ns) // 1_000_000


class Simulator:
    """A fake exchange on loopback: `async with Simulator(options) as exchange: …`."""

    def __init__(self, options: Options = Options(), script: Iterable[Step] = ()) -> None:  # noqa: B008 (frozen)
        self.options = options
        self.scene = load(options)
        self.now_ms: Clock = options.clock or steady_clock()
        self.record = Record(options.keep_sent)
        self.http_status = 200
        """What documents are answered with; anything but 200 is an error without a body."""
        limits = self.scene.limits
        self._rules = Rules(
            options.messages_per_second or limits.messages_per_second,
            options.ping_period_s or limits.ping_period_s,
            options.pong_timeout_s or limits.pong_timeout_s,
            options.life_s or limits.life_s,
            limits.silence_s,
            options.buffer_bytes,
            options.slow_reader_s,
            options.socket_buffer_bytes,
        )
        self._script = list(script)
        self._lives: list[Life] = []
        self._opened: list[float] = []  # when (monotonic), as far back as the venue's limit looks
        self._open: dict[int, Connection] = {}
        self._port = ListeningPort(options, self._answer)
        self._injection = Injection(self._open, self._port, options.seed)
        self._task: asyncio.Task[None] | None = None
        self._played = asyncio.Event()
        self._source: Source | None = None
        self._second = 0

    # Addresses

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def ws_url(self) -> str:
        """The address that delivers, without streams."""
        return f"{self._origin('ws')}{self.scene.ws_path}"

    @property
    def retired_url(self) -> str:
        """The address that accepts everything and delivers nothing."""
        return f"{self._origin('ws')}{self.scene.retired_path}"

    @property
    def rest_url(self) -> str:
        """The origin of the instrument documents."""
        return self._origin("http")

    def _origin(self, scheme: str) -> str:
        return f"{scheme}{'s' if self.options.ssl_context else ''}://{self.options.host}:{self.port}"

    # Life

    async def start(self) -> None:
        """Listen, and start the market, the canary and the script."""
        await self._port.open()
        self._second = self.now_ms() // 1000
        self._source = source_of(self.options, self.scene, self.now_ms(), self.record.counts)
        self._task = asyncio.create_task(self._run(self._source))
        for step in self._script:
            self._injection.later(step.at_s, partial(self.fault, step.fault, step.connection, step.spare))

    async def stop(self) -> None:
        """Close every connection (code 1001) and the port."""
        self._injection.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._port.close()
        for connection in list(self._open.values()):
            connection.end("close", "stop", 1001)
        for _ in range(40):
            if not self._open:
                break
            await asyncio.sleep(0.01)

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # What happened

    @property
    def connections(self) -> tuple[Life, ...]:
        """Every connection so far, in the order of their opening."""
        return tuple(self._lives)

    @property
    def sent(self) -> tuple[Sent, ...]:
        """The liquidations published so far (the last ones, where `keep_sent` bounds them)."""
        return tuple(self.record)

    @property
    def counts(self) -> Counts:
        return self.record.counts

    async def played(self) -> None:
        """Wait until the tape has been written to its end."""
        await self._played.wait()

    # What to do

    def send(self, frame: bytes) -> Sent | None:
        """Publish a frame now, as the venue would; returns its truth, or None if it is no liquidation.

        Bytes the scene does not know (hostile ones) go to every connection as they are.
        """
        publication = self.scene.frame(frame)
        if publication is None:
            publication = Publication(Kind.NOTICE, (), frame, self.now_ms())
        return self._publish([publication])[0][1]

    def fault(
        self, fault: Fault | str, connection: Target = "open", spare: int = 0, **figures: Any
    ) -> tuple[int, ...]:
        """Do harm, as `faults.KINDS` says; returns the ids of the open connections it hit.

        With `connection="one"` nothing happens unless more than `spare` healthy connections are there.
        """
        if isinstance(fault, str):
            fault = Fault(fault, **figures)
        hit = self._injection.apply(fault, connection, spare)
        if fault.kind == "shutdown":
            for target in hit:
                target.publish([(self.scene.shutdown_notice(self.now_ms()), None)])
        return tuple(target.life.id for target in hit)

    def cut(self, connection: Target = "open", how: str = "reset", code: int = 1001) -> tuple[int, ...]:
        """End connections; the same as the fault of that name."""
        return self.fault(Fault("cut", how=how, code=code), connection)

    def clear(self, kind: str | None = None) -> None:
        """End a lasting fault everywhere, or all of them."""
        self._injection.clear(kind)

    # Inside: time

    async def _run(self, source: Source) -> None:
        tick_ns = int(self.options.tick_s * 1e9)
        while True:
            started_ns = time.monotonic_ns()
            now_ms = self.now_ms()
            subscribers = [c for c in self._open.values() if c.session.routed and c.session.streams]
            batch = source.due(now_ms, len(subscribers), paused=self._paused())
            # A merge keeps the order of a tape, whatever times it holds.
            self._publish(list(merge(batch, self._canary(now_ms), key=lambda p: p.event_time_ms)))
            if source.finished:
                self._played.set()
            spent_ns = time.monotonic_ns() - started_ns
            wait_s = min(IDLE_S, max(0.0, (source.next_ms - now_ms) / 1000), (1000 - now_ms % 1000) / 1000)
            await asyncio.sleep(max(wait_s, (tick_ns - spent_ns) / 1e9, 0.0005))

    def _publish(self, batch: Sequence[Publication]) -> list[tuple[Publication, Sent | None]]:
        event = self.record.event
        noted = [
            (p, event(p.payload, p.event_time_ms) if p.kind is Kind.LIQUIDATION else None) for p in batch
        ]
        for connection in list(self._open.values()):
            connection.publish(noted)
        return noted

    def _canary(self, now_ms: int) -> list[Publication]:
        second = now_ms // 1000
        if second == self._second:
            return []
        self._second = second
        for connection in list(self._open.values()):
            connection.beat(second * 1000)
        if self._source is None or self._source.ticks:
            return []
        streams = {name for connection in self._open.values() for name in connection.session.streams}
        return self.scene.canary(streams, second * 1000, self._source.market.price)

    def _paused(self) -> bool:
        """Whether some connection has so much waiting that a tape at full speed had better wait."""
        return any(connection.backlog_bytes > 65536 for connection in self._open.values())

    # Inside: connections

    def _answer(self, request: picows.WSUpgradeRequest) -> Any:
        """The answer to an HTTP request: a document, a refusal, or a connection."""
        path = request.path.decode("latin-1")
        if "upgrade" not in request.headers:
            body = self.scene.document(path, self.now_ms()) if self.http_status == 200 else b""
            self.record.counts.documents += body is not None and self.http_status == 200
            return json_response(
                self.http_status if body is not None else HTTPStatus.NOT_FOUND, body or b"{}"
            )
        if self._injection.refusal is not None:
            self.record.counts.refused += 1
            return mangled(self._injection.refusal, self._port.silent())
        session = self.scene.session(path)
        if isinstance(session, str):
            return json_response(HTTPStatus.BAD_REQUEST, session.encode())
        if not self._may_open():
            self.record.counts.refused += 1
            return json_response(HTTPStatus.TOO_MANY_REQUESTS, b"{}")
        headers = {name.lower(): value for name, value in request.headers.items()}
        session.meet(headers)
        life = Life(
            len(self._lives) + 1,
            path,
            self.now_ms(),
            session.routed,
            headers,
            tuple(session.streams),
        )
        self._lives.append(life)
        return Connection(
            session,
            life,
            rules=self._rules,
            record=self.record,
            seed=self.options.seed,
            now_ms=self.now_ms,
            opened=self._on_opened,
            closed=self._on_closed,
        )

    def _may_open(self) -> bool:
        """Whether the venue's limit lets another connection in; then it counts."""
        if self.scene.limits.openings is not None:
            most, seconds = self.scene.limits.openings
            now = time.monotonic()
            self._opened = [at for at in self._opened if at > now - seconds]
            if len(self._opened) >= most:
                return False
            self._opened.append(now)
        return True

    def _on_opened(self, connection: Connection) -> None:
        self._open[connection.life.id] = connection
        self._injection.greet(connection)

    def _on_closed(self, connection: Connection) -> None:
        self._open.pop(connection.life.id, None)
