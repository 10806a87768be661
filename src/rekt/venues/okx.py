"""OKX swaps and futures, linear and inverse: one channel carries a whole kind of instrument.

Facts as of November 2026, from OKX's documents and from captures of 2026-09-18. What is not obvious:

- `posSide` is the position; where it is `net`, `side` is the forced order's. Both agreed in 100 of 100 captured.
- `bkPx` is the price of the transfer to the liquidation account. The text speaks of a mark price: unconfirmed.
- `sz` is contracts, maybe a part of one. Whether a contract is linear is told by its document (`ctType`), never by
  its name: FUTURES carries linear perpetuals in USD as well (`BTC-USD_UM_XPERP-310404`).
- There is no id. A first message after subscribing may repeat what was told before: the identity has no arrival
  time in it, so nothing is dropped and nothing comes twice.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from rekt.config import Key, Section
from rekt.decoding import bounded_time, distinct, liquidation, step_of
from rekt.errors import FrameError, RestError
from rekt.fields import canonical, is_decimal
from rekt.model import Feed, Instrument, Liquidation, Market, OrderSide
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
from rekt.worth import product

KINDS = ("SWAP", "FUTURES")
CANARY = "BTC-USDT-SWAP"
_SAMPLING = "unspecified"  # "not the total"; until 2026-07 the text said one order per contract and second
_LINEAR = Feed("okx", "linear", "bankruptcy", _SAMPLING)
_INVERSE = Feed("okx", "inverse", "bankruptcy", _SAMPLING)
_CLOSING = "64008"  # the notice that announces a close, about a minute ahead

_SUBSCRIBE = msgspec.json.encode(
    {
        "id": "1",
        "op": "subscribe",
        "args": [
            *({"channel": "liquidation-orders", "instType": kind} for kind in KINDS),
            {"channel": "mark-price", "instId": CANARY},
        ],
    }
)

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Time = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,16}$")]


class _Argument(msgspec.Struct, rename="camel"):
    channel: str = ""
    inst_type: str = ""
    inst_id: str = ""


class _Frame(msgspec.Struct, rename="camel"):
    event: str | None = None
    code: str = ""
    msg: str = ""
    arg: _Argument | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Detail(msgspec.Struct, rename="camel"):
    pos_side: Literal["long", "short", "net"]
    side: Literal["buy", "sell"]
    sz: str
    bk_px: str
    ts: _Time


class _Row(msgspec.Struct, rename="camel"):
    inst_id: _Name
    details: list[_Detail]
    inst_family: str = ""


class _Mark(msgspec.Struct, rename="camel"):
    inst_id: str
    mark_px: str
    ts: _Time


_frame = msgspec.json.Decoder(_Frame).decode
_rows = msgspec.json.Decoder(list[_Row]).decode
_marks = msgspec.json.Decoder(list[_Mark]).decode

_KEYS = {
    "ws_url": Key("text", "wss://ws.okx.com:8443/ws/v5/public", "where the stream is"),
    "rest_url": Key("text", "https://www.okx.com", "origin of the instruments documents"),
    **common_keys(canary_timeout=15),  # a mark price that stands still is told every 10 s
}


class Okx(Venue):
    """The venue `okx`; pure, so one instance serves every connection, replay and test."""

    name = "okx"
    keys = _KEYS
    feeds = (_LINEAR, _INVERSE)
    testnet_hosts = frozenset({"wspap.okx.com", "wseeapap.okx.com", "wsuspap.okx.com"})
    canary = f"mark-price of {CANARY}: 200 ms on change, else 10 s"
    limits = (
        "3 connections a second; 480 subscriptions an hour and connection; cut after 30 s without a message"
    )
    unconfirmed = (
        "whether bkPx is the bankruptcy price (the text speaks of a mark price)",
        "whether the first message after subscribing is a backlog",
        "whether more than one order per contract and second is told",
    )

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """One address for both markets."""
        return [Endpoint(settings.text("ws_url"), (_SUBSCRIBE,), heartbeat=Heartbeat(20, b"ping"))]

    def documents(self, settings: Section) -> list[Document]:
        """The instruments of both kinds; one page each."""
        origin = settings.text("rest_url").rstrip("/")
        path = "/api/v5/public/instruments?instType="
        return [Document(f"{origin}{path}{kind}", _instruments) for kind in KINDS]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError."""
        if data == b"pong":
            return Notice("other", "pong")
        try:
            frame = _frame(data)
            if frame.event is not None:
                return _answer(frame)
            if frame.arg is None:
                raise FrameError("neither an event nor an answer")
            if frame.arg.channel == "mark-price":
                return _tick(_marks(frame.data), received_us)
            if frame.arg.channel == "liquidation-orders":
                events = [
                    _event(row, detail, received_us, reference)
                    for row in _rows(frame.data)
                    for detail in row.details
                ]
                if not events:
                    raise FrameError("a list of liquidations without one")
                return distinct(events)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FrameError(f"not a frame of OKX: {error}") from None
        raise FrameError(f"a channel that was not asked for: {frame.arg.channel[:40]!r}")


