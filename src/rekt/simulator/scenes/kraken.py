"""Kraken Futures as of November 2026: feeds by product, `event` answers, a snapshot of trades at each subscription."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec

from rekt.simulator.contracts import inverse, linear
from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, Scene, decimal_text
from rekt.simulator.subscriptions import Subscriber, nothing

BACKLOG = 100
"""Trades in a snapshot, at most."""

INSTRUMENTS = (
    linear("PF_XBTUSD", "BTC", 82000.0, 0, 4, 9, quote="USD"),
    linear("PF_ETHUSD", "ETH", 2450.0, 1, 3, 8, quote="USD"),
    linear("PF_SOLUSD", "SOL", 118.0, 2, 2, 4, quote="USD"),
    linear("PF_DOGEUSD", "DOGE", 0.124, 6, 0, 2, quote="USD"),
    inverse("PI_XBTUSD", "BTC", 82005.0, 1, 2),
    inverse("PI_XRPUSD", "XRP", 1.49, 4),
    inverse("FI_XBTUSD_261225", "BTC", 82655.0, 1),
)


class Feeds(Subscriber):
    """One connection: its channels are `heartbeat`, `ticker PRODUCT` and `trade PRODUCT`."""

    def __init__(self, trades: Mapping[str, Iterable[bytes]], *, routed: bool) -> None:
        super().__init__(routed=routed)
        self._trades = trades

    def greeting(self, now_ms: int) -> Sequence[bytes]:  # noqa: ARG002 (the Protocol's)
        return [b'{"event":"info","version":1}']

    def receive(self, message: bytes) -> Sequence[bytes]:
        try:
            request = msgspec.json.decode(message, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return [b'{"event":"alert","message":"Bad request"}']
        if request.event not in ("subscribe", "unsubscribe"):
            return [b'{"event":"alert","message":"Bad request"}']
        done = request.event + "d"
        if request.feed == "heartbeat":
            self._change(done, "heartbeat")
            return [msgspec.json.encode({"event": done, "feed": "heartbeat"})]
        if request.feed not in ("ticker", "trade"):
            return [b'{"event":"error","message":"Invalid feed"}']
        replies = []
        for product in request.product_ids:
            if product not in self._trades:
                replies.append(b'{"event":"error","message":"Invalid product id"}')
                continue
            self._change(done, f"{request.feed} {product}")
            answer = {"event": done, "feed": request.feed, "product_ids": [product]}
            replies.append(msgspec.json.encode(answer))
            if request.feed == "trade" and done == "subscribed" and self.routed:
                replies.append(_snapshot(product, self._trades[product]))
        return replies

    def _change(self, done: str, channel: str) -> None:
        if done == "subscribed":
            self._streams[channel] = None
        else:
            self._streams.pop(channel, None)


class Kraken(Scene):
    """The venue: every trade is told, a few of them liquidations."""

    limits = Limits(100, ping_period_s=86_400.0, pong_timeout_s=60.0, life_s=86_400.0, silence_s=60.0)
    ws_path = "/ws/v1"
    retired_path = "/ws/retired"
    instruments = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)
        self._by_symbol = {instrument.symbol: instrument for instrument in self.instruments}
        self._trades: dict[str, deque[bytes]] = {symbol: deque(maxlen=BACKLOG) for symbol in self._by_symbol}
        self._numbers = count(1)

    def session(self, path: str) -> Feeds | str:
        name = urlsplit(path).path.rstrip("/")
        if name not in (self.ws_path, self.retired_path):
            return "not found"
        return Feeds(self._trades, routed=name == self.ws_path)

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        if not order.filled:
            return None
        text = self._trade(
            i,
            order.side.lower(),
            "liquidation",
            order.time_ms,
            decimal_text(order.filled, i.quantity_digits),
            decimal_text(order.average_price, i.price_digits),
        )
        return self._told(i.symbol, text, Kind.LIQUIDATION, event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        found = []
        for channel in streams:
            if channel == "heartbeat":
                beat = b'{"feed":"heartbeat","time":%d}' % now_ms
                found.append(Publication(Kind.CANARY, (channel,), beat, now_ms))
                continue
            feed, _, product = channel.partition(" ")
            i = self._by_symbol[product]
            mark = f"{price(i, now_ms):.{i.price_digits}f}"
            if feed == "ticker":
                text = f'{{"time":{now_ms},"product_id":"{product}","feed":"ticker","markPrice":{mark},"tag":"perpetual"}}'
                found.append(Publication(Kind.CANARY, (channel,), text.encode(), now_ms))
            elif now_ms % 3000 == 0:  # what is no liquidation comes too
                fill = self._trade(i, "buy", "fill", now_ms, "1", mark)
                found.append(self._told(product, fill, Kind.NOTICE, now_ms))
        return found

    def shutdown_notice(self, now_ms: int) -> Publication:
        return nothing(now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        try:
            told = msgspec.json.decode(frame, type=_Frame)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if told.feed == "trade" and told.product_id in self._trades:
            kind = Kind.LIQUIDATION if told.type == "liquidation" else Kind.NOTICE
            return self._told(told.product_id, frame, kind, told.time)
        if told.feed in ("ticker", "heartbeat"):
            return Publication(Kind.CANARY, (f"{told.feed} {told.product_id}".strip(),), frame, told.time)
        return None

    def document(self, path: str, now_ms: int) -> bytes | None:
        if urlsplit(path).path != "/derivatives/api/v3/instruments":
            return None
        listed = [_listing(i) for i in self.instruments if i.symbol not in self.unlisted]
        index = {"symbol": "in_xbtusd", "type": "spot index", "tradeable": False}
        return msgspec.json.encode(
            {"result": "success", "instruments": [*listed, index], "serverTime": str(now_ms)}
        )

    def _trade(self, i: Instrument, side: str, kind: str, time_ms: int, quantity: str, price: str) -> bytes:
        number = next(self._numbers)
        text = (
            f'{{"feed":"trade","product_id":"{i.symbol}","uid":"{time_ms:x}-{number:08x}","side":"{side}","type":"{kind}",'
            f'"seq":{number},"time":{time_ms},"qty":{quantity},"price":{price}}}'
        )
        return text.encode()

    def _told(self, product: str, text: bytes, kind: Kind, now_ms: int) -> Publication:
        self._trades[product].appendleft(text)
        return Publication(kind, (f"trade {product}",), text, now_ms)


class _Request(msgspec.Struct):
    event: str
    feed: str = ""
    product_ids: list[str] = []


class _Frame(msgspec.Struct):
    feed: str
    time: int
    product_id: str = ""
    type: str = ""


def _snapshot(product: str, trades: Iterable[bytes]) -> bytes:
    head = f'{{"feed":"trade_snapshot","product_id":"{product}","trades":['
    return head.encode() + b",".join(trades) + b"]}"


def _listing(i: Instrument) -> dict[str, Any]:
    listing: dict[str, Any] = {
        "symbol": i.symbol,
        "type": "flexible_futures" if i.market == "linear" else "futures_inverse",
        "contractSize": 1,
        "contractValueTradePrecision": i.quantity_digits,
        "tradeable": True,
    }
    return listing | ({"base": i.base, "quote": i.quote} if i.market == "linear" else {})


def scene(options: Options) -> Kraken:
    """The scene of this file (see `scenes`)."""
    return Kraken(options)
