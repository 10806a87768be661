"""Binance futures, USD-M and COIN-M: one stream carries both since the merger of 2026-06-30.

Facts as of November 2026, from Binance's documents and change log (2026-03-05, 2026-04-02, 2026-04-10) and from
captures of 2020 to 2026; what each field means is in docs/semantics.md.
"""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from rekt.config import Key, Section
from rekt.decoding import lot_step
from rekt.errors import FrameError, RestError
from rekt.fields import DAY, MAX_NOTIONAL, MIN_TIME, canonical, dollars, event_uid, is_decimal
from rekt.model import Feed, Instrument, Liquidation, Market
from rekt.venue import Decoded, Document, Endpoint, Notice, Reference, Tick, Venue, common_keys
from rekt.worth import DOLLARS

STREAMS = ("!forceOrder@arr", "btcusdt@markPrice@1s")  # the liquidations, and the canary beside them
_SAMPLING = "largest_per_symbol_second"  # change log of 2026-04-10: at most one event per symbol and 1000 ms
_LINEAR = Feed("binance", "linear", "average_fill", _SAMPLING)
_INVERSE = Feed("binance", "inverse", "average_fill", _SAMPLING)

# A contract that no document lists any more: its quote by its name's end. Plain USD is not among them: on Binance
# that ending belongs to the inverse contracts, whose quantity is contracts.
_SUFFIXES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BTC")
_DATED = re.compile(r"_[0-9]{6}", re.ASCII)

# The numbers of an order in one look: plain decimals without needless leading zeros, at most 15 + 24 digits. Asked
# and filled are mostly the same. Not possessive, though a third quicker: CPython 3.11.2 then takes "1." for a number.
_NUMBER = r"(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,24})?"
_three = re.compile(rf"{_NUMBER} {_NUMBER} {_NUMBER}", re.ASCII).fullmatch
_four = re.compile(rf"{_NUMBER} {_NUMBER} {_NUMBER} {_NUMBER}", re.ASCII).fullmatch


class _Order(msgspec.Struct, gc=False):
    s: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    S: Literal["SELL", "BUY"]
    X: Annotated[str, msgspec.Meta(max_length=32)]
    p: str
    ap: str
    q: str
    z: str
    T: int
    st: int | None = None


class _Payload(msgspec.Struct, gc=False):
    e: str | None = None
    E: int | None = None
    o: _Order | None = None
    s: str | None = None
    p: str | None = None
    st: int | None = None


class _Frame(_Payload, gc=False):
    data: _Payload | list[_Payload] | None = None
    result: object = msgspec.UNSET
    error: object = msgspec.UNSET
    code: int | None = None
    msg: str | None = None


_decode = msgspec.json.Decoder(_Frame).decode
_decode_list = msgspec.json.Decoder(list[_Payload]).decode


@lru_cache(4096)
def _inferred_quote(symbol: str) -> str | None:
    base, _, _ = symbol.rpartition("_") if _DATED.fullmatch(symbol[-7:]) else (symbol, "", "")
    for suffix in _SUFFIXES:
        if base.endswith(suffix) and len(base) > len(suffix):
            return suffix
    return None


@lru_cache(4096)
def _inferred_market(symbol: str) -> Market:
    """Of a symbol in no document and without `st`: COIN-M names quote plain USD, USD-M names never do."""
    return (
        "inverse"
        if symbol.partition("_")[0].endswith("USD") and _inferred_quote(symbol) is None
        else "linear"
    )


_KEYS = {
    "ws_url": Key(
        "text", "wss://fstream.binance.com/market/stream", "where the stream is; the path is part of it"
    ),
    "um_rest_url": Key("text", "https://fapi.binance.com", "origin of the USD-M instruments document"),
    "cm_rest_url": Key("text", "https://dapi.binance.com", "origin of the COIN-M instruments document"),
    **common_keys(canary_timeout=5),
}


