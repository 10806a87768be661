"""Gate's perpetual contracts, settled in USDT (linear) and in bitcoin (inverse): an address each.

Facts as of November 2026, from Gate's documents (2026-08-20) and measurements. What is not obvious:

- The sign of `size` is the forced ORDER's: negative = sell = a long liquidated. In the REST list `liq_orders` the same
  field is the position and has the opposite sign, so the two are never mixed.
- `price` is the order's, some tenths of a percent from the fill. |size| is contracts; without the header
  `X-Gate-Size-Decimal` the venue cuts it to a whole number.
- The trade time is called `time` or `time_ms`, in seconds or milliseconds; `result` is a list, or one object.
- There is no id, and equal events in one frame are possible. Since 2026-08-20 events are gathered for about a second.
- Not served: the contracts settled in USD1 (since 2026-08), and the dated ones, which have no such channel.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from rekt.config import Key, Section
from rekt.decoding import bounded_time, distinct, liquidation, step_of
from rekt.errors import FrameError, RestError
from rekt.fields import canonical, is_decimal
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

CHANNEL = "futures.public_liquidates"  # `futures.liquidates` is the private one
TICKERS = "futures.tickers"
_SAMPLING = "batched"  # per contract for about a second, sent early at 20 (2026-08-20)
_LINEAR = Feed("gate", "linear", "order", _SAMPLING)
_INVERSE = Feed("gate", "inverse", "order", _SAMPLING)
_HEADERS = (("X-Gate-Size-Decimal", "1"),)
_PING = Heartbeat(15, b'{"time":{now},"channel":"futures.ping"}')


def _subscribe(channel: str, what: str) -> bytes:
    return b'{"time":{now},"channel":"%b","event":"subscribe","payload":["%b"]}' % (
        channel.encode(),
        what.encode(),
    )


class _Frame(msgspec.Struct):
    channel: str
    event: str = ""
    time: int | None = None
    time_ms: int | None = None
    error: object = None
    result: msgspec.Raw = msgspec.Raw()


class _Order(msgspec.Struct):
    contract: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    size: msgspec.Raw
    price: msgspec.Raw
    time: int | None = None
    time_ms: int | None = None


class _Ticker(msgspec.Struct):
    contract: str
    last: msgspec.Raw


_frame = msgspec.json.Decoder(_Frame).decode
_orders = msgspec.json.Decoder(list[_Order] | _Order).decode
_tickers = msgspec.json.Decoder(list[_Ticker] | _Ticker).decode

_KEYS = {
    "usdt_ws_url": Key(
        "text", "wss://fx-ws.gateio.ws/v4/ws/usdt", "where the stream of the linear market is"
    ),
    "btc_ws_url": Key("text", "wss://fx-ws.gateio.ws/v4/ws/btc", "where the stream of the inverse market is"),
    "rest_url": Key("text", "https://api.gateio.ws", "origin of the contracts documents"),
    **common_keys(canary_timeout=20),
}


class Gate(Venue):
    """The venue `gate`; pure, so one instance serves every connection, replay and test."""

    name = "gate"
    keys = _KEYS
    feeds = (_LINEAR, _INVERSE)
    testnet_hosts = frozenset({"fx-ws-testnet.gateio.ws", "ws-testnet.gate.com"})
    canary = f"{TICKERS} of BTC_USDT and of BTC_USD, on change"
    limits = "none told for public channels"
    unconfirmed = (
        "how often the ticker of BTC_USD comes (canary_timeout allows 20 s)",
        "whether the trade time is in seconds or milliseconds since 2026-08-20 (both are read)",
        "whether one BTC_USD contract is one dollar, as one measurement says",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """An address a market, each with its own canary."""
        return [
            Endpoint(
                settings.text(key),
                (_subscribe(CHANNEL, "!all"), _subscribe(TICKERS, contract)),
                market,
                _PING,
                headers=_HEADERS,
            )
            for key, contract, market in _MARKETS
        ]

    def documents(self, settings: Section) -> list[Document]:
        """The contracts of both markets; one page each."""
        origin = settings.text("rest_url").rstrip("/")
        return [
            Document(f"{origin}/api/v4/futures/usdt/contracts", _linear),
            Document(f"{origin}/api/v4/futures/btc/contracts", _inverse),
        ]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError."""
        try:
            frame = _frame(data)
            if frame.error is not None:
                return Notice("error", str(frame.error)[:300], about=frame.channel[:100])
            if frame.channel == "futures.pong":
                return Notice("other", "pong")
            if frame.event in ("subscribe", "unsubscribe"):
                return Notice("ack", about=frame.channel[:100])
            told = frame.time_ms if frame.time_ms is not None else frame.time
            if told is None or frame.event != "update":
                raise FrameError("neither an event nor an answer")
            if frame.channel == TICKERS:
                return _tick(_tickers(frame.result), told, received_us)
            if frame.channel == CHANNEL:
                orders = _orders(frame.result)
                events = [
                    _event(order, told, received_us, reference)
                    for order in (orders if isinstance(orders, list) else [orders])
                ]
                if not events:
                    raise FrameError("a list of liquidations without one")
                return distinct(events)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FrameError(f"not a frame of Gate: {error}") from None
        raise FrameError(f"a channel that was not asked for: {frame.channel[:40]!r}")


