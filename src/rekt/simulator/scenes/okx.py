"""OKX as of November 2026: argument objects, text pings, a backlog on subscribing, contracts of many sizes.

A connection to `/silent` (made up) acknowledges everything and never delivers.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from rekt.simulator.arguments import Argument, Arguments, Manners, channel
from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, decimal_text

KINDS = ("SWAP", "FUTURES", "MARGIN", "OPTION")
BACKLOG = 3
"""So many of the latest liquidations of a kind come again on subscribing."""

_MANNERS = Manners(patience_s=30, pushes_count=True, requests=480, channels=10_000, request_bytes=65_536)


def _error(code: str, text: str) -> bytes:
    return msgspec.json.encode({"event": "error", "code": code, "msg": text, "connId": "x"})


def _contract(
    symbol: str, kind: Literal["linear", "inverse"], price: float, digits: int, size: str, weight: float
) -> Instrument:
    base, quote = symbol.partition("_X")[0].split("-")[:2]
    coin = quote.partition("_")[0]
    return Instrument(
        symbol, kind, base, coin, base if kind == "inverse" else coin, f"{base}-{quote}", price, digits, 1, 2,
        int(size) if kind == "inverse" else None, float(size) * (price if kind == "linear" else 1), weight, 0.005,
    )  # fmt: skip


# Linear sizes are coins a contract; prices are made up. One needs its multiplier, one a name that misleads.
SIZES = {
    "BTC-USDT-SWAP": ("0.01", "1"),
    "ETH-USDT-SWAP": ("0.1", "1"),
    "SOL-USDT-SWAP": ("1", "1"),
    "CNPY-USDT-SWAP": ("1", "10"),
    "BTC-USDT-261225": ("0.01", "1"),
    "BTC-USD_UM_XPERP-310404": ("0.0001", "1"),
    "BTC-USD-SWAP": ("100", "1"),
    "ETH-USD-SWAP": ("10", "1"),
    "BTC-USD-261225": ("100", "1"),
}
INSTRUMENTS = (
    _contract("BTC-USDT-SWAP", "linear", 82000.0, 1, "0.01", 12),
    _contract("ETH-USDT-SWAP", "linear", 2450.0, 2, "0.1", 9),
    _contract("SOL-USDT-SWAP", "linear", 118.0, 2, "1", 5),
    _contract("CNPY-USDT-SWAP", "linear", 0.4162, 4, "10", 3),
    _contract("BTC-USDT-261225", "linear", 82600.0, 1, "0.01", 1),
    _contract("BTC-USD_UM_XPERP-310404", "linear", 82010.0, 1, "0.0001", 1),
    _contract("BTC-USD-SWAP", "inverse", 82005.0, 1, "100", 3),
    _contract("ETH-USD-SWAP", "inverse", 2450.5, 2, "10", 2),
    _contract("BTC-USD-261225", "inverse", 82650.0, 1, "100", 1),
)


class Okx:
    """The venue: one path, two kinds of instrument, a mark price for each."""

    limits = Limits(20, ping_period_s=86_400.0, pong_timeout_s=60.0, life_s=86_400.0, openings=(3, 1.0))
    ws_path = "/ws/v5/public"
    retired_path = "/silent"
    instruments: Sequence[Instrument] = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)
        self._by_symbol = {i.symbol: i for i in INSTRUMENTS}
        self._told: defaultdict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=BACKLOG))

    def session(self, path: str) -> Arguments | str:
        found = urlsplit(path).path
        if found not in (self.ws_path, self.retired_path):
            return "no such path"
        return Arguments(
            self._argument,
            _error("60012", "Illegal request"),
            _MANNERS,
            routed=found == self.ws_path,
            backlog=lambda name: list(self._told.get(name, ())),
        )

    def _argument(self, asked: Argument) -> Argument | bytes:
        name, kind, symbol = asked.get("channel", ""), asked.get("instType", ""), asked.get("instId", "")
        if name == "liquidation-orders" and kind in KINDS:
            return {"channel": name, "instType": kind}  # an instId beside it is silently dropped
        if name == "mark-price" and symbol in self._by_symbol:
            return {"channel": name, "instId": symbol}
        return _error("60018", f"Wrong URL or {msgspec.json.encode(asked).decode()} doesn't exist.")

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        position = "net" if order.time_ms % 2 else ("long" if order.side == "SELL" else "short")
        data = {
            "details": [
                {
                    "bkLoss": "0",
                    "bkPx": decimal_text(order.price, i.price_digits),
                    "ccy": "",
                    "posSide": position,
                    "side": order.side.lower(),
                    "sz": decimal_text(order.filled, i.quantity_digits),
                    "ts": str(order.time_ms),
                }
            ],
            "instFamily": i.pair,
            "instId": i.symbol,
            "instType": _kind(i),
            "uly": i.pair,
        }
        argument = {"channel": "liquidation-orders", "instType": _kind(i)}
        payload = msgspec.json.encode({"arg": argument, "data": [data]})
        self._told[channel(argument)].append(payload)
        return Publication(Kind.LIQUIDATION, (channel(argument),), payload, event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        ticks = []
        for name in streams:
            instrument = self._by_symbol.get(name.removeprefix("mark-price "))
            if instrument is None:
                continue
            mark = {
                "instId": instrument.symbol,
                "instType": _kind(instrument),
                "markPx": f"{price(instrument, now_ms):.{instrument.price_digits}f}",
                "ts": str(now_ms),
            }
            argument = {"channel": "mark-price", "instId": instrument.symbol}
            payload = msgspec.json.encode({"arg": argument, "data": [mark]})
            ticks.append(Publication(Kind.CANARY, (name,), payload, now_ms))
        return ticks

    def shutdown_notice(self, now_ms: int) -> Publication:
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        payload = msgspec.json.encode({"event": "notice", "code": "64008", "msg": text, "connId": "x"})
        return Publication(Kind.NOTICE, (), payload, now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        try:
            told = msgspec.json.decode(frame, type=_Frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        kinds = {"liquidation-orders": Kind.LIQUIDATION, "mark-price": Kind.CANARY}
        kind = kinds.get(told.arg.get("channel", ""))
        if kind is None or not told.data:
            return None
        row = told.data[0]
        return Publication(kind, (channel(told.arg),), frame, int((row.details or [row])[0].ts))

    def document(self, path: str, now_ms: int) -> bytes | None:  # noqa: ARG002 (it tells no time)
        url = urlsplit(path)
        kind = parse_qs(url.query).get("instType", [""])[0]
        if url.path != "/api/v5/public/instruments" or kind not in KINDS:
            return None
        listed = [i for i in INSTRUMENTS if _kind(i) == kind and i.symbol not in self.unlisted]
        return msgspec.json.encode({"code": "0", "msg": "", "data": [_listing(i) for i in listed]})


class _Time(msgspec.Struct):
    ts: str = "0"


class _Row(_Time):
    details: list[_Time] | None = None


class _Frame(msgspec.Struct):
    arg: Argument
    data: list[_Row]


def _kind(i: Instrument) -> str:
    return "SWAP" if i.symbol.endswith("-SWAP") else "FUTURES"


def _listing(i: Instrument) -> dict[str, str]:
    value, multiplier = SIZES[i.symbol]
    return {
        "instId": i.symbol,
        "instType": _kind(i),
        "instFamily": i.pair,
        "uly": i.pair,
        "ctType": i.market,
        "ctVal": value,
        "ctMult": multiplier,
        "ctValCcy": i.base if i.market == "linear" else "USD",
        "settleCcy": i.margin,
        "tickSz": decimal_text(i.tick, i.price_digits),
        "lotSz": decimal_text(1, i.quantity_digits),
        "state": "live",
    }


def scene(options: Options) -> Okx:
    """The scene of this file (see `scenes`)."""
    return Okx(options)
