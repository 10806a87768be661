"""Bybit v5, linear (USDT and USDC contracts) and inverse: every liquidation, one topic a symbol.

Facts from Bybit's documents, several captures and a live look of 2026-09-18; seen as of November 2026:
- `S` is the POSITION: Buy = a long was liquidated (its text; 30 of 30 against the book). So the forced order is the
  opposite; programs that read `S` as an order have longs and shorts exchanged.
- `p` is the bankruptcy price, percents away from the market. `v` is the executed size: base coins on linear contracts,
  USD on inverse ones. `T` is the trade time, `ts` the event time (ms). No id; all of them, pushed every 500 ms.
- `type` is always "snapshot" and means no backlog; `data` is an array, though the documents call it an object.
- Frames don't tell their market: the endpoint does, or the list that has the symbol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal
from urllib.parse import quote

import msgspec

from rekt.config import Key, Section
from rekt.decoding import bounded_time, distinct, liquidation, step_of
from rekt.errors import FrameError, RestError
from rekt.fields import is_decimal
from rekt.model import Feed, Instrument, Liquidation, Market, OrderSide
from rekt.venue import (
    Decoded,
    Document,
    Endpoint,
    Heartbeat,
    Notice,
    Reference,
    Tick,
    Topics,
    Venue,
    common_keys,
)

_FEEDS: dict[Market, Feed] = {
    "linear": Feed("bybit", "linear", "bankruptcy", "all"),
    "inverse": Feed("bybit", "inverse", "bankruptcy", "all"),
}
_CANARY: dict[Market, str] = {"linear": "tickers.BTCUSDT", "inverse": "tickers.BTCUSD"}
_TOPIC = "allLiquidation."
_ORDER: dict[str, OrderSide] = {"Buy": "SELL", "Sell": "BUY"}  # by the position that it closes


class _Event(msgspec.Struct, gc=False):
    T: int
    s: str
    S: Literal["Buy", "Sell"]
    v: str
    p: str


class _Ticker(msgspec.Struct, gc=False):
    markPrice: str | None = None  # noqa: N815 - the wire's name; a delta leaves out what did not change


class _Frame(msgspec.Struct, gc=False):
    topic: str = ""
    ts: int | None = None
    data: msgspec.Raw = msgspec.Raw()
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


class _Entry(msgspec.Struct, rename="camel"):
    symbol: str
    base_coin: str
    quote_coin: str
    status: str
    lot_size_filter: object = None


class _Page(msgspec.Struct, rename="camel"):
    entries: list[msgspec.Raw] = msgspec.field(name="list")
    next_page_cursor: str = ""


class _Answer(msgspec.Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")


_decode = msgspec.json.Decoder(_Frame).decode
_decode_events = msgspec.json.Decoder(list[_Event] | _Event).decode
_decode_ticker = msgspec.json.Decoder(_Ticker).decode
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_KEYS = {
    "linear_ws_url": Key(
        "text", "wss://stream.bybit.com/v5/public/linear", "the stream of USDT and USDC contracts"
    ),
    "inverse_ws_url": Key(
        "text", "wss://stream.bybit.com/v5/public/inverse", "the stream of inverse contracts"
    ),
    "rest_url": Key("text", "https://api.bybit.com", "origin of the lists of instruments"),
    **common_keys(canary_timeout=10),
}


class Bybit(Venue):
    """The venue `bybit`."""

    name = "bybit"
    keys = _KEYS
    feeds = tuple(_FEEDS.values())
    testnet_hosts = frozenset({"stream-testnet.bybit.com"})
    canary = "tickers.BTCUSDT and tickers.BTCUSD, each 100 ms while something changes"
    openings = (490, 300.0)
    limits = "topics of 21,000 characters a connection (400 taken); 500 new connections in 5 minutes"
    unconfirmed = (
        "whether one bad symbol refuses its whole group: a refused group is asked for again symbol by symbol",
        "whether an answer repeats req_id: the log tells subscriptions without an answer",
        "whether contracts before their launch can be subscribed: only those in status Trading are",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """One address a market; liquidations by topic, a ping every 20 s."""
        return [
            Endpoint(
                settings.text(f"{market}_ws_url"),
                (_request("subscribe", [canary], "canary"),),
                market,
                Heartbeat(20, b'{"op":"ping"}'),
                Topics(
                    partial(_wanted, market),
                    partial(_request, "subscribe"),
                    partial(_request, "unsubscribe"),
                    per_connection=400,
                    per_message=10,
                ),
                pause_s=0.1,
            )
            for market, canary in _CANARY.items()
        ]

    def documents(self, settings: Section) -> list[Document]:
        """Both lists, in pages of 1,000."""
        origin = settings.text("rest_url").rstrip("/")
        found = []
        for market in _FEEDS:
            url = f"{origin}/v5/market/instruments-info?category={market}&limit=1000"
            found.append(Document(url, partial(_instruments, market), partial(_following, url)))
        return found

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError."""
        try:
            frame = _decode(data)
            if frame.topic.startswith(_TOPIC):
                told = _decode_events(frame.data)
                events = told if isinstance(told, list) else [told]
                return distinct(_event(event, frame.ts, received_us, reference) for event in events)
            if frame.topic.startswith("tickers."):
                return _tick(frame, received_us)
        except _WRONG as error:
            raise FrameError(f"not a frame of Bybit: {error}") from None
        if frame.success is False:
            return Notice("error", frame.ret_msg[:300], about=frame.req_id or None)
        if frame.op in ("ping", "pong"):
            return Notice("other")
        if frame.success and frame.op in ("subscribe", "unsubscribe"):
            return Notice("ack", about=frame.req_id or None)
        raise FrameError("neither an event nor an answer")


