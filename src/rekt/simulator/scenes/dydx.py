"""dYdX v4 as of November 2026: one subscription a market, its answer a backlog, 32 of them a connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import urlsplit

import msgspec

from rekt.simulator.contracts import linear
from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, Scene, decimal_text
from rekt.simulator.subscriptions import Subscriber, nothing

MOST_MARKETS = 32
"""Subscriptions to trades of a connection."""
BACKLOG = 100
"""Trades in the answer to a subscription, at most."""
TRADES = "v4_trades"
BLOCKS = "v4_block_height"

_COINS = (
    *(
        "ADA",
        "AVAX",
        "LINK",
        "DOT",
        "SUI",
        "WIF",
        "ONDO",
        "APT",
        "ARB",
        "OP",
        "NEAR",
        "ATOM",
        "LTC",
        "BCH",
        "UNI",
        "AAVE",
    ),
    *(
        "TRX",
        "TON",
        "SEI",
        "TIA",
        "INJ",
        "FIL",
        "ICP",
        "ETC",
        "XLM",
        "HBAR",
        "RUNE",
        "LDO",
        "CRV",
        "MKR",
        "PEPE",
        "ENA",
    ),
)
INSTRUMENTS = (
    linear("BTC-USD", "BTC", 82000.0, 0, 4, 20, quote="USD"),
    linear("ETH-USD", "ETH", 2450.0, 1, 3, 20, quote="USD"),
    linear("SOL-USD", "SOL", 118.0, 2, 1, 10, quote="USD"),
    linear("DOGE-USD", "DOGE", 0.124, 5, 0, 5, quote="USD"),
    *(linear(f"{coin}-USD", coin, 1.5, 4, 1, quote="USD") for coin in _COINS),  # more than a connection takes
)


class Markets(Subscriber):
    """One connection: its channels are `v4_block_height` and `v4_trades MARKET`."""

    def __init__(self, trades: Mapping[str, Iterable[bytes]], *, routed: bool) -> None:
        super().__init__(routed=routed)
        self._trades = trades

    def greeting(self, now_ms: int) -> Sequence[bytes]:  # noqa: ARG002 (the Protocol's)
        return [b'{"type":"connected","connection_id":"x","message_id":0}']

    def receive(self, message: bytes) -> Sequence[bytes]:
        try:
            request = msgspec.json.decode(message, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return [_error("Invalid message")]
        if request.type not in ("subscribe", "unsubscribe") or request.channel not in (TRADES, BLOCKS):
            return [_error(f"Invalid {request.type} or channel {request.channel}")]
        channel = request.channel
        if channel == TRADES:
            if request.id not in self._trades:
                return [_error(f"Invalid subscription id for channel: ({TRADES}-{request.id})")]
            channel = f"{TRADES} {request.id}"
        head = {"type": request.type + "d", "connection_id": "x", "message_id": 1, "channel": request.channel}
        if request.type == "unsubscribe":
            self._streams.pop(channel, None)
            return [msgspec.json.encode(head | {"id": request.id})]
        if channel in self._streams:
            return [_error(f"Invalid subscribe message: already subscribed ({request.channel}-{request.id})")]
        if (
            request.channel == TRADES
            and sum(name.startswith(TRADES) for name in self._streams) >= MOST_MARKETS
        ):
            return [_error(f"Per-connection subscription limit reached for {TRADES} (limit={MOST_MARKETS})")]
        self._streams[channel] = None
        if request.channel == BLOCKS:
            return [msgspec.json.encode(head | {"contents": {"height": "1", "time": _iso(0)}})]
        trades = [msgspec.Raw(trade) for trade in self._trades[request.id]] if self.routed else []
        return [msgspec.json.encode(head | {"id": request.id, "contents": {"trades": trades}})]


class Dydx(Scene):
    """The venue: every trade is told, a few of them liquidations."""

    # Two subscriptions a second, and an answer to its ping.
    limits = Limits(messages_per_second=3, ping_period_s=30.0, pong_timeout_s=10.0, life_s=86_400.0)
    ws_path = "/v4/ws"
    retired_path = "/v4/retired"
    instruments = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)
        self._by_symbol = {instrument.symbol: instrument for instrument in self.instruments}
        self._trades: dict[str, deque[bytes]] = {symbol: deque(maxlen=BACKLOG) for symbol in self._by_symbol}
        self._numbers = count(1)

    def session(self, path: str) -> Markets | str:
        name = urlsplit(path).path.rstrip("/")
        if name not in (self.ws_path, self.retired_path):
            return "not found"
        return Markets(self._trades, routed=name == self.ws_path)

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        if not order.filled:
            return None
        size, price = (
            decimal_text(order.filled, i.quantity_digits),
            decimal_text(order.average_price, i.price_digits),
        )
        trade = self._trade(order.side, size, price, "LIQUIDATED", order.time_ms)
        return self._told(i.symbol, [trade], Kind.LIQUIDATION, event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        found = []
        for channel in streams:
            if channel == BLOCKS:
                contents = {"blockHeight": str(now_ms // 1000), "time": _iso(now_ms)}
                found.append(Publication(Kind.CANARY, (channel,), _frame(BLOCKS, "", contents), now_ms))
            elif now_ms % 5000 == 0:  # what is no liquidation comes too
                i = self._by_symbol[channel.partition(" ")[2]]
                trade = self._trade("BUY", "1", f"{price(i, now_ms):.{i.price_digits}f}", "LIMIT", now_ms)
                found.append(self._told(i.symbol, [trade], Kind.NOTICE, now_ms))
        return found

    def shutdown_notice(self, now_ms: int) -> Publication:
        return nothing(now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        try:
            told = msgspec.json.decode(frame, type=_Frame)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if told.type != "channel_data":
            return None
        if told.channel == BLOCKS and told.contents.time is not None:
            return Publication(Kind.CANARY, (BLOCKS,), frame, _ms(told.contents.time))
        if told.channel != TRADES or told.id not in self._trades or not told.contents.trades:
            return None
        kinds = [msgspec.json.decode(trade, type=_Trade) for trade in told.contents.trades]
        forced = any(one.type == "LIQUIDATED" for one in kinds)
        self._trades[told.id].extendleft(bytes(trade) for trade in told.contents.trades)
        kind = Kind.LIQUIDATION if forced else Kind.NOTICE
        return Publication(kind, (f"{TRADES} {told.id}",), frame, _ms(kinds[0].created_at))

    def document(self, path: str, now_ms: int) -> bytes | None:  # noqa: ARG002 (the Protocol's)
        if urlsplit(path).path != "/v4/perpetualMarkets":
            return None
        markets = {
            i.symbol: {"ticker": i.symbol, "status": "ACTIVE", "stepSize": decimal_text(1, i.quantity_digits)}
            for i in self.instruments
            if i.symbol not in self.unlisted
        }
        return msgspec.json.encode({"markets": markets})

    def _trade(self, side: str, size: str, price: str, kind: str, time_ms: int) -> bytes:
        number = next(self._numbers)
        trade = {
            "id": f"{time_ms:016x}{number:08x}",
            "side": side,
            "size": size,
            "price": price,
            "type": kind,
            "createdAt": _iso(time_ms),
            "createdAtHeight": str(time_ms // 1000),
        }
        return msgspec.json.encode(trade)

    def _told(self, market: str, trades: Sequence[bytes], kind: Kind, now_ms: int) -> Publication:
        self._trades[market].extendleft(trades)
        contents = {"trades": [msgspec.Raw(trade) for trade in trades]}
        return Publication(kind, (f"{TRADES} {market}",), _frame(TRADES, market, contents), now_ms)


class _Request(msgspec.Struct):
    type: str
    channel: str = ""
    id: str = ""


class _Trade(msgspec.Struct, rename="camel"):
    type: str
    created_at: datetime


class _Contents(msgspec.Struct):
    trades: list[msgspec.Raw] = []
    time: datetime | None = None


class _Frame(msgspec.Struct):
    type: str
    channel: str
    contents: _Contents
    id: str = ""


def _frame(channel: str, market: str, contents: object) -> bytes:
    frame = {"type": "channel_data", "connection_id": "x", "message_id": 7, "id": market, "channel": channel}
    return msgspec.json.encode(frame | {"version": "2.4.0", "contents": contents})


def _error(text: str) -> bytes:
    return msgspec.json.encode({"type": "error", "message": text, "connection_id": "x", "message_id": 4})


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _iso(ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def scene(options: Options) -> Dydx:
    """The scene of this file (see `scenes`)."""
    return Dydx(options)
