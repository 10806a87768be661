"""One client's connection: its control frames, the venue's limits on it, and its end."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import picows

from rekt.simulator.faults import Fault
from rekt.simulator.outgoing import PING, PONG, Outgoing
from rekt.simulator.scene import Publication, Session
from rekt.simulator.truth import Life, Record, Sent

CLOSE_DELAY_S = 0.05
"""Between a close frame and the end of the connection: time to read it."""


class Rules(NamedTuple):
    """The limits in force on a connection; times in seconds."""

    messages_per_second: int
    ping_period_s: float
    pong_timeout_s: float
    life_s: float
    silence_s: float | None
    buffer_bytes: int
    slow_reader_s: float | None
    socket_buffer_bytes: int | None


class Connection(picows.WSListener):
    """The server's end of one websocket connection."""

    def __init__(
        self,
        session: Session,
        life: Life,
        *,
        rules: Rules,
        record: Record,
        seed: int,
        now_ms: Callable[[], int],
        opened: Callable[[Connection], None],
        closed: Callable[[Connection], None],
    ) -> None:
        self.session = session
        self.life = life
        self._rules = rules
        self._now_ms = now_ms
        self._opened = opened
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._arrivals: deque[float] = deque()
        self._ping = b""
        self._ending = False
        self._transport: picows.WSTransport | None = None
        self._outgoing = Outgoing(
            session,
            life,
            record,
            random.Random(f"connection {seed} {life.id}"),
            write=self._write,
            overflow=lambda: self.end("reset", "slow reader"),
            buffer_bytes=rules.buffer_bytes,
            now_s=self._loop.time,
            now_ns=time.time_ns,
        )

    # What the server asks

    @property
    def ready(self) -> bool:
        """Whether it is connected and not on its way out."""
        return self._transport is not None and not self._ending and self.life.closed_ms is None

    @property
    def healthy(self) -> bool:
        """Whether it delivers liquidations, and no fault is in force."""
        faultless = self.ready and not self._outgoing.faults
        return faultless and self.session.routed and bool(self.session.streams)

    @property
    def has_delivered(self) -> bool:
        """Whether a first publication has been written."""
        return self.life.liquidations + self.life.canaries > 0

    @property
    def backlog_bytes(self) -> int:
        """What waits here because the client does not read."""
        return 0 if self._transport is None else self._transport.underlying_transport.get_write_buffer_size()

    def publish(self, batch: Sequence[tuple[Publication, Sent | None]]) -> None:
        """Write what this connection gets of a batch."""
        if self.ready:
            self._outgoing.publish(batch)

    def beat(self, now_ms: int) -> None:
        """A second has passed: the venue's own heartbeats, and its patience with the client's."""
        if self.ready:
            self._outgoing.say(self.session.beat(now_ms))
            self._close_if_told()

    def suffer(self, fault: Fault) -> None:
        """Apply a fault to this connection, now."""
        if not self.ready:
            return
        if fault.kind not in self.life.faults:
            self.life.faults += (fault.kind,)
        if fault.kind == "cut":
            self.end(fault.how, "cut", fault.code or 1001)
        elif fault.kind != "shutdown":
            self._outgoing.suffer(fault)
            self._stop(fault.kind)
            if fault.seconds is not None:
                self._later(fault.kind, fault.seconds, lambda: self.recover(fault.kind))

    def recover(self, kind: str | None = None) -> None:
        """End a lasting fault (or all of them)."""
        if self.ready:
            self._outgoing.recover(kind)

    def end(self, how: str, cause: str, code: int = 1001, reason: str = "") -> None:
        """End the connection: `reset`, `fin`, or `close` with a code."""
        if self._transport is None or self.life.closed_ms is not None:
            return
        self.life.cause = self.life.cause or cause
        transport = self._transport
        if how == "close" and "stall" not in self._outgoing.faults and not self._ending:
            transport.send_close(picows.WSCloseCode(code), reason.encode())
            self._later("end", CLOSE_DELAY_S, lambda: transport.disconnect(graceful=False))
        else:
            if how == "reset":
                self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.disconnect(graceful=False)
        self._ending = True

    # What the socket reports

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        if self._rules.socket_buffer_bytes is not None:
            self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._rules.socket_buffer_bytes)
        self._later("life", self._rules.life_s, lambda: self.end("fin", "life"))
        self._later("ping", self._rules.ping_period_s, self._send_ping)
        self._heard()
        self._outgoing.say(self.session.greeting(self._now_ms()))
        self._opened(self)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 (picows' signature)
        for timer in self._timers.values():
            timer.cancel()
        self.life.closed_ms = self._now_ms()
        self.life.cause = self.life.cause or "client"
        self._closed(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:  # noqa: ARG002
        if self._ending:
            return
        if frame.msg_type is picows.WSMsgType.CLOSE:
            self.life.cause = self.life.cause or "client"
            self.life.close_code = int(frame.get_close_code().value)
            self.end("close", "client", 1000)
            return
        self.life.messages += 1
        self._heard()
        if self._too_many():
            self.end("close", "too many messages", 1008, "Too many requests")
            return
        if "stall" in self._outgoing.faults:
            return
        payload = frame.get_payload_as_bytes()
        if frame.msg_type is picows.WSMsgType.PING:
            self._outgoing.reply(PONG, [payload])
        elif frame.msg_type is picows.WSMsgType.PONG:
            if payload == self._ping:
                self.life.pongs += 1
                self._stop("pong")
        else:
            replies = self.session.receive(payload)
            self.life.streams = tuple(self.session.streams)
            self._outgoing.say(replies)
            self._close_if_told()

    def pause_writing(self) -> None:
        self.life.pauses += 1
        if self._rules.slow_reader_s is not None:
            self._later("slow reader", self._rules.slow_reader_s, lambda: self.end("reset", "slow reader"))

    def resume_writing(self) -> None:
        self._stop("slow reader")

    # Inside

    def _socket(self) -> socket.socket:
        assert self._transport is not None  # noqa: S101 (for the type checker: it is connected)
        raw: socket.socket = self._transport.underlying_transport.get_extra_info("socket")
        return raw

    def _close_if_told(self) -> None:
        if self.session.closing is not None:
            self.end("close", self.session.closing, 1008, self.session.closing)

    def _heard(self) -> None:
        if self._rules.silence_s is not None:
            self._later("silence", self._rules.silence_s, lambda: self.end("fin", "client silent"))

    def _too_many(self) -> bool:
        now = self._loop.time()
        self._arrivals.append(now)
        while self._arrivals[0] <= now - 1:
            self._arrivals.popleft()
        return len(self._arrivals) > self._rules.messages_per_second

    def _send_ping(self) -> None:
        self._later("ping", self._rules.ping_period_s, self._send_ping)
        if self.ready:
            self._ping = str(self._now_ms()).encode()
            self.life.pings += 1
            self._outgoing.reply(PING, [self._ping])
            if "pong" not in self._timers:
                self._later("pong", self._rules.pong_timeout_s, lambda: self.end("fin", "no pong"))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._ending:
            self._transport.underlying_transport.write(data)
            if self.backlog_bytes > self._rules.buffer_bytes:
                self.end("reset", "slow reader")

    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._stop(name)

        def fire() -> None:
            self._timers.pop(name, None)
            call()

        self._timers[name] = self._loop.call_later(seconds, fire)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
