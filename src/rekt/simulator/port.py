"""The listening socket: one port for websockets and documents, shut and opened again on demand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import picows

from rekt.simulator.handshake import Silent
from rekt.simulator.options import Options


class ListeningPort:
    """Takes connections and asks `answer` about each request."""

    def __init__(self, options: Options, answer: Callable[[picows.WSUpgradeRequest], Any]) -> None:
        self.number = options.port
        self._options = options
        self._answer = answer
        self._unanswered: set[picows.WSTransport] = set()
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen; after `shut` on the same port as before."""
        if self._server is not None:
            return
        listening = self._held or self._bound()
        self._held = None
        self._server = await picows.ws_create_server(
            self._answer,
            sock=listening,
            ssl=self._options.ssl_context,
            enable_auto_pong=False,
            websocket_handshake_timeout=10,
        )

    def shut(self) -> None:
        """Stop listening: connections are refused, and nobody else can take the port meanwhile."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._held = self._bound()

    def reopen(self) -> None:
        """Listen again, and let go of connections that were never answered."""
        self._drop_unanswered()
        if self._server is None:
            self._opening = asyncio.ensure_future(self.open())

    def close(self) -> None:
        """Stop listening for good."""
        if self._opening is not None:
            self._opening.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._held is not None:
            self._held.close()
        self._drop_unanswered()

    def silent(self) -> Silent:
        """A listener for a connection that is taken and never answered."""
        return Silent(self._unanswered)

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._options.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._options.host, self.number))
        except OSError:
            bound.close()
            raise
        self.number = bound.getsockname()[1]
        return bound

    def _drop_unanswered(self) -> None:
        for transport in list(self._unanswered):
            transport.disconnect(graceful=False)
