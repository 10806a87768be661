"""The web application and the process that serves it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from ipaddress import ip_address
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rekt.dashboard import pages
from rekt.dashboard.api import ENDPOINTS, PREFIX, Context, failed, responder
from rekt.dashboard.book import Shelf
from rekt.dashboard.guard import Guard, Rate
from rekt.dashboard.live import MOST_CLIENTS, Live
from rekt.dashboard.numbers import Numbers, Source
from rekt.errors import LedgerError, RektError, UsageError

GRACE_S = 3  # open requests get so long at the end


class Dashboard:
    """The ASGI application over one ledger; `close` ends its streams."""

    def __init__(self, source: Source, *, loopback: bool = True, rate: Rate | None = None) -> None:
        self._shelf = Shelf(source.open_book, source.path)
        self._numbers = Numbers(source, self._shelf)
        self.live = Live(self._numbers)
        self._context = Context(self._numbers, self.live)
        self._token = source.token
        routes = [
            Route(endpoint.path, responder(endpoint, self._context), methods=["GET"])
            for endpoint in ENDPOINTS
        ]
        routes += [
            Route(f"{PREFIX}/stream", _Stream(self.live), methods=["GET"]),
            Route("/", pages.index, methods=["GET"]),
            Route("/static/plotly.js", pages.plotly, methods=["GET"]),
            Route("/static/{name}", pages.static, methods=["GET"]),
            Route("/login", pages.login_form, methods=["GET"]),
            Route("/login", self._login, methods=["POST"]),
        ]
        inner = Starlette(
            routes=routes, lifespan=self._lifespan, exception_handlers={404: _missing, 405: _wrong}
        )
        self._guard = Guard(inner, token=source.token, hosts=source.hosts, loopback=loopback, rate=rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guard(scope, receive, send)

    def close(self) -> None:
        """End every stream, so that the server can end."""
        self.live.close()

    async def _login(self, request: Request) -> Response:
        return await pages.login(request, self._guard, self._token)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.live.follow()), asyncio.create_task(self._history())]
        try:
            yield
        finally:
            self.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._numbers.close()
            self._shelf.close()

    async def _history(self) -> None:
        while True:
            with contextlib.suppress(RektError):
                await self._numbers.keep_history()
            await asyncio.sleep(5)


class _Stream:
    """`/stream`: server-sent events, from Last-Event-ID (or `last_event_id`) on; of one `venue`, or of all."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        given = request.headers.get("last-event-id") or request.query_params.get("last_event_id") or ""
        if given and not (given.isascii() and given.isdigit() and len(given) <= 18):
            await failed(400, "Last-Event-ID is the id of an event of this stream")(scope, receive, send)
            return
        venue = request.query_params.get("venue")
        if len(self._live.clients) >= MOST_CLIENTS:
            await failed(429, f"{MOST_CLIENTS} clients listen already", "try again later")(
                scope, receive, send
            )
            return
        try:
            if venue is not None and not await self._live.knows(venue):
                await failed(400, f"no venue is called {venue[:40]!r}")(scope, receive, send)
                return
            place = await self._live.place(int(given) if given else None)
        except LedgerError as error:
            await failed(503, error.message, error.hint)(scope, receive, send)
            return
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._live.listen(place, receive, send, venue)


async def _missing(_: Request, __: Exception) -> Response:
    return failed(404, "there is nothing at this address", f"{PREFIX}/openapi.json tells what there is")


async def _wrong(_: Request, error: Exception) -> Response:
    answer = failed(405, "this address is only for reading")
    answer.headers["Allow"] = (getattr(error, "headers", None) or {}).get("Allow", "GET")
    return answer


class _Server(uvicorn.Server):
    """Leaves the signals to us: after them the program ends with 0, in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Signals are not uvicorn's."""
        yield


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UsageError for a wrong address, RektError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
    except (OSError, OverflowError) as error:
        server.close()
        problem = getattr(error, "strerror", None) or str(error)
        known = getattr(error, "errno", None) == errno.EADDRINUSE  # it may be free later
        raise (RektError if known else UsageError)(
            f"can't listen on {host} port {port}: {problem}", hint="name another --port, or 0 for a free one"
        ) from None
    server.listen(128)
    server.setblocking(False)
    return server


async def serve(
    dashboard: Dashboard, server_socket: socket.socket, *, ready: Callable[[], None], until_eof: bool = False
) -> None:
    """Serve until SIGINT or SIGTERM (a second one ends at once), or until standard input ends."""
    config = uvicorn.Config(
        dashboard,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=16_384,
        lifespan="on",
        ws="none",
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def stop(signum: int) -> None:
        if server.should_exit:
            os._exit(128 + signum)
        server.should_exit = True
        dashboard.close()

    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop, signum)
    if until_eof:
        loop.add_reader(sys.stdin.fileno(), partial(_at_eof, stop, server))
    serving = asyncio.create_task(server.serve([server_socket]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    if server.started:
        ready()
    await serving


def _at_eof(stop: Callable[[int], None], server: uvicorn.Server) -> None:
    if not os.read(sys.stdin.fileno(), 4_096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        if not server.should_exit:
            stop(signal.SIGTERM)
