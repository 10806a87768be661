"""Kraken Futures: liquidations are trades of their own type in the trade feed, with ids.

Facts from Kraken's documents and captures (2020-07), as of November 2026:
- `type` "liquidation" marks them (others: fill, termination, block, assignment). `side` is the taker's, so that of the
  forced order. `time` is the trade time (ms), `uid` the venue's own id; one liquidation may be several trades.
- Each subscription begins with `trade_snapshot`, some hundred old trades: the same ids, so nothing is added twice.
- PF_ products (flexible_futures) are linear, `qty` is base coins; PI_ and FI_ (futures_inverse) are inverse, `qty` is
  contracts of contractSize USD. XBT is BTC.
- Answers carry `feed` too: `event` is looked at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Literal

import msgspec

from rekt.config import Key, Section
from rekt.decoding import bounded_time, digits, liquidation
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
    "linear": Feed("kraken", "linear", "trade", "all"),
    "inverse": Feed("kraken", "inverse", "trade", "all"),
}
_TYPES: dict[str, Market] = {"flexible_futures": "linear", "futures_inverse": "inverse"}
_PREFIXES: dict[str, Market] = {"PF_": "linear", "PI_": "inverse", "FI_": "inverse"}
_ORDER: dict[str, OrderSide] = {"sell": "SELL", "buy": "BUY"}
_CANARY = "PF_XBTUSD"
_KEYS = {
    "ws_url": Key("text", "wss://futures.kraken.com/ws/v1", "where the stream is"),
    "rest_url": Key("text", "https://futures.kraken.com", "origin of the list of instruments"),
    **common_keys(canary_timeout=10),
}


class _Trade(msgspec.Struct, gc=False):
    product_id: str
    uid: str
    side: Literal["sell", "buy"]
    time: int
    qty: msgspec.Raw
    price: msgspec.Raw


class _Kind(msgspec.Struct, gc=False):
    type: str = ""


class _Frame(msgspec.Struct, gc=False):
    event: str = ""
    feed: str = ""
    product_id: str = ""
    product_ids: tuple[str, ...] = ()
    message: str = ""
    type: str = ""
    time: int | None = None
    markPrice: msgspec.Raw = msgspec.Raw()  # noqa: N815 - the wire's name
    trades: tuple[msgspec.Raw, ...] = ()


class _Entry(msgspec.Struct, rename="camel"):
    symbol: str
    type: str
    tradeable: bool
    contract_size: msgspec.Raw = msgspec.Raw()
    contract_value_trade_precision: object = None  # decimals of a quantity; below zero, whole tens
    base: str | None = None
    quote: str | None = None


class _List(msgspec.Struct):
    instruments: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Frame).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Kraken(Venue):
    """The venue `kraken`."""

    name = "kraken"
    keys = _KEYS
    feeds = tuple(_FEEDS.values())
    testnet_hosts = frozenset({"demo-futures.kraken.com"})
    canary = "the heartbeat feed, and the ticker of PF_XBTUSD, at most one a second"
    limits = "a websocket ping within each 60 s"
    unconfirmed = (
        "whether partial liquidations are told as type liquidation: compare a day of REST executions",
        "whether PF_ quantities are always base coins: they must be multiples of the step",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """One address; trades product by product, so that each answer tells what it is about."""
        canary = (
            _request("subscribe", "heartbeat"),
            _request("subscribe", "ticker", [_CANARY]),
        )
        topics = Topics(
            _wanted,
            lambda products, _: _request("subscribe", "trade", products),
            lambda products, _: _request("unsubscribe", "trade", products),
            per_connection=1000,
        )
        return [Endpoint(settings.text("ws_url"), canary, None, Heartbeat(25), topics, pause_s=0.05)]

    def documents(self, settings: Section) -> list[Document]:
        """The one list."""
        origin = settings.text("rest_url").rstrip("/")
        return [Document(f"{origin}/derivatives/api/v3/instruments", _instruments)]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError."""
        try:
            frame = _decode(data)
            if frame.event:
                return _answer(frame)
            if frame.feed == "trade":
                return _events(
                    [msgspec.Raw(data)] if frame.type == "liquidation" else [], received_us, reference
                )
            if frame.feed == "trade_snapshot":
                return _events(frame.trades, received_us, reference)
        except _WRONG as error:
            raise FrameError(f"not a frame of Kraken: {error}") from None
        if frame.feed == "heartbeat" or frame.feed == "ticker":
            return _tick(frame, received_us)
        raise FrameError("neither a trade nor an answer")


