"""Who may ask: the Host header, the token, how often, how much; and the headers that keep a browser strict.

A page elsewhere can make a browser send requests here under a name that it owns: only known names are answered.
The token comes as `Authorization: Bearer …`, or as a cookie that /login sets.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from rekt.dashboard.api import failed

COOKIE: Final = "rekt"
OPEN: Final = {"/healthz", "/login", "/static/style.css", "/static/icon.svg"}  # need no token
RATE: Final = 100.0  # requests a second of one address
BURST: Final = 400.0
MOST_ADDRESSES: Final = 10_000
LONGEST_QUERY: Final = 4_096
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Rate:
    """A bucket of requests for each address, that fills again with time."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, address: str, cost: float = 1.0) -> bool:
        """Whether this address may ask once more."""
        now = self._clock()
        left, since = self._left.get(address, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        if len(self._left) >= MOST_ADDRESSES and address not in self._left:
            self._left.clear()
        self._left[address] = (left - cost if left >= cost else left, now)
        return left >= cost


def secret(token: str) -> str:
    """What the cookie holds: not the token itself."""
    return sha256(b"rekt dashboard " + token.encode()).hexdigest()


class Guard:
    """Stands before the application."""

    def __init__(
        self,
        app: App,
        *,
        token: str | None,
        hosts: Iterable[str] = (),
        loopback: bool = True,
        rate: Rate | None = None,
    ) -> None:
        self._app = app
        self._token = token
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._loopback = loopback
        self._rate = rate or Rate(RATE, BURST)
        self._guesses = Rate(0.2, 10.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            begun = False

            async def answer(message: Message) -> None:
                nonlocal begun
                begun = True
                await strict(message)

            strict = _strict(send)
            try:
                await (self._refusal(scope) or self._app)(scope, receive, answer)
            except (
                asyncio.CancelledError
            ):  # the server ends and did not wait any longer: no fault to be told as one
                if not begun:
                    await failed(503, "the server is ending", "ask again")(scope, receive, strict)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        address = scope["client"][0] if scope.get("client") else ""
        if not self._known(headers.get(b"host", "")):
            return PlainTextResponse("This server is not known by that name (Host header).\n", 421)
        if not self._rate.take(address):
            answer = failed(429, "too many requests", "ask less often")
            answer.headers["Retry-After"] = "1"
            return answer
        if len(scope.get("query_string", b"")) > LONGEST_QUERY:
            return failed(414, "the query is too long", f"{LONGEST_QUERY} bytes at most")
        path = scope["path"]
        if self._token is None or path in OPEN or self._allowed(headers):
            return None
        if not self._guesses.take(address, 1.0 if b"authorization" in headers else 0.0):
            return failed(429, "too many wrong tokens", "wait a while")
        if "text/html" in headers.get(b"accept", "") and scope["method"] == "GET":
            return RedirectResponse(f"/login?next={quote(path, safe='/')}", 303)
        answer = failed(
            401, "a token is needed", "send it as Authorization: Bearer …, or open /login in a browser"
        )
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def may_try(self, address: str) -> bool:
        """Whether this address may try a token once more."""
        return self._guesses.take(address)

    def _allowed(self, headers: MutableMapping[bytes, str]) -> bool:
        if self._token is None:
            return True
        scheme, _, given = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode()):
            return True
        try:
            cookie = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), secret(self._token).encode())

    def _known(self, host: str) -> bool:
        name = host.strip().lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        elif name.count(":") == 1:
            name = name.partition(":")[0]
        if name in self._hosts:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback


def _strict(send: Send) -> Send:
    async def strict(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message.get("headers", ())}
            more = [header for header in HEADERS if header[0] not in own]
            if b"cache-control" not in own:
                more.append((b"cache-control", b"no-store"))
            message["headers"] = [*message.get("headers", ()), *more]
        await send(message)

    return strict
