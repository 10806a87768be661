"""HTX (once Huobi), linear swaps and dated contracts, and coin swaps: one channel a market, every frame gzip.

Facts from HTX's documents, several captures and a live look of 2026-09-18; seen as of November 2026:
- `direction` is the forced ORDER, with `offset` close: sell closes a long (argued from the fields, not measured). With
  another offset the side is not known: such a frame is quarantined, which keeps and counts it.
- `price` is the bankruptcy price. Linear: `amount` is coins, `trade_turnover` the value in the quote. Coin swaps:
  `volume` is contracts, each worth `contract_size` USD. Numbers may be quoted. `created_at` is the trade time, the
  outer `ts` the event time (ms). No id.
- The server's own ping (5 s) must be answered with its token, in its type. It proves the transport alone; that this
  connection delivers is proved by the funding rate, pushed each 60 s. Market channels are at another address.
- Coin dated contracts (`/notification`) have no funding rate, so nothing would tell a gap from a calm: not recorded.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec

from rekt.config import Key, Section
from rekt.decoding import bounded_time, digits, distinct, inflated, liquidation, step_of
from rekt.errors import FrameError, RestError
from rekt.fields import is_decimal
from rekt.model import Feed, Instrument, Liquidation, Market, OrderSide
from rekt.venue import Decoded, Document, Endpoint, Notice, Reference, Tick, Venue, common_keys
from rekt.worth import DOLLARS

_FEEDS: dict[Market, Feed] = {
    "linear": Feed("htx", "linear", "bankruptcy", "unspecified"),
    "inverse": Feed("htx", "inverse", "bankruptcy", "unspecified"),
}
_CANARY: dict[Market, str] = {
    "linear": "public.BTC-USDT.funding_rate",
    "inverse": "public.BTC-USD.funding_rate",
}
_LISTS: dict[Market, str] = {
    "linear": "/linear-swap-api/v1/swap_contract_info?business_type=all",
    "inverse": "/swap-api/v1/swap_contract_info",
}
_TOPIC = "public.*.liquidation_orders"
_ORDER: dict[str, OrderSide] = {"sell": "SELL", "buy": "BUY"}
_GZIP = b"\x1f\x8b"
_ALREADY = 2014  # subscribed already: harmless
_KEYS = {
    "linear_ws_url": Key(
        "text", "wss://api.hbdm.com/linear-swap-notification", "the stream of USDT-margined contracts"
    ),
    "inverse_ws_url": Key(
        "text", "wss://api.hbdm.com/swap-notification", "the stream of coin-margined swaps"
    ),
    "rest_url": Key("text", "https://api.hbdm.com", "origin of the lists of contracts"),
    **common_keys(canary_timeout=130),
}


class _Event(msgspec.Struct, gc=False):
    contract_code: str
    direction: Literal["sell", "buy"]
    offset: str
    volume: msgspec.Raw
    price: msgspec.Raw
    created_at: msgspec.Raw
    amount: msgspec.Raw
    trade_turnover: msgspec.Raw = msgspec.Raw()


class _Frame(msgspec.Struct, rename="kebab", gc=False):
    op: str
    topic: str = ""
    ts: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    err_code: int = 0
    err_msg: str = ""


class _Entry(msgspec.Struct):
    contract_code: str
    contract_size: msgspec.Raw
    contract_status: int


class _List(msgspec.Struct):
    status: str
    data: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(_Frame).decode
_decode_events = msgspec.json.Decoder(list[_Event]).decode
_decode_time = msgspec.json.Decoder(int, strict=False).decode
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Htx(Venue):
    """The venue `htx`."""

    name = "htx"
    keys = _KEYS
    feeds = tuple(_FEEDS.values())
    canary = "funding_rate of BTC-USDT and BTC-USD, each 60 s"
    limits = "each ping (5 s) answered with its token, or cut at about 30 s"
    unconfirmed = (
        "the side: argued from direction and offset, not measured; `sides` tells, recorded beside a venue that tells bitcoin's price",
        "whether more than one event per contract and second is told",
        "whether the coin swaps' stream is alive: its funding rate tells",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """One address a market: the canary, then all its liquidations."""
        return [
            Endpoint(settings.text(f"{market}_ws_url"), (_request(canary, 1), _request(_TOPIC, 2)), market)
            for market, canary in _CANARY.items()
        ]

    def documents(self, settings: Section) -> list[Document]:
        """Both lists; one page each."""
        origin = settings.text("rest_url").rstrip("/")
        return [Document(origin + path, partial(_instruments, market)) for market, path in _LISTS.items()]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says, packed as it comes or unfolded by who recorded it. Raises FrameError."""
        text = inflated(data) if data.startswith(_GZIP) else data
        try:
            frame = _decode(text)
            if frame.op == "notify":
                time = bounded_time(_decode_time(frame.ts), received_us)
                if frame.topic.endswith(".liquidation_orders"):
                    return distinct(
                        _event(event, time, received_us, reference) for event in _decode_events(frame.data)
                    )
                if frame.topic.endswith(".funding_rate"):
                    return Tick(time)
        except _WRONG as error:
            raise FrameError(f"not a frame of HTX: {error}") from None
        return _said(frame)


