"""BitMEX as of November 2026: tables with actions, orders that stand for some seconds, a text heartbeat."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec

from rekt.simulator.contracts import inverse, linear
from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, Scene, decimal_text
from rekt.simulator.subscriptions import Subscriber, nothing

STANDS_MS = 5_000
"""So long an order stands before it is filled and deleted."""
ORDERS, INSTRUMENT = "liquidation", "instrument"
QUANTO = 100
"""Satoshi that a quanto contract is worth, times its price."""
COIN = 1_000_000
"""Contracts that a coin has, of linear ones."""

INSTRUMENTS = (
    inverse("XBTUSD", "XBT", 82000.0, 1, 9),
    replace(inverse("XBTEUR", "XBT", 75000.0, 1, 1), quote="EUR"),
    inverse("XBTZ26", "XBT", 82650.0, 1, 1),
    linear("XBTUSDT", "XBT", 82010.0, 1, 0, 5, size=1 / COIN),
    linear("SOLUSDT", "SOL", 118.0, 2, 0, 2, size=1 / COIN),
    linear("ETHUSD", "ETH", 2450.0, 2, 0, 4, quote="USD", size=QUANTO / 1e8 * 82000),
)
_QUANTOS = frozenset({"ETHUSD"})


class Tables(Subscriber):
    """One connection: its channels are `liquidation` and `instrument:SYMBOL`."""

    def __init__(self, symbols: Collection[str], standing: Callable[[str], bytes], *, routed: bool) -> None:
        super().__init__(routed=routed)
        self._symbols = symbols
        self._standing = standing

    def greeting(self, now_ms: int) -> Sequence[bytes]:
        welcome = {
            "info": "Welcome to the BitMEX Realtime API.",
            "version": "2.0.0",
            "timestamp": _iso(now_ms),
            "limit": {"remaining": 39},
        }
        return [msgspec.json.encode(welcome)]

    def receive(self, message: bytes) -> Sequence[bytes]:
        if message == b"ping":
            return [b"pong"]
        try:
            request = msgspec.json.decode(message, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_error("Unexpected token in JSON", {})]
        echo = {"op": request.op, "args": request.args}
        if request.op not in ("subscribe", "unsubscribe") or not request.args:
            return [_error(f"Unrecognized operation: {request.op}", echo)]
        replies = []
        for channel in request.args:
            table, _, symbol = channel.partition(":")
            if table not in (ORDERS, INSTRUMENT) or (table == INSTRUMENT and symbol not in self._symbols):
                replies.append(_error(f"Unknown or expired symbol or table: {channel}", echo))
                continue
            replies.append(msgspec.json.encode({"success": True, request.op: channel, "request": echo}))
            if request.op == "unsubscribe":
                self._streams.pop(channel, None)
            elif channel not in self._streams:
                self._streams[channel] = None
                if self.routed:
                    replies.append(self._standing(channel))
        return replies


class Bitmex(Scene):
    """The venue: orders are inserted, stand a while, and go."""

    # Its greeting tells how many connections are left; that they are an hour's is assumed.
    limits = Limits(20, ping_period_s=86_400.0, pong_timeout_s=60.0, life_s=86_400.0, openings=(40, 3600.0))
    ws_path = "/realtime"
    retired_path = "/realtimesilent"
    instruments = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)
        self._by_symbol = {i.symbol: i for i in self.instruments}
        self._standing: dict[str, tuple[int, dict[str, Any]]] = {}
        self._numbers = count(1)

    def session(self, path: str) -> Tables | str:
        name = urlsplit(path).path
        if name not in (self.ws_path, self.retired_path):
            return "not found"
        return Tables(self._by_symbol, self._partial, routed=name == self.ws_path)

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        if not order.filled:
            return None
        key = f"{event_time_ms:012x}-{next(self._numbers):08x}"
        row = {
            "orderID": key,
            "symbol": i.symbol,
            "side": order.side.title(),
            "price": msgspec.Raw(decimal_text(order.price, i.price_digits).encode()),
            "leavesQty": order.filled,
        }
        self._standing[key] = (event_time_ms, row)
        return Publication(Kind.LIQUIDATION, (ORDERS,), _table(ORDERS, "insert", [row]), event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        found = []
        for channel in streams:
            i = self._by_symbol.get(channel.partition(":")[2])
            if i is not None:
                mark = f"{price(i, now_ms):.{i.price_digits}f}".encode()
                row = {"symbol": i.symbol, "markPrice": msgspec.Raw(mark), "timestamp": _iso(now_ms)}
                text = _table(INSTRUMENT, "update", [row])
                found.append(Publication(Kind.CANARY, (channel,), text, now_ms))
        filled = [key for key, (since, _) in self._standing.items() if now_ms - since >= STANDS_MS]
        if filled:
            gone = [{"orderID": key, "symbol": self._standing.pop(key)[1]["symbol"]} for key in filled]
            text = _table(ORDERS, "delete", gone)
            found.append(Publication(Kind.NOTICE, (ORDERS,), text, now_ms))
        return found

    def shutdown_notice(self, now_ms: int) -> Publication:
        return nothing(now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        try:
            told = msgspec.json.decode(frame, type=_Frame)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if told.table == INSTRUMENT and told.data and told.data[0].timestamp is not None:
            row = told.data[0]
            time_ms = (told.data[0].timestamp - _EPOCH) // timedelta(milliseconds=1)
            return Publication(Kind.CANARY, (f"{INSTRUMENT}:{row.symbol}",), frame, time_ms)
        if told.table != ORDERS:
            return None
        kind = Kind.LIQUIDATION if told.action == "insert" else Kind.NOTICE
        return Publication(kind, (ORDERS,), frame, 0)  # it has no time

    def document(self, path: str, now_ms: int) -> bytes | None:  # noqa: ARG002 (it tells no time)
        if urlsplit(path).path != "/api/v1/instrument/active":
            return None
        return msgspec.json.encode([_listing(i) for i in self.instruments if i.symbol not in self.unlisted])

    def _partial(self, channel: str) -> bytes:
        table, _, symbol = channel.partition(":")
        rows = [row for _, row in self._standing.values()] if table == ORDERS else [{"symbol": symbol}]
        return _table(table, "partial", rows)


class _Request(msgspec.Struct):
    op: str
    args: list[str] = []


class _Row(msgspec.Struct):
    symbol: str = ""
    timestamp: datetime | None = None


class _Frame(msgspec.Struct):
    table: str
    action: str
    data: list[_Row]


def _table(table: str, action: str, rows: list[dict[str, Any]]) -> bytes:
    return msgspec.json.encode({"table": table, "action": action, "data": rows})


def _error(text: str, request: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"status": 400, "error": text, "meta": {}, "request": request})


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _iso(ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def _listing(i: Instrument) -> dict[str, Any]:
    quanto = i.symbol in _QUANTOS
    listing: dict[str, Any] = {
        "symbol": i.symbol,
        "state": "Open",
        "underlying": i.base,
        "quoteCurrency": i.quote,
        "isInverse": i.market == "inverse",
        "isQuanto": quanto,
        "lotSize": 1,
    }
    if i.market == "inverse":
        return listing | {"multiplier": -100_000_000, "settlCurrency": "XBt"}
    if quanto:
        return listing | {"multiplier": QUANTO, "settlCurrency": "XBt"}
    return listing | {"multiplier": 1, "settlCurrency": "USDt", "underlyingToPositionMultiplier": COIN}


def scene(options: Options) -> Bitmex:
    """The scene of this file (see `scenes`)."""
    return Bitmex(options)