VENUE = Bybit()


def _event(event: _Event, ts: int | None, received_us: int, reference: Reference) -> Liquidation:
    listed = reference.instruments.get(event.s)
    market = reference.market or (listed.market if listed else None)
    if market is None:
        raise FrameError("neither the endpoint nor a list tells the market (replay takes --market)")
    return liquidation(
        _FEEDS[market],
        reference,
        received_us,
        symbol=event.s,
        order_side=_ORDER[event.S],
        trade_time=event.T,
        quantity=event.v,
        price=event.p,
        event_time=ts,
    )


def _tick(frame: _Frame, received_us: int) -> Tick:
    if frame.ts is None:
        raise FrameError("a ticker without `ts`")
    price = _decode_ticker(frame.data).markPrice if frame.topic in _CANARY.values() else None
    return Tick(
        bounded_time(frame.ts, received_us), price if price is not None and is_decimal(price) else None
    )


def _request(op: str, topics: Sequence[str], number: str) -> bytes:
    return msgspec.json.encode({"op": op, "req_id": number, "args": topics})


def _wanted(market: Market, instruments: Iterable[Instrument]) -> list[str]:
    return [_TOPIC + instrument.symbol for instrument in instruments if instrument.market == market]


def _page(body: bytes) -> _Page:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        if answer.ret_code:
            raise RestError(f"Bybit refuses its list: {answer.ret_code} {answer.ret_msg[:200]}")
        return msgspec.json.decode(answer.result, type=_Page)
    except _WRONG as error:
        raise RestError(f"not a list of instruments: {error}") from None


def _following(url: str, body: bytes) -> str | None:
    cursor = _page(body).next_page_cursor
    return f"{url}&cursor={quote(cursor, safe='')}" if cursor else None


def _instruments(market: Market, body: bytes, now_us: int) -> list[Instrument]:
    """The contracts of a page that trade; an entry that does not fit is left out."""
    size = "1" if market == "inverse" else None  # the quantity of inverse contracts is in USD already
    found = []
    for entry in _page(body).entries:
        try:
            one = msgspec.json.decode(entry, type=_Entry)
        except _WRONG:
            continue
        if one.status == "Trading" and 0 < len(one.symbol) <= 64:
            lots = one.lot_size_filter
            step = step_of(lots.get("qtyStep")) if isinstance(lots, dict) else None
            found.append(
                Instrument("bybit", one.symbol, market, one.base_coin, one.quote_coin, size, now_us, step)
            )
    return found