VENUE = Kraken()


def _events(trades: Iterable[msgspec.Raw], received_us: int, reference: Reference) -> tuple[Liquidation, ...]:
    return tuple(
        _event(_decode_trade(trade), received_us, reference)
        for trade in trades
        if _decode_kind(trade).type == "liquidation"
    )


def _event(trade: _Trade, received_us: int, reference: Reference) -> Liquidation:
    listed = reference.instruments.get(trade.product_id)
    market = listed.market if listed is not None else _PREFIXES.get(trade.product_id[:3])
    if market is None:
        raise FrameError(f"a product of no known market: {trade.product_id[:40]!r}")
    return liquidation(
        _FEEDS[market],
        reference,
        received_us,
        symbol=trade.product_id,
        order_side=_ORDER[trade.side],
        trade_time=trade.time,
        quantity=digits(trade.qty),
        average_price=digits(trade.price),
        own_id=trade.uid,
    )


def _answer(frame: _Frame) -> Notice:
    about = frame.product_ids[0] if frame.feed == "trade" and len(frame.product_ids) == 1 else None
    if frame.event in ("subscribed", "unsubscribed"):
        return Notice("ack", about=about)
    if frame.event in ("error", "alert") or frame.event.endswith("_failed"):
        return Notice("error", (frame.message or frame.event)[:300], about=about)
    if frame.event == "info":
        return Notice("other")
    raise FrameError(f"an event that was not asked for: {frame.event[:40]!r}")


def _tick(frame: _Frame, received_us: int) -> Tick:
    if frame.time is None:
        raise FrameError(f"a {frame.feed} without its time")
    price = None
    if frame.product_id == _CANARY and frame.markPrice:
        price = digits(frame.markPrice)
    return Tick(
        bounded_time(frame.time, received_us), price if price is not None and is_decimal(price) else None
    )


def _request(event: str, feed: str, products: Sequence[str] = ()) -> bytes:
    asked: dict[str, object] = {"event": event, "feed": feed}
    if products:
        asked["product_ids"] = list(products)
    return msgspec.json.encode(asked)


def _wanted(instruments: Iterable[Instrument]) -> list[str]:
    return [instrument.symbol for instrument in instruments]


def _instruments(body: bytes, now_us: int) -> list[Instrument]:
    """The contracts that trade; an entry that does not fit, or is of another kind, is left out."""
    try:
        entries = msgspec.json.decode(body, type=_List).instruments
    except _WRONG as error:
        raise RestError(f"not a list of instruments: {error}") from None
    found = []
    for entry in entries:
        try:
            one = msgspec.json.decode(entry, type=_Entry)
        except _WRONG:
            continue
        market = _TYPES.get(one.type)
        if market is None or not one.tradeable or not 0 < len(one.symbol) <= 64:
            continue
        pair = one.symbol.split("_")[1] if "_" in one.symbol else one.symbol  # PI_XBTUSD, FI_XBTUSD_261225
        base, quote = one.base or pair[:-3], one.quote or pair[-3:]
        size = None  # linear quantities are coins already
        if market == "inverse":
            with suppress(FrameError):
                size = digits(one.contract_size)
        if size is not None and not is_decimal(size):
            size = None
        places = one.contract_value_trade_precision
        step = format(Decimal(1).scaleb(-places), "f") if type(places) is int and -9 < places < 19 else None
        found.append(Instrument("kraken", one.symbol, market, base, quote, size, now_us, step))
    return found
