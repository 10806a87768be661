"""A plain client for the simulator's tests: it keeps what it gets and says when."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import picows

from rekt.simulator.truth import Life

STREAMS = "!forceOrder@arr/btcusdt@markPrice@1s"


class Client(picows.WSListener):
    """Frames as (opcode name, bytes), in order; `closed` is set at the end."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, bytes]] = []
        self.times: list[float] = []
        self.closed = asyncio.Event()
        self.close_code: int | None = None
        self.pongs: list[bytes] = []
        self.transport: picows.WSTransport

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is picows.WSMsgType.PONG:
            self.pongs.append(frame.get_payload_as_bytes())
        elif frame.msg_type is picows.WSMsgType.CLOSE:
            self.close_code = int(frame.get_close_code().value)
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            self.frames.append((frame.msg_type.name, frame.get_payload_as_bytes()))
            self.times.append(time.monotonic())

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self.closed.set()

    def say(self, message: object) -> None:
        """Send JSON, or bytes as they are."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.transport.send(picows.WSMsgType.TEXT, data)

    @property
    def texts(self) -> list[bytes]:
        return [data for name, data in self.frames if name == "TEXT"]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The liquidations, out of their envelopes."""
        return [event for event in self._payloads() if event.get("e") == "forceOrder"]

    @property
    def ticks(self) -> list[dict[str, Any]]:
        return [event for event in self._payloads() if event.get("e") == "markPriceUpdate"]

    def _payloads(self) -> list[dict[str, Any]]:
        decoded = [json.loads(text) for text in self.texts]
        return [value.get("data", value) for value in decoded if isinstance(value, dict)]

    async def until(self, condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Wait until a condition holds; a test fails if it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"nothing came of it; {len(self.frames)} frames"
            await asyncio.sleep(0.005)

    async def caught_up(self, life: Life) -> None:
        """Wait until all that the simulator has written to this connection is here."""
        await self.until(lambda: len(self.events) >= life.liquidations and len(self.ticks) >= life.canaries)

    async def answer(self, message: object) -> Any:
        """Say something and return the next text, decoded."""
        before = len(self.texts)
        self.say(message)
        await self.until(lambda: len(self.texts) > before)
        return json.loads(self.texts[before])


@asynccontextmanager
async def connected(
    url: str,
    *,
    pong: bool = True,
    ssl_context: ssl.SSLContext | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> AsyncIterator[Client]:
    """A client of an address."""
    transport, listener = await picows.ws_connect(
        Client,
        url,
        enable_auto_pong=pong,
        ssl_context=ssl_context,
        websocket_handshake_timeout=20,
        extra_headers=list(headers),
    )
    assert isinstance(listener, Client)
    try:
        yield listener
    finally:
        transport.disconnect(graceful=False)
        await listener.closed.wait()