VENUE = Okx()


def _answer(frame: _Frame) -> Notice:
    argument = frame.arg or _Argument()
    about = " ".join(filter(None, (argument.channel, argument.inst_type, argument.inst_id)))[:100] or None
    match frame.event:
        case "subscribe" | "unsubscribe":
            return Notice("ack", about=about)
        case "error":
            return Notice("error", f"{frame.code}: {frame.msg}"[:300], about=about)
        case "notice":
            return Notice(
                "reconnect" if frame.code == _CLOSING else "other", f"{frame.code}: {frame.msg}"[:300]
            )
    raise FrameError(f"an answer that is not known: {str(frame.event)[:40]!r}")


def _tick(marks: list[_Mark], received_us: int) -> Tick:
    if not marks:
        raise FrameError("a canary without a price")
    mark = marks[-1]
    known = mark.inst_id == CANARY and is_decimal(mark.mark_px)
    return Tick(bounded_time(int(mark.ts), received_us), mark.mark_px if known else None)


def _event(row: _Row, detail: _Detail, received_us: int, reference: Reference) -> Liquidation:
    order: OrderSide = "SELL" if detail.side == "sell" else "BUY"
    if detail.pos_side != "net" and (detail.pos_side == "long") != (order == "SELL"):
        raise FrameError(f"a {detail.pos_side} position closed by a {detail.side}")
    instrument = reference.instruments.get(row.inst_id)
    market = instrument.market if instrument is not None else _inferred_market(row)
    return liquidation(
        _LINEAR if market == "linear" else _INVERSE,
        reference,
        received_us,
        symbol=row.inst_id,
        order_side=order,
        trade_time=int(detail.ts),
        quantity=detail.sz,
        price=detail.bk_px or None,
    )


def _inferred_market(row: _Row) -> Market:
    """Of a contract in no document: families quoted in plain USD are inverse, but for the `_UM` ones."""
    family = row.inst_family or "-".join(row.inst_id.split("-")[:2])
    return "inverse" if family.endswith("-USD") else "linear"


class _Contract(msgspec.Struct, rename="camel"):
    inst_id: _Name
    ct_type: Literal["linear", "inverse"]
    ct_val: str
    ct_val_ccy: _Name
    settle_ccy: _Name
    ct_mult: str = "1"
    state: str = "live"
    lot_sz: object = None


class _List(msgspec.Struct, rename="camel"):
    data: list[msgspec.Raw]


def _instruments(body: bytes, now_us: int) -> list[Instrument]:
    """The contracts of a document; one that does not fit is left out, its size unknown."""
    try:
        entries = msgspec.json.decode(body, type=_List).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RestError(f"not a list of instruments of OKX: {error}") from None
    found = []
    for entry in entries:
        try:
            one = msgspec.json.decode(entry, type=_Contract)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if one.state not in ("live", "suspend") or not (is_decimal(one.ct_val) and is_decimal(one.ct_mult)):
            continue
        # A linear contract is so many coins, an inverse one so much of the quote; counted in what it is settled in,
        # the size would say something else.
        if one.ct_val_ccy == one.settle_ccy:
            continue
        size = canonical(product(one.ct_val, one.ct_mult))
        if size == "0" or not is_decimal(size):
            continue
        coins = one.settle_ccy, one.ct_val_ccy
        base, quote = coins if one.ct_type == "inverse" else coins[::-1]
        step = step_of(one.lot_sz)
        found.append(Instrument("okx", one.inst_id, one.ct_type, base, quote, size, now_us, step))
    return found
