"""Bitget's futures in USDT, USDC (linear) and coins (inverse), by the third version of its socket.

Facts as of November 2026, from Bitget's documents and a capture of 2026-04-28. What is not obvious:

- `side` is the POSITION: buy = a long liquidated, whose forced order sells.
- `amount` is in the quote currency, not in coins: it is the value of a linear event, and `quantity` here. That it is
  dollars with coin-margined contracts too is not confirmed; such values are marked `inferred`.
- `price` may have 12 decimals, so it is computed or averaged: told as `average_fill`, not confirmed either.
- Events came 10 and 20 s after their trade time in that capture, so an hour waits longer than elsewhere for its last.
- The second version (`channel` instead of `topic`) accepts everything and brings no liquidation.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from rekt.config import Key, Section
from rekt.decoding import INFERRED, bounded_time, distinct, liquidation, step_of
from rekt.errors import FrameError, RestError
from rekt.fields import MAX_NOTIONAL, dollars, is_decimal
from rekt.model import Feed, Instrument, Liquidation, Market
from rekt.venue import (
    Decoded,
    Document,
    Endpoint,
    Heartbeat,
    Notice,
    Reference,
    Tick,
    Venue,
    common_keys,
)

MARKETS: dict[str, Market] = {
    "usdt-futures": "linear",
    "coin-futures": "inverse",
    "usdc-futures": "linear",
}
CANARY = "BTCUSDT"
_SAMPLING = "largest_per_symbol_second"  # at most the largest long and the largest short
_LINEAR = Feed("bitget", "linear", "average_fill", _SAMPLING)
_INVERSE = Feed("bitget", "inverse", "average_fill", _SAMPLING)

_SUBSCRIBE = msgspec.json.encode(
    {
        "op": "subscribe",
        "args": [
            *({"instType": kind, "topic": "liquidation"} for kind in MARKETS),
            {"instType": "usdt-futures", "topic": "ticker", "symbol": CANARY},
        ],
    }
)

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Time = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,16}$")] | int  # ms, quoted or not


class _Argument(msgspec.Struct, rename="camel"):
    inst_type: str = ""
    topic: str = ""
    symbol: str = ""


class _Frame(msgspec.Struct):
    event: str | None = None
    code: str | int = ""
    msg: str = ""
    arg: _Argument | None = None
    ts: _Time | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Row(msgspec.Struct):
    symbol: _Name
    side: Literal["buy", "sell"]
    price: str
    amount: str
    ts: _Time


class _Ticker(msgspec.Struct, rename="camel"):
    mark_price: str = ""


_frame = msgspec.json.Decoder(_Frame).decode
_rows = msgspec.json.Decoder(list[_Row]).decode
_tickers = msgspec.json.Decoder(list[_Ticker]).decode

_KEYS = {
    "ws_url": Key("text", "wss://ws.bitget.com/v3/ws/public", "where the stream is"),
    "rest_url": Key("text", "https://api.bitget.com", "origin of the instruments documents"),
    **common_keys(canary_timeout=10),
}


class Bitget(Venue):
    """The venue `bitget`; pure, so one instance serves every connection, replay and test."""

    name = "bitget"
    keys = _KEYS
    feeds = (_LINEAR, _INVERSE)
    settle_s = 30.0  # events were seen 20.3 s after their trade time
    testnet_hosts = frozenset({"wspap.bitget.com"})
    canary = f"ticker of {CANARY}, on change"
    limits = (
        "10 messages a second; 240 subscriptions an hour; 1000 channels a connection; 100 connections; "
        "cut after 30 s without a ping"
    )
    unconfirmed = (
        "the unit of `amount` in coin-futures (taken for dollars and marked inferred)",
        "whether `price` is the average of the fills",
        "how late events come (30 s are waited for)",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """One address for all."""
        return [Endpoint(settings.text("ws_url"), (_SUBSCRIBE,), heartbeat=Heartbeat(25, b"ping"))]

    def warning(self, settings: Section) -> str | None:
        """The second version of the socket still connects and acknowledges, and never sends a liquidation."""
        path = urlsplit(settings.text("ws_url")).path
        if not path.startswith("/v2/"):
            return None
        return (
            f"the path {path} is of a version of Bitget's socket that acknowledges and never sends a liquidation; "
            "[BITGET] ws_url should end in /v3/ws/public"
        )

    def documents(self, settings: Section) -> list[Document]:
        """The instruments of each kind; one page each."""
        origin = settings.text("rest_url").rstrip("/")
        path = "/api/v3/market/instruments?category="
        return [Document(f"{origin}{path}{kind.upper()}", _READ[market]) for kind, market in MARKETS.items()]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError."""
        if data == b"pong":
            return Notice("other", "pong")
        try:
            frame = _frame(data)
            argument = frame.arg or _Argument()
            if frame.event is not None:
                return _answer(frame, argument)
            if frame.ts is None:
                raise FrameError("neither an event nor an answer")
            told = int(frame.ts)
            if argument.topic == "ticker":
                return _tick(argument, _tickers(frame.data), told, received_us)
            market = MARKETS.get(argument.inst_type)
            if argument.topic == "liquidation" and market is not None:
                events = [_event(row, market, told, received_us, reference) for row in _rows(frame.data)]
                if not events:
                    raise FrameError("a list of liquidations without one")
                return distinct(events)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FrameError(f"not a frame of Bitget: {error}") from None
        raise FrameError(
            f"a topic that was not asked for: {argument.inst_type[:40]!r} {argument.topic[:40]!r}"
        )

    def value(self, event: Liquidation, instrument: Instrument) -> int | None:
        """What was told as amount is the value; the contract adds nothing to it."""
        if event.feed.market != instrument.market or event.filled_quantity is None:
            return None
        worth = dollars(event.filled_quantity, "1")
        return worth if worth <= MAX_NOTIONAL else None

    def fits(self, event: Liquidation, instrument: Instrument) -> bool | None:
        """Whether amount over price, the coins of a linear event, is a multiple of the step, as far as digits tell."""
        amount, price, step = event.filled_quantity, event.average_price, instrument.step
        if amount is None or price is None or step is None:
            return None
        if event.feed.market != "linear" or instrument.market != "linear" or not price.strip("0."):
            return None
        exact = Context(prec=60)
        worth = exact.multiply(Decimal(price), Decimal(step))  # of one step
        steps = exact.divide(Decimal(amount), worth)
        # The amount is rounded at its last digit, the price at its 12th decimal.
        doubt = exact.divide(Decimal(1).scaleb(-len(amount.partition(".")[2])), worth) + steps * Decimal(
            "1e-9"
        )
        return None if doubt > Decimal("0.2") else abs(steps - steps.to_integral_value()) <= doubt


