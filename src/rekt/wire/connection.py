"""One websocket connection: thin over picows, frames out in batches.

    connection = await Connection.open(url, messages=[b'{"method":"SUBSCRIBE",...}'])
    async for batch in connection.batches():      # every frame of one read, no awaiting in between
        for received_us, data in batch: ...
    print(connection.disconnected)

What picows does by itself: answers pings with the same payload, refuses masked, malformed and too large frames (it
cuts 10 ms after the header of one; a little too large a frame that came whole by then is still given). What it leaves
to us: putting fragments together, answering a close frame, telling people why nothing could be opened.

`pause` stops reading from the socket, so that the exchange's sends wait in TCP's windows and nothing is lost. No frame
comes after it but those of a read that had begun, which is one batch. What a read may bring is what waited in the
socket: picows' buffer begins at 16 KiB and doubles when a read fills it, up to the system's receive buffer (measured
at full speed over loopback: batches of 4.6 MiB plain, 0.5 MiB over TLS). A queue that pauses needs so much headroom.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from logging import CRITICAL, getLogger

from picows import (
    WSCloseCode,
    WSFrame,
    WSHandshakeError,
    WSInvalidURL,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
)

from rekt.errors import WireError
from rekt.wire.address import place, place_of_proxy, proxy_for, shown
from rekt.wire.frame import Disconnected, Frame
from rekt.wire.tls import client_context, failure

FROM_ENVIRONMENT = "environment"  # the proxy is the one that the environment names
MAX_FRAME = 4 * 1024 * 1024  # bytes; the venues' largest documented frames are a few hundred KiB
CLOSE_S = 0.9  # so long the other side may take to answer a close frame
PAUSE_BLAME_S = 2.0  # a cut so soon after reading went on again came while we were not reading
HAPPY_EYEBALLS_S = 0.25  # an address family that does not answer costs so much, not the whole time-out

_SILENT = getLogger("rekt.wire.picows")
_SILENT.setLevel(CRITICAL + 1)  # what picows would log is told by exceptions and `Disconnected`
_TEXT = WSMsgType.TEXT
_now_ns = time.time_ns
_new = tuple.__new__  # a Frame in a third less time than by its own constructor


class Connection:
    """An open connection; `disconnected` says why once it no longer is. One consumer, one thread."""

    def __init__(self, url: str, transport: WSTransport, listener: _Listener) -> None:
        self.url = shown(url)
        self.opened_us = time.time_ns() // 1000
        self._transport = transport
        self._listener = listener

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        messages: Sequence[bytes] = (),
        headers: Mapping[str, str] | None = None,
        proxy: str | None = FROM_ENVIRONMENT,
        ssl_context: ssl.SSLContext | None = None,
        timeout_s: float = 10.0,
        max_frame: int = MAX_FRAME,
    ) -> Connection:
        """Connect, shake hands and send `messages`. Raises WireError: a sentence on what failed, and where.

        `proxy` is a URL, or None for a direct way. Redirects are not followed.
        """
        if proxy == FROM_ENVIRONMENT:
            proxy = proxy_for(url, os.environ)
        if proxy is not None:  # picows knows one name for it, and lets the proxy resolve names in any case
            proxy = proxy.replace("socks5h://", "socks5://", 1)
        if ssl_context is None and url.startswith("wss:"):
            ssl_context = client_context()
        try:
            async with asyncio.timeout(timeout_s):
                transport, listener = await ws_connect(
                    lambda: _Listener(max_frame),
                    url,
                    ssl_context=ssl_context,
                    websocket_handshake_timeout=0.8 * timeout_s,  # it then closes; a cancelled wait would not
                    logger_name=_SILENT,
                    max_frame_size=max_frame,
                    extra_headers=headers,
                    max_redirects=0,
                    proxy=proxy,
                    happy_eyeballs_delay=HAPPY_EYEBALLS_S,
                )
        except Exception as error:  # noqa: BLE001 - whatever stands in the way is a WireError with a sentence
            raise refusal(error, url, proxy, timeout_s) from None  # the cause's own text may hold credentials
        if not isinstance(listener, _Listener):  # picows: the socket ended before the handshake did
            raise WireError(f"{place(url)} hung up during the websocket handshake")
        connection = cls(url, transport, listener)
        for message in messages:
            connection.send(message)
        return connection

    @property
    def disconnected(self) -> Disconnected | None:
        """Why it ended; None while it is open."""
        return self._listener.disconnected

    @property
    def paused(self) -> bool:
        """Whether reading is stopped."""
        return self._listener.paused

    @property
    def last_frame_us(self) -> int | None:
        """When the last frame was received."""
        frames = self._listener.frames
        return frames[-1].received_us if frames else self._listener.last_us

    async def batches(self) -> AsyncIterator[list[Frame]]:
        """The frames, those of one read together; ends when the connection has and all of them were given."""
        listener = self._listener
        while True:
            if listener.frames:
                batch, listener.frames = listener.frames, []
                listener.last_us = batch[-1].received_us
                yield batch
            elif listener.disconnected is None:
                listener.waiter = asyncio.get_running_loop().create_future()
                try:
                    await listener.waiter
                finally:
                    listener.waiter = None
            else:
                return

    def send(self, message: bytes) -> None:
        """Send one text frame. Nothing happens once the connection has ended."""
        if self.disconnected is None:
            self._transport.send(WSMsgType.TEXT, message)

    def ping(self) -> None:
        """Send one ping frame; the answer says nothing that the canary does not."""
        if self.disconnected is None:
            self._transport.send_ping()

    def pause(self) -> None:
        """Stop reading from the socket. Pings go unanswered meanwhile, and a cut is noticed only on `resume`."""
        if not self.paused and self.disconnected is None:
            self._listener.paused = True
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        """Read on: what waited in the socket comes first, in order."""
        if self.paused and self.disconnected is None:
            self._listener.paused = False
            self._listener.resumed = time.monotonic()
            self._transport.underlying_transport.resume_reading()

    async def close(self, cause: str, detail: str = "") -> None:
        """End with a close handshake, in at most a second. Frames that still come meanwhile are given as well."""
        listener = self._listener
        if listener.disconnected is not None:
            return
        listener.ending = listener.ending or Disconnected(cause, detail or "we closed it")
        try:
            self._transport.send_close(WSCloseCode.OK)
            if listener.paused:  # the answer would not be read
                self._transport.disconnect()
            async with asyncio.timeout(CLOSE_S):
                await listener.ended.wait()
        except TimeoutError:
            pass
        finally:
            self.abort(cause, detail)

    def abort(self, cause: str, detail: str = "") -> None:
        """End at once, without a handshake."""
        self._transport.disconnect(graceful=False)
        self._listener.end(Disconnected(cause, detail or "we dropped it"))


class _Listener(WSListener):
    """Collects frames, wakes the consumer with the first of each read, and finds out why it all ended."""

    def __init__(self, max_frame: int) -> None:
        self.frames: list[Frame] = []
        self.waiter: asyncio.Future[None] | None = None  # the consumer waits here
        self.last_us: int | None = None
        self.paused = False
        self.resumed = -PAUSE_BLAME_S  # monotonic seconds
        self.ending: Disconnected | None = None  # what we are ending it for
        self.disconnected: Disconnected | None = None
        self.ended = asyncio.Event()
        self._max_frame = max_frame
        self._parts: bytearray | None = None  # of a fragmented message

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Keep a frame: what happens here, happens for each of them."""
        if frame.msg_type is _TEXT and frame.fin:
            frames = self.frames
            if not frames:
                self._wake()
            frames.append(_new(Frame, (_now_ns() // 1000, frame.get_payload_as_bytes())))
        else:
            self._rarer(transport, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is gone: by us, by the other side, or by picows for a frame it refused."""
        sent = getattr(transport.close_handshake, "sent", None)  # None where none was begun
        if self.ending is None and sent is not None:
            asyncio.get_running_loop().create_task(_retrieve(transport))
            large = sent.code == WSCloseCode.MESSAGE_TOO_BIG
            cause = "frame too large" if large else "protocol error"
            self.end(Disconnected(cause, f"we cut it: {sent.reason}"))
        else:
            self.end(self._cut("it broke off without a close frame"))

    def end(self, disconnected: Disconnected) -> None:
        """Note why it ended; the first reason stays."""
        if self.disconnected is None:
            self.disconnected = self.ending or disconnected
            self.ended.set()
            self._wake()

    def _rarer(self, transport: WSTransport, frame: WSFrame) -> None:
        """Binary frames, fragments, the close frame. Pings are answered by picows; a pong says nothing."""
        kind = frame.msg_type
        if kind is WSMsgType.CLOSE:
            self._closed_by_peer(transport, frame)
            return
        if kind is WSMsgType.PONG:
            return
        if (kind is WSMsgType.CONTINUATION) is (self._parts is None):
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "fragments out of order")
        message = self._parts = bytearray() if self._parts is None else self._parts
        message += frame.get_payload_as_memoryview()
        if len(message) > self._max_frame:
            large = f"fragments of more than {self._max_frame} bytes"
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, large)
        if frame.fin:
            self._parts = None
            self._wake()
            self.frames.append(Frame(_now_ns() // 1000, bytes(message)))

    def _closed_by_peer(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer a close frame. It ends here: no data may follow, and the rest of the good-bye may take its time."""
        code, reason = int.from_bytes(frame.get_payload_as_bytes()[:2]), frame.get_close_reason()
        if not transport.is_close_frame_sent:
            transport.send_close(WSCloseCode.OK)
        transport.disconnect()
        asyncio.get_running_loop().call_later(CLOSE_S, transport.disconnect, False)
        why = (f"code {code}" if code else "no code") + (f": {reason!r}" if reason else "")
        self.end(self._cut(f"the other side closed it ({why})"))

    def _cut(self, detail: str) -> Disconnected:
        if self.paused or time.monotonic() - self.resumed < PAUSE_BLAME_S:
            return Disconnected("queue full", f"{detail}, while we were not reading")
        return Disconnected("cut", detail)

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


async def _retrieve(transport: WSTransport) -> None:
    """Take the exception that picows keeps for whoever waits; its text is told already."""
    with suppress(Exception):
        await transport.wait_disconnected()


def refusal(error: Exception, url: str, proxy: str | None, timeout_s: float) -> WireError:
    """What kept a connection from being opened, in a sentence for people."""
    where = place(url) if proxy is None else f"{place(url)} (by the proxy {place_of_proxy(proxy)})"
    if isinstance(error, WSHandshakeError):
        if error.response is None:
            return WireError(f"{where} does not answer as a websocket server")
        status = error.response.status
        hint = "redirects are not followed" if 300 <= status < 400 else ""
        answer = f"HTTP {int(status)} {status.phrase}"
        return WireError(f"{where} answered {answer} instead of opening a websocket", hint=hint)
    if isinstance(error, ssl.SSLError):
        why, hint = failure(error)
        return WireError(f"{where} {why}", hint=hint)
    if isinstance(error, TimeoutError):
        return WireError(f"{where} did not answer within {timeout_s:g} s")
    if isinstance(error, socket.gaierror):
        return WireError(
            f"the address of {where} can't be found", hint="is there a network, and does DNS work?"
        )
    if isinstance(error, ConnectionRefusedError):
        return WireError(f"{where} refused the connection")
    if isinstance(error, (WSInvalidURL, ValueError)):  # their texts hold the whole address
        wrong = (
            f"{shown(url)} is no websocket address"
            if proxy is None
            else "the address of the proxy is not usable"
        )
        return WireError(wrong, hint="" if proxy else "it begins with wss:// or ws://")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return WireError(f"{where} can't be reached: {reason[:300] or type(error).__name__}")