class Binance(Venue):
    """The venue `binance`; pure, so one instance serves every connection, replay and test."""

    name = "binance"
    keys = _KEYS
    feeds = (_LINEAR, _INVERSE)
    canary = "btcusdt@markPrice@1s, every second"
    openings = (290, 300.0)
    limits = "10 messages a second; 300 connections in 5 minutes; a connection lives 24 h"
    testnet_hosts = frozenset({"binancefuture.com"})

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """The configured address with the streams in it: raw frames under /ws, wrapped ones elsewhere."""
        url = settings.text("ws_url").rstrip("/")
        parts = urlsplit(url)
        if "streams=" in parts.query:
            return [Endpoint(url)]
        if parts.path.endswith("/ws"):
            return [Endpoint(f"{url}/{'/'.join(STREAMS)}")]
        return [Endpoint(f"{url}{'&' if parts.query else '?'}streams={'/'.join(STREAMS)}")]

    def warning(self, settings: Section) -> str | None:
        """The bases retired on 2026-04-23 still connect and acknowledge, and never send a liquidation."""
        parts = urlsplit(settings.text("ws_url"))
        retired = parts.path.rstrip("/").split("/")[1:2] in (["ws"], ["stream"])
        if not retired or self.is_testnet(parts.hostname or ""):
            return None
        return (
            f"the path {parts.path} was retired by Binance on 2026-04-23: it connects, acknowledges, and never sends "
            "a liquidation; [BINANCE] ws_url should end in /market/stream"
        )

    def is_testnet(self, host: str) -> bool:
        """Whether a host's events are play money."""
        return any(host == known or host.endswith("." + known) for known in self.testnet_hosts)

    def documents(self, settings: Section) -> list[Document]:
        """Both exchangeInfo documents."""
        um, cm = settings.text("um_rest_url").rstrip("/"), settings.text("cm_rest_url").rstrip("/")
        return [
            Document(f"{um}/fapi/v1/exchangeInfo", lambda body, now_us: _instruments(body, now_us, "linear")),
            Document(
                f"{cm}/dapi/v1/exchangeInfo", lambda body, now_us: _instruments(body, now_us, "inverse")
            ),
        ]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says, raw or wrapped, before or after the merger. Raises FrameError."""
        try:
            frame = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            if data.lstrip()[:1] != b"[":
                raise FrameError(f"not a frame of Binance: {error}") from None
            return self._several(data, received_us, reference)
        payload = frame.data if frame.data is not None else frame
        if isinstance(payload, list):
            return self._events(payload, received_us, reference)
        if payload.e == "forceOrder":
            return (_event(payload, received_us, reference, 0),)
        return _control(payload, frame, received_us)

    def _several(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """The stream's name promises an array; none was ever seen, and one would be read all the same."""
        try:
            payloads = _decode_list(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FrameError(f"not a frame of Binance: {error}") from None
        return self._events(payloads, received_us, reference)

    def _events(self, payloads: list[_Payload], received_us: int, reference: Reference) -> Decoded:
        if not payloads or any(payload.e != "forceOrder" for payload in payloads):
            raise FrameError("an array that holds something other than forceOrder events")
        seen: Counter[bytes] = Counter()
        events = []
        for payload in payloads:
            event = _event(payload, received_us, reference, 0)
            ordinal = seen[event.uid]
            seen[event.uid] += 1
            events.append(_event(payload, received_us, reference, ordinal) if ordinal else event)
        return tuple(events)


VENUE = Binance()


def _event(payload: _Payload, received_us: int, reference: Reference, ordinal: int) -> Liquidation:
    order, event_time = payload.o, payload.E
    if order is None or event_time is None:
        raise FrameError("forceOrder without `o` or `E`")
    symbol, order_side, trade_time = order.s, order.S, order.T
    latest = received_us // 1000 + DAY
    if not (MIN_TIME <= trade_time <= latest and MIN_TIME <= event_time <= latest):
        raise FrameError(f"a time out of bounds: T={trade_time}, E={event_time}")
    price, average, quantity, filled = order.p, order.ap, order.q, order.z
    if quantity == filled:
        filled = quantity  # one text for both, like the symbol's below: many may wait
        plain = _three(f"{price} {average} {filled}")
    else:
        plain = _four(f"{price} {average} {filled} {quantity}")
    if plain:  # no leading zeros: only trailing ones to take off
        price_c = price.rstrip("0").rstrip(".") if price[-1] == "0" and "." in price else price
        average_c = average.rstrip("0").rstrip(".") if average[-1] == "0" and "." in average else average
        filled_c = filled.rstrip("0").rstrip(".") if filled[-1] == "0" and "." in filled else filled
    else:
        for name, text in (("p", price), ("ap", average), ("q", quantity), ("z", filled)):
            if not is_decimal(text):
                raise FrameError(f"{name} is no plain decimal within the bounds: {text[:60]!r}")
        price_c, average_c, filled_c = canonical(price), canonical(average), canonical(filled)

    instrument = reference.instruments.get(symbol)
    if instrument is not None:
        symbol = instrument.symbol
    kind = order.st if order.st is not None else payload.st
    if kind == 1 or (
        kind != 2 and (instrument.market if instrument else _inferred_market(symbol)) == "linear"
    ):
        feed, notional, basis = _LINEAR, None, None
        if instrument is not None and instrument.market == "linear":
            quote: str | None = instrument.quote
        else:
            quote, basis = _inferred_quote(symbol), "inferred"
        if quote in DOLLARS:
            notional = dollars(filled, average)
        elif quote == "BTC" and (btc := reference.price_at(trade_time)) is not None:
            notional = dollars(filled, average, btc)
            basis = f"inferred, BTC {btc}" if basis else f"BTC {btc}"
        else:
            basis = None
    else:
        feed, notional, basis = _INVERSE, None, None
        if instrument is not None and instrument.market == "inverse" and instrument.contract_size is not None:
            notional = dollars(filled, instrument.contract_size)
    if notional is not None and notional > MAX_NOTIONAL:
        raise FrameError(f"a notional out of bounds: {notional / 1e6:.0f} USD")
    key = f"binance\x1f{symbol}\x1f{trade_time}\x1f{order_side}\x1f{price_c}\x1f{average_c}\x1f{filled_c}\x1f{ordinal}"
    return _new(
        Liquidation,
        (
            feed,
            trade_time,
            event_uid(key),
            symbol,
            order_side,
            order.X,
            price,
            average,
            quantity,
            filled,
            notional,
            basis,
            event_time,
            received_us,
        ),
    )


_new = tuple.__new__  # a NamedTuple's own constructor costs twice as much


def _control(payload: _Payload, frame: _Frame, received_us: int) -> Tick | Notice:
    if payload.e == "markPriceUpdate":
        if payload.E is None or not MIN_TIME <= payload.E <= received_us // 1000 + DAY:
            raise FrameError(f"a canary with a time out of bounds: {payload.E}")
        if payload.s != "BTCUSDT" or payload.p is None or not is_decimal(payload.p):
            return Tick(payload.E)
        return Tick(payload.E, payload.p)
    if payload.e == "serverShutdown":
        return Notice("reconnect", "the venue announces a shutdown")
    if payload.e is not None:
        raise FrameError(f"an event that was not asked for: {payload.e[:40]!r}")
    if frame.error is not msgspec.UNSET or frame.code is not None:
        told = frame.error if frame.error is not msgspec.UNSET else f"{frame.code}: {frame.msg}"
        return Notice("error", str(told)[:300])
    if frame.result is not msgspec.UNSET:
        return Notice("ack")
    raise FrameError("neither an event nor an answer")


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    base_asset: str
    quote_asset: str
    contract_size: Decimal | None = None
    filters: object = None


class _Information(msgspec.Struct):
    symbols: list[msgspec.Raw]


def _instruments(body: bytes, now_us: int, market: Market) -> list[Instrument]:
    """The contracts of an exchangeInfo document; an entry that does not fit is left out, its symbol unknown."""
    try:
        entries = msgspec.json.decode(body, type=_Information).symbols
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RestError(f"not an exchangeInfo document: {error}") from None
    found = []
    for entry in entries:
        try:
            one = msgspec.json.decode(entry, type=_Symbol)
        except (msgspec.MsgspecError, RecursionError):
            continue
        size = (
            format(one.contract_size, "f") if market == "inverse" and one.contract_size is not None else None
        )
        if size is not None and not is_decimal(size):
            size = None
        step = lot_step(one.filters)
        found.append(
            Instrument("binance", one.symbol, market, one.base_asset, one.quote_asset, size, now_us, step)
        )
    return found
