"""Bitfinex: liquidated positions, each told once; derivatives and margin pairs, all linear.

Facts from Bitfinex' documents and a capture of 2020-07, as of November 2026. Rows by index: 1 position id; 2 time (ms,
maybe with a fraction); 4 symbol; 5 what is left of the POSITION in base coins, + long, − short; 6 entry price, never the
price; 8 trigger (0) or execution (1); 11 price acquired, often null.
- **One position id is one liquidation**, sent again with new times and prices, and in the snapshot of each subscription.
  An execution may come before its trigger. So a position is held for some seconds and told once, with its first time,
  its largest amount and the first price; the ledger keeps the first telling of an id. One first met in a snapshot is a
  lower bound. Without a price its value is unknown.
- `TEST…` symbols are paper trading: dropped. `t<BASE>F0:<QUOTE>F0` are derivatives, UST is USDT.
- Channel ids are the connection's own: rows are known by their form.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import msgspec

from rekt.config import Key, Section
from rekt.decoding import INFERRED, digits, liquidation
from rekt.errors import FrameError, RestError
from rekt.fields import is_decimal
from rekt.model import Feed, Instrument, Liquidation, OrderSide
from rekt.venue import Decoded, Document, Endpoint, Notice, Reference, Tick, Venue, common_keys

_FEED = Feed("bitfinex", "linear", "trade", "all")
HOLD_S = 4.0
_PAPER = "tTEST"
_QUOTES = {"UST": "USDT"}
_RECONNECT, _MAINTENANCE = 20051, 20060
_ROW = 12  # fields of a row at least
_TICKER = 10  # fields of a ticker
_LAST = 6  # of a ticker: the last price
_KEYS = {
    "ws_url": Key("text", "wss://api-pub.bitfinex.com/ws/2", "where the stream is"),
    "rest_url": Key("text", "https://api-pub.bitfinex.com", "origin of the lists of pairs"),
    **common_keys(canary_timeout=40),
}


class _Platform(msgspec.Struct):
    status: int = 1


class _Said(msgspec.Struct, gc=False):
    event: str
    key: str = ""
    symbol: str = ""
    msg: str = ""
    code: int | None = None
    platform: _Platform | None = None


_decode_said = msgspec.json.Decoder(_Said).decode
_decode_frame = msgspec.json.Decoder(tuple[int, msgspec.Raw]).decode
_decode_payload = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_id = msgspec.json.Decoder(int).decode
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Bitfinex(Venue):
    """The venue `bitfinex`."""

    name = "bitfinex"
    keys = _KEYS
    feeds = (_FEED,)
    hold_s = HOLD_S
    settle_s = 10.0  # what is held comes seconds later
    apart_s = 3.5
    canary = "the ticker of tBTCUSD, and a heartbeat each 15 s on a channel that is silent"
    limits = "20 connections a minute; 25 channels a connection"
    unconfirmed = (
        "whether every liquidated position is told: compare with /v2/liquidations/hist",
        "what field 9 (sold into the market) means: it is not read",
        "the address of the lists of pairs; a pair that is in none is taken apart by its name",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """One address for all: the ticker, then the liquidations."""
        asked = ({"channel": "ticker", "symbol": "tBTCUSD"}, {"channel": "status", "key": "liq:global"})
        messages = tuple(msgspec.json.encode({"event": "subscribe", **one}) for one in asked)
        return [Endpoint(settings.text("ws_url"), messages, "linear")]

    def documents(self, settings: Section) -> list[Document]:
        """The names of all pairs, two lists in one answer; no contract has a size."""
        path = "/v2/conf/pub:list:pair:futures,pub:list:pair:margin"
        return [Document(settings.text("rest_url").rstrip("/") + path, _instruments)]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says; positions are held in `reference`, and told by `due`. Raises FrameError."""
        try:
            if data[:1] == b"{":
                return _answer(_decode_said(data))
            _, payload = _decode_frame(data)
            if bytes(payload) == b'"hb"':
                return Tick(received_us // 1000)  # the wire tells no time
            fields = _decode_payload(payload)
            if fields and bytes(fields[0])[:1] != b"[" and bytes(fields[0]) != b'"pos"':
                return _tick(fields, received_us)
            rows = [fields] if fields and bytes(fields[0]) == b'"pos"' else map(_decode_payload, fields)
            held: dict[str, Liquidation] = {}
            for row in rows:
                _hold(row, held, received_us, reference)
        except _WRONG as error:
            raise FrameError(f"not a frame of Bitfinex: {error}") from None
        reference.held.update(held)  # all rows of a frame or none
        return Notice("other")

    def due(self, received_us: int, reference: Reference) -> tuple[Liquidation, ...]:
        """Positions held long enough; a clock that was set, in either direction, ends the wait too."""
        held = cast("dict[str, Liquidation]", reference.held)
        done = [key for key, event in held.items() if abs(received_us - event.received_us) >= HOLD_S * 1e6]
        return tuple(held.pop(key) for key in done)


VENUE = Bitfinex()


def _hold(
    row: list[msgspec.Raw], held: dict[str, Liquidation], received_us: int, reference: Reference
) -> None:
    """Join a row with what is held of its position."""
    if len(row) < _ROW or bytes(row[0]) != b'"pos"':
        raise FrameError("a row that is no position")
    symbol = _decode_text(row[4])
    if symbol.startswith(_PAPER):
        return
    key, amount, time = str(_decode_id(row[1])), digits(row[5]), int(Decimal(digits(row[2])))
    price = None if bytes(row[11]) == b"null" else digits(row[11])
    side: OrderSide = "BUY" if amount.startswith("-") else "SELL"
    quantity, first_us = amount.removeprefix("-"), received_us
    before = cast("Liquidation | None", held.get(key) or reference.held.get(key))
    if not is_decimal(quantity):
        raise FrameError(f"an amount that is no plain decimal within the bounds: {quantity[:60]!r}")
    if before is not None:
        if before.symbol != symbol:
            raise FrameError("a position of two symbols")
        time, price, first_us = (
            min(time, before.trade_time),
            before.average_price or price,
            before.received_us,
        )
        if before.quantity is not None and Decimal(before.quantity) >= Decimal(quantity):
            side, quantity = before.order_side, before.quantity
    elif not Decimal(quantity):
        return  # nothing is left of it, and nothing was told: neither side nor amount
    listed = reference.instruments.get(symbol)
    held[key] = liquidation(
        _FEED,
        reference,
        first_us,
        symbol=symbol,
        order_side=side,
        trade_time=time,
        quantity=quantity,
        average_price=price,
        instrument=listed or _pair(symbol, 0),
        basis=None if listed else INFERRED,
        own_id=key,
    )


def _tick(fields: list[msgspec.Raw], received_us: int) -> Tick:
    """A ticker is numbers alone; one that is not asked for (or a trade) is shorter."""
    if len(fields) < _TICKER:
        raise FrameError("neither positions nor a ticker")
    price = digits(fields[_LAST])
    return Tick(received_us // 1000, price if is_decimal(price) else None)  # the wire tells no time


def _answer(said: _Said) -> Notice:
    about = (said.key or said.symbol)[:100] or None
    if said.event in ("subscribed", "unsubscribed"):
        return Notice("ack", about=about)
    if said.event == "error":
        return Notice("error", f"{said.code}: {said.msg}"[:300], about=about)
    if said.event == "info":
        if said.code == _RECONNECT:
            return Notice("reconnect", said.msg[:300] or "the venue restarts")
        if said.code == _MAINTENANCE or (said.platform is not None and not said.platform.status):
            return Notice("error", "the platform is in maintenance")
        return Notice("other", said.msg[:300])
    if said.event in ("pong", "conf"):
        return Notice("other")
    raise FrameError(f"an event that is not known: {said.event[:40]!r}")


def _pair(symbol: str, now_us: int) -> Instrument | None:
    """A pair taken apart by its name: tBTCF0:USTF0, tDOGE:USD, tBSVUSD."""
    name = symbol.removeprefix("t")
    base, colon, quote = name.partition(":")
    if not colon:
        base, quote = (name[:3], name[3:]) if len(name) == 6 else ("", "")
    base, quote = base.removesuffix("F0"), quote.removesuffix("F0")
    if not base or not quote or not symbol.startswith("t") or len(symbol) > 64:
        return None
    return Instrument("bitfinex", symbol, "linear", base, _QUOTES.get(quote, quote), None, now_us)


def _instruments(body: bytes, now_us: int) -> list[Instrument]:
    """All pairs but those of paper trading; a name that can't be taken apart is left out."""
    try:
        lists = msgspec.json.decode(body, type=list[list[Any]])
    except _WRONG as error:
        raise RestError(f"not a list of pairs: {error}") from None
    names = [f"t{name}" for names in lists for name in names if isinstance(name, str)]
    pairs = (_pair(name, now_us) for name in dict.fromkeys(names) if not name.startswith(_PAPER))
    return [pair for pair in pairs if pair is not None]
