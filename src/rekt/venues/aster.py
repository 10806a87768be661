"""Aster futures: Binance's API as it was before its split of paths, very quiet.

Facts from Aster's documents and a live look of September 2026; as of November 2026:
- Read as Binance's USD-M orders: `o.S` is the ORDER (SELL: a long was liquidated), `ap` and `z` what it was filled at
  and how much, `T` the trade time, `E` the event time; quantities are coins. No `ps`, no `st`.
- Its text: the *latest* order per symbol and second is pushed, so neither all nor the largest.
- Events come again as they were: equal events of one frame differ in their ordinal, repeats are dropped by their uid.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from rekt.config import Key, Section
from rekt.decoding import bounded_time, distinct, liquidation, lot_step
from rekt.errors import FrameError, RestError
from rekt.fields import is_decimal
from rekt.model import Feed, Instrument, Liquidation
from rekt.venue import Decoded, Document, Endpoint, Notice, Reference, Tick, Venue, common_keys

STREAMS = ("!forceOrder@arr", "btcusdt@markPrice@1s")  # the liquidations, and the canary beside them
_FEED = Feed("aster", "linear", "average_fill", "latest_per_symbol_second")
_KEYS = {
    "ws_url": Key("text", "wss://fstream.asterdex.com/stream", "where the stream is, path included"),
    "rest_url": Key("text", "https://fapi.asterdex.com", "origin of the list of instruments"),
    **common_keys(canary_timeout=5),
}


class _Order(msgspec.Struct, gc=False):
    s: str
    S: Literal["SELL", "BUY"]
    X: Annotated[str, msgspec.Meta(max_length=32)]
    p: str
    ap: str
    q: str
    z: str
    T: int


class _Payload(msgspec.Struct, gc=False):
    e: str | None = None
    E: int | None = None
    o: _Order | None = None
    s: str | None = None
    p: str | None = None


class _Frame(_Payload, gc=False):
    data: _Payload | list[_Payload] | None = None
    result: object = msgspec.UNSET
    error: object = msgspec.UNSET
    code: int | None = None
    msg: str | None = None


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    base_asset: str
    quote_asset: str
    status: str = "TRADING"
    filters: object = None


class _Information(msgspec.Struct):
    symbols: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Frame).decode
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Aster(Venue):
    """The venue `aster`."""

    name = "aster"
    keys = _KEYS
    feeds = (_FEED,)
    testnet_hosts = frozenset({"asterdex-testnet.com"})
    canary = "btcusdt@markPrice@1s, every second"
    limits = "10 messages a second; 200 streams a connection; a connection lives 24 h"
    unconfirmed = (
        "whether the latest or the largest order of a symbol and second is told: its text says latest",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """The configured address with the streams in it: raw frames under /ws, wrapped ones elsewhere."""
        url = settings.text("ws_url").rstrip("/")
        if urlsplit(url).path.endswith("/ws"):
            return [Endpoint(f"{url}/{'/'.join(STREAMS)}")]
        return [Endpoint(f"{url}?streams={'/'.join(STREAMS)}")]

    def documents(self, settings: Section) -> list[Document]:
        """The one exchangeInfo document."""
        return [Document(f"{settings.text('rest_url').rstrip('/')}/fapi/v1/exchangeInfo", _instruments)]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says, raw or wrapped. Raises FrameError."""
        try:
            frame = _decode(data)
        except _WRONG as error:
            raise FrameError(f"not a frame of Aster: {error}") from None
        payload = frame.data if frame.data is not None else frame
        several = payload if isinstance(payload, list) else [payload]
        if several and all(one.e == "forceOrder" for one in several):
            return distinct(_event(one, received_us, reference) for one in several)
        if isinstance(payload, list):
            raise FrameError("an array that holds something other than forceOrder events")
        if payload.e == "markPriceUpdate":
            return _tick(payload, received_us)
        if payload.e is not None:
            raise FrameError(f"an event that was not asked for: {payload.e[:40]!r}")
        if frame.error is not msgspec.UNSET or frame.code is not None:
            told = frame.error if frame.error is not msgspec.UNSET else f"{frame.code}: {frame.msg}"
            return Notice("error", str(told)[:300])
        if frame.result is not msgspec.UNSET:
            return Notice("ack")
        raise FrameError("neither an event nor an answer")


VENUE = Aster()


def _event(payload: _Payload, received_us: int, reference: Reference) -> Liquidation:
    order = payload.o
    if order is None or payload.E is None:
        raise FrameError("forceOrder without `o` or `E`")
    if not is_decimal(order.q):
        raise FrameError(f"q is no plain decimal within the bounds: {order.q[:60]!r}")
    event = liquidation(
        _FEED,
        reference,
        received_us,
        symbol=order.s,
        order_side=order.S,
        trade_time=order.T,
        quantity=order.z,
        price=order.p,
        average_price=order.ap,
        event_time=payload.E,
        status=order.X,
    )
    return event._replace(quantity=order.q)


def _tick(payload: _Payload, received_us: int) -> Tick:
    if payload.E is None:
        raise FrameError("a canary without its time")
    told = payload.p if payload.s == "BTCUSDT" else None
    return Tick(bounded_time(payload.E, received_us), told if told is not None and is_decimal(told) else None)


def _instruments(body: bytes, now_us: int) -> list[Instrument]:
    """The contracts that trade; an entry that does not fit is left out."""
    try:
        entries = msgspec.json.decode(body, type=_Information).symbols
    except _WRONG as error:
        raise RestError(f"not an exchangeInfo document: {error}") from None
    found = []
    for entry in entries:
        try:
            one = msgspec.json.decode(entry, type=_Symbol)
        except _WRONG:
            continue
        if one.status == "TRADING":
            step = lot_step(one.filters)
            found.append(
                Instrument("aster", one.symbol, "linear", one.base_asset, one.quote_asset, None, now_us, step)
            )
    return found
