"""The page and its files: from the package, Plotly.js from the installed `plotly`; nothing from elsewhere."""

from __future__ import annotations

import gzip
import hmac
from functools import cache
from html import escape
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from rekt.dashboard.guard import COOKIE, Guard, secret

STATIC: Final = Path(__file__).with_name("static")
KINDS: Final = {
    ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}  # fmt: skip
LOGIN: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>rekt</title><link rel="stylesheet" href="/static/style.css">
<main class="login"><h1>rekt</h1><form method="post" action="/login">
<label>Token <input type="password" name="token" autocomplete="current-password" autofocus required></label>
<input type="hidden" name="next" value="{next}"><button>Open</button><p role="alert">{problem}</p></form></main>
"""


async def index(_: Request) -> Response:
    """The page."""
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def static(request: Request) -> Response:
    """One of the page's files, by its plain name."""
    name = request.path_params["name"]
    path = STATIC / name
    if "/" in name or name.startswith(".") or path.suffix not in KINDS or not path.is_file():
        return Response("not found\n", 404, media_type="text/plain")
    return FileResponse(path, headers={"Cache-Control": "no-cache"}, media_type=KINDS[path.suffix])


async def plotly(request: Request) -> Response:
    """Plotly.js, compressed where the way is long."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        return Response("not installed\n", 404, media_type="text/plain")
    path = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    headers = {"Cache-Control": "private, max-age=86400", "ETag": f'"{version("plotly")}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    near = request.client is not None and request.client.host in ("127.0.0.1", "::1")
    if near or "gzip" not in request.headers.get("accept-encoding", ""):
        return FileResponse(path, headers=headers, media_type="text/javascript")
    headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(await run_in_threadpool(_packed, path), headers=headers, media_type="text/javascript")


@cache
def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 6)


def _local(path: str) -> str:
    """Where to go on after logging in: never another site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


async def login_form(request: Request) -> Response:
    """Ask for the token."""
    following = _local(request.query_params.get("next", "/"))
    return HTMLResponse(LOGIN.format(next=escape(following), problem=""))


async def login(request: Request, guard: Guard, token: str | None) -> Response:
    """Take the token and set the cookie, for this browser's session."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > 4_096:
            return Response("too long\n", 413, media_type="text/plain")
    given = parse_qs(body.decode("utf-8", "replace"))
    following = _local(given.get("next", ["/"])[0])
    if not guard.may_try(request.client.host if request.client else ""):
        return HTMLResponse(
            LOGIN.format(next=escape(following), problem="Too many tries: wait a while."), 429
        )
    if token is None or not hmac.compare_digest(given.get("token", [""])[0].encode(), token.encode()):
        return HTMLResponse(LOGIN.format(next=escape(following), problem="That is not the token."), 401)
    answer = RedirectResponse(following, 303)
    answer.set_cookie(
        COOKIE, secret(token), httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return answer
