"""dYdX v4: liquidations are trades of their own type, with ids, one subscription a market.

Facts from dYdX's documents and source and a live look of 2026-09-17; as of November 2026:
- `type` LIQUIDATED marks them (LIMIT and TWAP_SUBORDER are ordinary, DELEVERAGED is automatic deleveraging: another
  thing). `side` is the liquidation order's. One liquidation may be several fills. `size` is base coins, `createdAt`
  the trade time, `id` the venue's own id of the fill.
- The answer to a subscription is a backlog: the same ids again, so nothing is added twice.
- At most 32 v4_trades subscriptions a connection and two messages a second; the venue closes with 1008 otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Literal

import msgspec

from rekt.config import Key, Section
from rekt.decoding import bounded_time, liquidation, step_of
from rekt.errors import FrameError, RestError
from rekt.model import Feed, Instrument, Liquidation
from rekt.venue import Decoded, Document, Endpoint, Notice, Reference, Tick, Topics, Venue, common_keys

_FEED = Feed("dydx", "linear", "trade", "all")
_TRADES, _BLOCKS = "v4_trades", "v4_block_height"
_KEYS = {
    "ws_url": Key("text", "wss://indexer.dydx.trade/v4/ws", "where the stream is"),
    "rest_url": Key("text", "https://indexer.dydx.trade", "origin of the list of markets"),
    **common_keys(canary_timeout=15),
}


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Trade(msgspec.Struct, rename="camel", gc=False):
    type: str
    id: str = ""
    side: Literal["SELL", "BUY"] | None = None
    size: str = ""
    price: str = ""
    created_at: _Moment | None = None


class _Contents(msgspec.Struct, gc=False):
    trades: list[_Trade] = []
    time: _Moment | None = None


class _Frame(msgspec.Struct, gc=False):
    type: str
    channel: str = ""
    id: str | None = None
    message: str = ""
    contents: _Contents | list[_Contents] | None = None


class _Entry(msgspec.Struct):
    ticker: str
    status: str
    step_size: object = msgspec.field(name="stepSize", default=None)


class _List(msgspec.Struct):
    markets: dict[str, msgspec.Raw]


_decode = msgspec.json.Decoder(_Frame).decode
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)


class Dydx(Venue):
    """The venue `dydx`."""

    name = "dydx"
    keys = _KEYS
    feeds = (_FEED,)
    testnet_hosts = frozenset({"v4testnet.dydx.exchange"})
    canary = "v4_block_height, each block: about a second"
    limits = "32 markets a connection, so several; 2 subscriptions a second"
    unconfirmed = ("the number of markets a connection takes: a refusal's text tells it",)

    def endpoints(self, settings: Section) -> list[Endpoint]:
        """One address; blocks as the canary, then trades market by market."""
        topics = Topics(
            _wanted,
            partial(_request, "subscribe"),
            partial(_request, "unsubscribe"),
            per_connection=32,
        )
        canary = msgspec.json.encode({"type": "subscribe", "channel": _BLOCKS})
        return [Endpoint(settings.text("ws_url"), (canary,), "linear", None, topics, pause_s=0.6)]

    def documents(self, settings: Section) -> list[Document]:
        """The one list."""
        return [Document(f"{settings.text('rest_url').rstrip('/')}/v4/perpetualMarkets", _instruments)]

    def decode(self, data: bytes, received_us: int, reference: Reference) -> Decoded:
        """What a frame says. Raises FrameError."""
        try:
            frame = _decode(data)
        except _WRONG as error:
            raise FrameError(f"not a frame of dYdX: {error}") from None
        told = frame.contents if frame.contents is not None else []
        several = told if isinstance(told, list) else [told]
        if frame.type in ("channel_data", "channel_batch_data", "subscribed"):
            if frame.channel == _TRADES:
                events = tuple(
                    _event(frame.id or "", trade, received_us, reference)
                    for contents in several
                    for trade in contents.trades
                    if trade.type == "LIQUIDATED"
                )
                if frame.type == "subscribed" and not events:
                    return Notice("ack", about=frame.id)
                return events
            if frame.channel != _BLOCKS:
                raise FrameError(f"a channel that was not asked for: {frame.channel[:40]!r}")
            if frame.type == "subscribed":
                return Notice("ack")
            return _tick(several, received_us)
        if frame.type == "unsubscribed":
            return Notice("ack", about=frame.id if frame.channel == _TRADES else None)
        if frame.type == "error":
            return Notice("error", frame.message[:300], about=frame.id)
        if frame.type in ("connected", "pong"):
            return Notice("other")
        raise FrameError(f"neither trades nor an answer: {frame.type[:40]!r}")


VENUE = Dydx()


def _event(symbol: str, trade: _Trade, received_us: int, reference: Reference) -> Liquidation:
    if trade.created_at is None or trade.side is None:
        raise FrameError("a liquidation without its side or createdAt")
    return liquidation(
        _FEED,
        reference,
        received_us,
        symbol=symbol,
        order_side=trade.side,
        trade_time=_milliseconds(trade.created_at),
        quantity=trade.size,
        average_price=trade.price,
        own_id=trade.id,
    )


def _tick(several: Sequence[_Contents], received_us: int) -> Tick:
    times = [contents.time for contents in several if contents.time is not None]
    if not times:
        raise FrameError("a block without its time")
    return Tick(bounded_time(_milliseconds(times[-1]), received_us))


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _request(kind: str, markets: Sequence[str], _number: str) -> bytes:
    return msgspec.json.encode({"type": kind, "channel": _TRADES, "id": markets[0]})


def _wanted(instruments: Iterable[Instrument]) -> list[str]:
    return [instrument.symbol for instrument in instruments]


def _instruments(body: bytes, now_us: int) -> list[Instrument]:
    """The markets that are open; an entry that does not fit is left out."""
    try:
        entries = msgspec.json.decode(body, type=_List).markets
    except _WRONG as error:
        raise RestError(f"not a list of markets: {error}") from None
    found = []
    for entry in entries.values():
        try:
            one = msgspec.json.decode(entry, type=_Entry)
        except _WRONG:
            continue
        base, dash, quote = one.ticker.rpartition("-")
        if one.status == "ACTIVE" and dash and len(one.ticker) <= 64:
            step = step_of(one.step_size)
            found.append(Instrument("dydx", one.ticker, "linear", base, quote, None, now_us, step))
    return found
