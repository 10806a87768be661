"""BitMEX: every liquidation order, with its id; inverse, linear and quanto contracts.

Facts from BitMEX's documents and tardis-node's test data, as of November 2026:
- `side` is the forced ORDER: Sell closes a long. `price` is the bankruptcy price, `leavesQty` contracts. An order is
  told by `insert`; `partial` holds those that stand at subscription, under the ids they had. `update` and `delete` only
  change what is left of an order, so they tell nothing.
- There is no time on the wire: the receive time stands for it, and an order that is told again keeps its first one.
- A contract is worth (documents of instruments): inverse, one unit of the quote; linear, 1/underlyingToPositionMultiplier
  coins; quanto, price × multiplier / 10⁸ bitcoin, valued by XBTUSD's mark price, the canary, which is asked for first.
- XBT is BTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact
from typing import Annotated, Literal

import msgspec

from rekt.config import Key, Section
from rekt.decoding import bounded_time, digits, liquidation, step_of
from rekt.errors import FrameError, RestError
from rekt.fields import canonical, is_decimal
from rekt.model import Feed, Instrument, Liquidation, Market, OrderSide
from rekt.venue import Decoded, Document, Endpoint, Heartbeat, Notice, Reference, Tick, Venue, common_keys
from rekt.worth import BITCOIN

_FEEDS: dict[Market, Feed] = {
    "linear": Feed("bitmex", "linear", "bankruptcy", "all"),
    "inverse": Feed("bitmex", "inverse", "bankruptcy", "all"),
}
_ORDER: dict[str, OrderSide] = {"Sell": "SELL", "Buy": "BUY"}
_CANARY = "XBTUSD"
_SUBSCRIBE = msgspec.json.encode({"op": "subscribe", "args": [f"instrument:{_CANARY}", "liquidation"]})
# What is inverse of contracts that no list has told of: bitcoin's in a currency of its own, or dated.
_INVERSE = re.compile(r"XBT(?:USD|EUR|[FGHJKMNQUVXZ][0-9]{2})")
_EXACT = Context(prec=40, traps=[Inexact])
_KEYS = {
    "ws_url": Key("text", "wss://ws.bitmex.com/realtime", "where the stream is"),
    "rest_url": Key("text", "https://www.bitmex.com", "origin of the list of instruments"),
    **common_keys(canary_timeout=15),
}

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Order(msgspec.Struct, rename="camel", gc=False):
    order_id: str = msgspec.field(name="orderID")
    symbol: str
    side: Literal["Sell", "Buy"]
    price: msgspec.Raw
    leaves_qty: msgspec.Raw


class _Mark(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    mark_price: msgspec.Raw = msgspec.Raw()
    timestamp: _Moment | None = None


class _Frame(msgspec.Struct, gc=False):
    table: str = ""
    action: str = ""
    data: msgspec.Raw = msgspec.Raw()
    subscribe: str = ""
    unsubscribe: str = ""
    success: bool | None = None
    status: int | None = None
    error: str | None = None
    info: str | None = None


class _Entry(msgspec.Struct, rename="camel"):
    symbol: str
    state: str
    is_inverse: bool
    is_quanto: bool
    multiplier: msgspec.Raw
    quote_currency: str
    underlying: str = ""
    settl_currency: str | None = None
    underlying_to_position_multiplier: msgspec.Raw = msgspec.Raw()
    lot_size: object = None  # contracts


_decode = msgspec.json.Decoder(_Frame).decode
_decode_orders = msgspec.json.Decoder(list[_Order]).decode
_decode_marks = msgspec.json.Decoder(list[_Mark]).decode
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)


class Bitmex(Venue):
    """The venue `bitmex`."""

    name = "bitmex"
    keys = _KEYS
    feeds = tuple(_FEEDS.values())
    apart_s = 2.0
    openings = (36, 3600.0)  # its greeting told 39 left after the first (`limit.remaining`)
    testnet_hosts = frozenset({"ws.testnet.bitmex.com", "testnet.bitmex.com"})
    canary = "instrument:XBTUSD, each change: about a second"
    limits = "some 40 connections an hour, told in its greeting; a ping within 5 s of silence"
    unconfirmed = (
        "whether an order's later rise of leavesQty is told by update alone: the first quantity is kept",
        "whether instrument rows always carry a timestamp: the receive time stands in",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """One address; bitcoin's price before the orders that it values."""
        return [Endpoint(settings.text("ws_url"), (_SUBSCRIBE,), heartbeat=Heartbeat(5, b"ping"))]

    def documents(self, settings: Section) -> list[Document]:
        """The one list."""
        return [Document(f"{settings.text('rest_url').rstrip('/')}/api/v1/instrument/active", _instruments)]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError."""
        if data == b"pong":
            return Notice("other", "pong")
        try:
            frame = _decode(data)
            if frame.table == "liquidation":
                if frame.action in ("update", "delete"):
                    return ()
                if frame.action not in ("insert", "partial"):
                    raise FrameError(f"an action that is not known: {frame.action[:40]!r}")
                return tuple(_event(order, received_us, reference) for order in _decode_orders(frame.data))
            if frame.table == "instrument":
                return _tick(_decode_marks(frame.data), received_us)
        except _WRONG as error:
            raise FrameError(f"not a frame of BitMEX: {error}") from None
        if frame.error is not None or frame.success is False:
            return Notice("error", f"{frame.status or ''} {frame.error or 'refused'}".strip()[:300])
        if frame.success:
            return Notice("ack", about=(frame.subscribe or frame.unsubscribe)[:100] or None)
        if frame.info is not None:
            return Notice("other", frame.info[:300])
        raise FrameError("neither a table nor an answer")


VENUE = Bitmex()


def _event(order: _Order, received_us: int, reference: Reference) -> Liquidation:
    listed = reference.instruments.get(order.symbol)
    inverse = listed.market == "inverse" if listed is not None else bool(_INVERSE.fullmatch(order.symbol))
    return liquidation(
        _FEEDS["inverse" if inverse else "linear"],
        reference,
        received_us,
        symbol=order.symbol,
        order_side=_ORDER[order.side],
        trade_time=None,
        quantity=digits(order.leaves_qty),
        price=digits(order.price),
        own_id=order.order_id,
    )


def _tick(marks: list[_Mark], received_us: int) -> Tick:
    time, price = received_us // 1000, None
    for mark in marks:
        if mark.timestamp is not None:
            time = bounded_time((mark.timestamp - _EPOCH) // timedelta(milliseconds=1), received_us)
        if mark.symbol == _CANARY and mark.mark_price and bytes(mark.mark_price) != b"null":
            price = digits(mark.mark_price)
    return Tick(time, price if price is not None and is_decimal(price) else None)


def _instruments(body: bytes, now_us: int) -> list[Instrument]:
    """The contracts that trade; one that does not fit, or whose worth can't be told exactly, is left out."""
    try:
        entries = msgspec.json.decode(body, type=list[msgspec.Raw])
    except _WRONG as error:
        raise RestError(f"not a list of instruments: {error}") from None
    found = []
    for entry in entries:
        try:
            one = msgspec.json.decode(entry, type=_Entry)
            quote, size = _worth(one)
        except (*_WRONG, FrameError, ArithmeticError):
            continue
        if one.state == "Open" and 0 < len(one.symbol) <= 64 and is_decimal(size):
            market: Market = "inverse" if one.is_inverse else "linear"
            step = step_of(one.lot_size)
            found.append(Instrument("bitmex", one.symbol, market, one.underlying, quote, size, now_us, step))
    return found


def _worth(one: _Entry) -> tuple[str, str]:
    """What a contract is counted in, and how much of it (× price, unless inverse) one is. ArithmeticError: not exact."""
    if one.is_inverse:
        return one.quote_currency, "1"
    if one.is_quanto:
        if one.settl_currency not in (None, "XBt"):
            raise FrameError("a quanto contract that is not settled in bitcoin")
        return "XBT", canonical(format(Decimal(digits(one.multiplier)).scaleb(-8, _EXACT), "f"))
    coins = _EXACT.divide(Decimal(1), Decimal(digits(one.underlying_to_position_multiplier)))
    return ("XBT" if one.quote_currency in BITCOIN else one.quote_currency), canonical(format(coins, "f"))