VENUE = Bitget()


def _answer(frame: _Frame, argument: _Argument) -> Notice:
    about = " ".join(filter(None, (argument.topic, argument.inst_type, argument.symbol)))[:100] or None
    if frame.event in ("subscribe", "unsubscribe"):
        return Notice("ack", about=about)
    if frame.event == "error":
        return Notice("error", f"{frame.code}: {frame.msg}"[:300], about=about)
    raise FrameError(f"an answer that is not known: {str(frame.event)[:40]!r}")


def _tick(argument: _Argument, tickers: list[_Ticker], told: int, received_us: int) -> Tick:
    if not tickers:
        raise FrameError("a canary without a price")
    price = tickers[-1].mark_price
    known = argument.symbol == CANARY and is_decimal(price)
    return Tick(bounded_time(told, received_us), price if known else None)


def _event(row: _Row, market: Market, told: int, received_us: int, reference: Reference) -> Liquidation:
    return liquidation(
        _LINEAR if market == "linear" else _INVERSE,
        reference,
        received_us,
        symbol=row.symbol,
        order_side="SELL" if row.side == "buy" else "BUY",
        trade_time=int(row.ts),
        quantity=row.amount,
        average_price=row.price,
        event_time=told,
        notional=row.amount,
        basis=None if market == "linear" else INFERRED,
    )


class _Contract(msgspec.Struct, rename="camel"):
    symbol: _Name
    base_coin: _Name
    quote_coin: _Name
    status: str = "online"
    quantity_multiplier: object = None  # the step of a quantity in coins


class _List(msgspec.Struct):
    data: list[msgspec.Raw]


def _linear(body: bytes, now_us: int) -> list[Instrument]:
    return _instruments(body, now_us, "linear")


def _inverse(body: bytes, now_us: int) -> list[Instrument]:
    return _instruments(body, now_us, "inverse")


_READ = {"linear": _linear, "inverse": _inverse}


def _instruments(body: bytes, now_us: int, market: Market) -> list[Instrument]:
    """The contracts of a document, without a size: none is needed. One that does not fit is left out."""
    try:
        entries = msgspec.json.decode(body, type=_List).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RestError(f"not a list of instruments of Bitget: {error}") from None
    found = []
    for entry in entries:
        try:
            one = msgspec.json.decode(entry, type=_Contract)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if one.status == "online":
            step = step_of(one.quantity_multiplier)
            found.append(
                Instrument("bitget", one.symbol, market, one.base_coin, one.quote_coin, None, now_us, step)
            )
    return found