_MARKETS: tuple[tuple[str, str, Market], ...] = (
    ("usdt_ws_url", "BTC_USDT", "linear"),
    ("btc_ws_url", "BTC_USD", "inverse"),
)
VENUE = Gate()


def _tick(tickers: list[_Ticker] | _Ticker, told: int, received_us: int) -> Tick:
    several = tickers if isinstance(tickers, list) else [tickers]
    if not several:
        raise FrameError("a canary without a price")
    ticker = several[-1]
    price = _digits(ticker.last)
    known = ticker.contract in ("BTC_USDT", "BTC_USD") and is_decimal(price)
    return Tick(bounded_time(told, received_us), price if known else None)


def _event(order: _Order, told: int, received_us: int, reference: Reference) -> Liquidation:
    at = order.time_ms if order.time_ms is not None else order.time
    if at is None:
        raise FrameError("a liquidation without its time")
    size = _digits(order.size)
    if not size.strip("-0."):
        raise FrameError("a liquidation of nothing, which has no side")
    instrument = reference.instruments.get(order.contract)
    market = reference.market or (instrument.market if instrument is not None else None)
    if market is None:  # a bare frame of an unlisted contract
        market = "inverse" if order.contract.endswith("_USD") else "linear"
    return liquidation(
        _LINEAR if market == "linear" else _INVERSE,
        reference,
        received_us,
        symbol=order.contract,
        order_side="SELL" if size.startswith("-") else "BUY",
        trade_time=at,
        quantity=size.removeprefix("-"),
        price=_digits(order.price),
        event_time=told,
    )


def _digits(raw: msgspec.Raw) -> str:
    """A number as it was written, quoted or bare; what is none is refused where it is used."""
    return bytes(raw).decode("ascii", "replace").strip('"')


class _Contract(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    type: Literal["direct", "inverse"]
    quanto_multiplier: msgspec.Raw
    order_size_min: object = None  # 1, or "0.1" where decimals are allowed: sizes are multiples of it


def _linear(body: bytes, now_us: int) -> list[Instrument]:
    """Contracts in coins: their size is the multiplier."""
    return [
        Instrument(
            "gate", one.name, "linear", base, quote, canonical(size), now_us, step_of(one.order_size_min)
        )
        for one, base, quote, size in _listed(body)
        if one.type == "direct" and canonical(size) != "0"
    ]


def _inverse(body: bytes, now_us: int) -> list[Instrument]:
    """Contracts of a dollar each, told by a multiplier of 0; another one is not known to be worth anything."""
    return [
        Instrument("gate", one.name, "inverse", base, quote, "1", now_us, step_of(one.order_size_min))
        for one, base, quote, size in _listed(body)
        if one.type == "inverse" and canonical(size) == "0"
    ]


def _listed(body: bytes) -> list[tuple[_Contract, str, str, str]]:
    """Each contract that fits, its base, quote and multiplier. Raises RestError where it is no list."""
    try:
        entries = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RestError(f"not a list of contracts of Gate: {error}") from None
    found = []
    for entry in entries:
        try:
            one = msgspec.json.decode(entry, type=_Contract)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        base, _, quote = one.name.rpartition("_")
        size = _digits(one.quanto_multiplier)
        if base and is_decimal(size):
            found.append((one, base, quote, size))
    return found
