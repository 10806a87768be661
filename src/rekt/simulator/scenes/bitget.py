"""Bitget as of November 2026, third version: argument objects with topics, text pings, amounts in quote currency.

The path of the second version acknowledges everything and never delivers, as the real one does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from rekt.simulator.arguments import Argument, Arguments, Manners, channel
from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, decimal_text

KINDS = ("usdt-futures", "coin-futures", "usdc-futures")

_MANNERS = Manners(patience_s=30, pushes_count=False, requests=240, channels=1000, request_bytes=65_536)


def _contract(
    symbol: str,
    base: str,
    quote: str,
    market: Literal["linear", "inverse"],
    price: float,
    digits: int,
    lots: int,
    weight: float,
) -> Instrument:
    inverse = market == "inverse"
    return Instrument(
        symbol, market, base, quote, base if inverse else quote, symbol, price, digits, 1, lots,
        1 if inverse else None, 1 if inverse else price, weight, 0.005,
    )  # fmt: skip


# Prices are made up. A coin-margined quantity is dollars.
INSTRUMENTS = (
    _contract("BTCUSDT", "BTC", "USDT", "linear", 82000.0, 1, 4, 12),
    _contract("ETHUSDT", "ETH", "USDT", "linear", 2450.0, 2, 2, 9),
    _contract("SOLUSDT", "SOL", "USDT", "linear", 118.0, 3, 1, 5),
    _contract("APEUSDT", "APE", "USDT", "linear", 0.1649, 4, 1, 3),
    _contract("BTCPERP", "BTC", "USDC", "linear", 82010.0, 1, 4, 2),
    _contract("ETHPERP", "ETH", "USDC", "linear", 2450.3, 2, 2, 1),
    _contract("BTCUSD_CM", "BTC", "USD", "inverse", 82005.0, 1, 0, 3),
    _contract("ETHUSD_CM", "ETH", "USD", "inverse", 2450.5, 2, 0, 2),
)


class Bitget:
    """The venue: one path, three kinds of futures, a ticker for each contract."""

    limits = Limits(messages_per_second=10, ping_period_s=86_400.0, pong_timeout_s=60.0, life_s=86_400.0)
    ws_path = "/v3/ws/public"
    retired_path = "/v2/ws/public"
    instruments: Sequence[Instrument] = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)
        self._by_channel = {channel(_argument(i, "ticker", i.symbol)): i for i in INSTRUMENTS}

    def session(self, path: str) -> Arguments | str:
        found = urlsplit(path).path
        if found not in (self.ws_path, self.retired_path):
            return "no such path"
        routed = found == self.ws_path
        return Arguments(
            self._asked if routed else lambda asked: asked,  # the old version takes anything
            msgspec.json.encode({"event": "error", "code": 30003, "msg": "Invalid request"}),
            _MANNERS,
            routed=routed,
        )

    def _asked(self, asked: Argument) -> Argument | bytes:
        if asked.get("topic") == "liquidation" and asked.get("instType") in KINDS and len(asked) == 2:
            return {"instType": asked["instType"], "topic": "liquidation"}
        argument = {name: asked.get(name, "") for name in ("instType", "topic", "symbol")}
        if channel(argument) in self._by_channel:
            return argument
        return msgspec.json.encode(
            {"event": "error", "arg": asked, "code": 30001, "msg": "topic or symbol doesn't exist"}
        )

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        price = decimal_text(order.average_price, i.price_digits)
        quantity = decimal_text(order.filled, i.quantity_digits)
        amount = quantity if i.market == "inverse" else format(Decimal(quantity) * Decimal(price), "f")
        row = {
            "symbol": i.symbol,
            "side": "buy" if order.side == "SELL" else "sell",  # the position's
            "price": price,
            "amount": amount,
            "ts": str(order.time_ms),
        }
        argument = _argument(i, "liquidation")
        payload = msgspec.json.encode(
            {"action": "update", "arg": argument, "data": [row], "ts": event_time_ms}
        )
        return Publication(Kind.LIQUIDATION, (channel(argument),), payload, event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        ticks = []
        for name in streams:
            instrument = self._by_channel.get(name)
            if instrument is None:
                continue
            mark = f"{price(instrument, now_ms):.{instrument.price_digits}f}"
            told = {
                "action": "snapshot",
                "arg": _argument(instrument, "ticker", instrument.symbol),
                "data": [{"highPrice24h": mark, "lastPrice": mark, "markPrice": mark}],
                "ts": now_ms,
            }
            ticks.append(Publication(Kind.CANARY, (name,), msgspec.json.encode(told), now_ms))
        return ticks

    def shutdown_notice(self, now_ms: int) -> Publication:
        """The venue announces nothing: what goes out is an unasked pong, which means nothing."""
        return Publication(Kind.NOTICE, (), b"pong", now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        try:
            told = msgspec.json.decode(frame, type=_Frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        kind = {"liquidation": Kind.LIQUIDATION, "ticker": Kind.CANARY}.get(told.arg.get("topic", ""))
        if kind is None:
            return None
        return Publication(kind, (channel(told.arg),), frame, told.ts)

    def document(self, path: str, now_ms: int) -> bytes | None:
        url = urlsplit(path)
        kind = parse_qs(url.query).get("category", [""])[0].lower()
        if url.path != "/api/v3/market/instruments" or kind not in KINDS:
            return None
        listed = [
            {
                "symbol": i.symbol,
                "category": kind.upper(),
                "baseCoin": i.base,
                "quoteCoin": i.quote,
                "pricePrecision": str(i.price_digits),
                "quantityPrecision": str(i.quantity_digits),
                "quantityMultiplier": decimal_text(1, i.quantity_digits),
                "type": "perpetual",
                "status": "online",
            }
            for i in INSTRUMENTS
            if _kind(i) == kind and i.symbol not in self.unlisted
        ]
        return msgspec.json.encode({"code": "00000", "msg": "success", "requestTime": now_ms, "data": listed})


class _Frame(msgspec.Struct):
    arg: Argument
    ts: int


def _kind(i: Instrument) -> str:
    return "coin-futures" if i.market == "inverse" else f"{i.quote.lower()}-futures"


def _argument(i: Instrument, topic: str, symbol: str | None = None) -> Argument:
    argument = {"instType": _kind(i), "topic": topic}
    return argument if symbol is None else argument | {"symbol": symbol}


def scene(options: Options) -> Bitget:
    """The scene of this file (see `scenes`)."""
    return Bitget(options)
