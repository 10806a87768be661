"""The HTTP API: every route with its parameters, what it answers, and the function that does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rekt.dashboard import formats
from rekt.dashboard import parameters as p
from rekt.dashboard.kept import Made
from rekt.dashboard.metrics import metrics
from rekt.dashboard.numbers import Numbers, encode
from rekt.dashboard.openapi import document
from rekt.errors import LedgerError, UsageError
from rekt.fields import HOUR
from rekt.model import Window
from rekt.objects import liquidation_object
from rekt.stats.series import whole

if TYPE_CHECKING:
    from rekt.dashboard.live import Live

PREFIX = "/api/v1"
MOST_STEPS = 2_000
FIRST = Window(0, 1 << 62)  # everything that a ledger can hold


class Context(NamedTuple):
    """What the routes answer from."""

    numbers: Numbers
    live: Live

    @property
    def now(self) -> int:
        return self.numbers.source.clock_ms()


Answer = Callable[[Context, Request, dict[str, Any]], Awaitable[Response]]


class Endpoint(NamedTuple):
    """One path of the API."""

    path: str
    parameters: tuple[p.Parameter, ...]
    schema: str  # of the answer, in the document
    summary: str
    answer: Answer


def json(body: bytes, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(body, status, media_type="application/json")


def failed(status: int, message: str, hint: str = "") -> JSONResponse:
    """An error in words."""
    return JSONResponse({"error": message, "hint": hint or None}, status)


def responder(endpoint: Endpoint, context: Context) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint as Starlette calls it: parameters read, errors put in words."""

    async def respond(request: Request) -> Response:
        try:
            asked = p.read(request.query_params.multi_items(), endpoint.parameters, context.now)
            return await endpoint.answer(context, request, asked)
        except UsageError as error:
            return failed(400, error.message, error.hint)
        except LedgerError as error:
            return failed(503, error.message, error.hint)

    return respond


async def _liquidations(context: Context, request: Request, asked: dict[str, Any]) -> Response:
    form = asked["format"] or formats.acceptable(request.headers.get("accept", ""))
    if form is None:
        return failed(
            406, "none of the accepted types can be had", f"known: {', '.join(formats.TYPES.values())}"
        )
    window = Window(
        FIRST.start if asked["from"] is None else asked["from"],
        FIRST.end if asked["to"] is None else asked["to"],
    )
    filters = {name: asked[name] for name in ("venue", "symbol", "side", "min_usd")}
    events, place = await context.numbers.shelf.ask(
        lambda book: book.newest(window, before=asked["cursor"], limit=asked["limit"], **filters)
    )
    following = None if place is None else p.cursor_text(place)
    items = [liquidation_object(event) for event in events]
    try:
        body = await run_in_threadpool(formats.rendered, form, items, following)
    except ImportError:
        return failed(406, "Parquet needs packages that are not installed here", "pip install 'rekt[data]'")
    headers = {"X-Next-Cursor": following} if following else {}
    if form != "json":
        suffix = "jsonl" if form == "ndjson" else form
        headers["Content-Disposition"] = f'attachment; filename="liquidations.{suffix}"'
    return Response(body, 200, headers, media_type=formats.TYPES[form])


async def _summary(context: Context, _: Request, asked: dict[str, Any]) -> Response:
    return json(
        await context.numbers.summary_json(asked["hour"], asked["window"], asked["quality"], asked["venue"])
    )


async def _buckets(context: Context, _: Request, asked: dict[str, Any]) -> Response:
    window = whole(p.window_of(asked, context.now), asked["step"], MOST_STEPS)
    return json(await context.numbers.buckets(window, asked["step"], asked["venue"]))


async def _symbols(context: Context, _: Request, asked: dict[str, Any]) -> Response:
    return json(await context.numbers.symbols(asked["window"], asked["venue"]))


async def _coverage(context: Context, _: Request, asked: dict[str, Any]) -> Response:
    window = p.window_of(asked, context.now)
    window = Window(max(window.start, window.end - 400 * 24 * HOUR), window.end)
    key = window if asked["from"] is not None or asked["to"] is not None else asked["window"]
    return json(await context.numbers.coverage(window, key, asked["venue"]))


async def _status(context: Context, _: Request, _asked: dict[str, Any]) -> Response:
    async def make() -> Made[bytes]:
        return Made(encode(await context.numbers.status()))

    return json(await context.numbers.answers.get("status", make))


async def _post(context: Context, _: Request, _asked: dict[str, Any]) -> Response:
    return json(await context.numbers.post())


async def _picture(context: Context, _: Request, asked: dict[str, Any]) -> Response:
    found = await context.numbers.picture(asked["at"])
    if isinstance(found, str):
        return failed(404, found)
    return Response(found, 200, {"Cache-Control": "private, max-age=60"}, media_type="image/png")


async def _openapi(context: Context, _: Request, _asked: dict[str, Any]) -> Response:
    return json(encode(document(ENDPOINTS, context.numbers.source.version)))


async def _healthz(context: Context, _: Request, _asked: dict[str, Any]) -> Response:
    await context.numbers.shelf.ask(lambda book: book.last_seq())
    return json(b'{"status":"ok"}')


async def _metrics(context: Context, _: Request, _asked: dict[str, Any]) -> Response:
    text = await metrics(context.numbers, len(context.live.clients))
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


ENDPOINTS = (
    Endpoint(
        f"{PREFIX}/liquidations",
        (p.FROM, p.TO, p.VENUE, p.SYMBOL, p.SIDE, p.MIN_USD, p.LIMIT, p.CURSOR, p.FORMAT),
        "Liquidations",
        "Liquidations, newest first, in pages. With a filter that little fits a page may be short, or empty, and not "
        "be the last: `next` tells.",
        _liquidations,
    ),
    Endpoint(
        f"{PREFIX}/summary", (p.HOUR_START, p.ROLLING, p.VENUE, p.QUALITY), "Hour",
        "The numbers of an hour, or of the time up to now; without either, of the hour that ended last.", _summary,
    ),
    Endpoint(
        f"{PREFIX}/buckets", (p.FROM, p.TO, p.LENGTH, p.STEP, p.VENUE), "Buckets",
        f"Counts and sums in equal steps, whole ones. At most {MOST_STEPS}: `from` is moved forward then.", _buckets,
    ),
    Endpoint(
        f"{PREFIX}/symbols", (p.SYMBOL_WINDOW, p.VENUE), "Symbols",
        "Symbols by total, each with the percentile of that total among its own last 30 days.", _symbols,
    ),
    Endpoint(
        f"{PREFIX}/coverage", (p.FROM, p.TO, p.LENGTH, p.VENUE), "Coverage",
        "What of a time (400 days at most) was proved to be received, the gaps, and in words what the venues tell.",
        _coverage,
    ),
    Endpoint(f"{PREFIX}/status", (), "Status", "What the ledger holds and whether it grows.", _status),
    Endpoint(
        f"{PREFIX}/post", (), "Post",
        "The post of the running hour, as it would read now, the address of its picture, and what became of the last ones.",
        _post,
    ),
    Endpoint(f"{PREFIX}/post.png", (p.AT,), "Picture", "The picture of that post, of the same figures as its words.", _picture),
    Endpoint(f"{PREFIX}/openapi.json", (), "Document", "This document.", _openapi),
    Endpoint("/healthz", (), "Health", "Whether the ledger can be read.", _healthz),
    Endpoint("/metrics", (), "Metrics", "Figures for Prometheus.", _metrics),
)  # fmt: skip