VENUE = Htx()


def _event(event: _Event, time: int, received_us: int, reference: Reference) -> Liquidation:
    symbol = event.contract_code
    listed = reference.instruments.get(symbol)
    market = reference.market or (listed.market if listed else None)
    if market is None:
        raise FrameError("neither the endpoint nor a list tells the market (replay takes --market)")
    if event.offset != "close":
        raise FrameError(f"an offset that leaves the side unknown: {event.offset[:20]!r}")
    linear = market == "linear"
    quote = symbol.split("-")[1] if "-" in symbol else ""
    return liquidation(
        _FEEDS[market],
        reference,
        received_us,
        symbol=symbol,
        order_side=_ORDER[event.direction],
        trade_time=_decode_time(event.created_at),
        quantity=digits(event.amount if linear else event.volume),
        price=digits(event.price),
        event_time=time,
        notional=digits(event.trade_turnover)
        if linear and event.trade_turnover and quote in DOLLARS
        else None,
    )


def _said(frame: _Frame) -> Notice:
    if frame.op == "ping":
        if not 0 < len(token := bytes(frame.ts)) <= 64:
            raise FrameError(f"a ping's token of {len(token)} bytes")
        return Notice("other", reply=b'{"op":"pong","ts":%b}' % token)
    if frame.op == "error" or frame.err_code not in (0, _ALREADY):
        return Notice("error", f"{frame.err_code}: {frame.err_msg}"[:300], about=frame.topic[:100] or None)
    if frame.op in ("sub", "unsub"):
        return Notice("ack", about=frame.topic[:100] or None)
    if frame.op == "close":
        return Notice("reconnect", f"the venue closes the connection {frame.err_msg}".strip()[:300])
    raise FrameError(f"neither an event nor an answer: {frame.op[:40]!r}")


def _request(topic: str, number: int) -> bytes:
    return msgspec.json.encode({"op": "sub", "cid": str(number), "topic": topic})


def _coins(one: _Entry) -> str | None:
    """The coins of a linear contract: its events tell multiples of them."""
    try:
        return step_of(digits(one.contract_size))
    except FrameError:
        return None


def _instruments(market: Market, body: bytes, now_us: int) -> list[Instrument]:
    """The contracts that trade (status 1); an entry that does not fit is left out."""
    try:
        answer = msgspec.json.decode(body, type=_List)
    except _WRONG as error:
        raise RestError(f"not a list of contracts: {error}") from None
    if answer.status != "ok":
        raise RestError(f"HTX refuses its list: {answer.status[:200]}")
    found = []
    for entry in answer.data:
        try:
            one = msgspec.json.decode(entry, type=_Entry)
            size = (
                digits(one.contract_size) if market == "inverse" else None
            )  # linear events tell their coins
        except (*_WRONG, FrameError):
            continue
        base, dash, rest = one.contract_code.partition("-")
        if (
            one.contract_status == 1
            and dash
            and len(one.contract_code) <= 64
            and (size is None or is_decimal(size))
        ):
            quote = rest.partition("-")[0]  # BTC-USDT, BTC-USDT-261225
            step = "1" if market == "inverse" else _coins(one)
            found.append(Instrument("htx", one.contract_code, market, base, quote, size, now_us, step))
    return found
