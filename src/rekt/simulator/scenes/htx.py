"""HTX as of November 2026: a path a market, every frame packed, a ping with a token to be echoed, a rare funding rate."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from rekt.simulator.contracts import inverse, linear
from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, Scene, decimal_text
from rekt.simulator.subscriptions import Subscriber

PING_S = 5
PATIENCE_S = 30
"""Seconds without an answer to its pings until it closes."""
FUNDING_S = 60
EVENTS, FUNDING = ".liquidation_orders", ".funding_rate"
_PATHS = {"/linear-swap-notification": "linear", "/swap-notification": "inverse"}
_LISTS = {
    "/linear-swap-api/v1/swap_contract_info": "linear",
    "/swap-api/v1/swap_contract_info": "inverse",
}

# Coins a linear contract has; the coin swaps' sizes, in USD, are the instruments' own.
SIZES = {
    "BTC-USDT": "0.001",
    "ETH-USDT": "0.01",
    "SOL-USDT": "1",
    "DOGE-USDT": "100",
    "BTC-USDT-261225": "0.001",
}
INSTRUMENTS = (
    linear("BTC-USDT", "BTC", 82000.0, 1, 0, 9, size=0.001),
    linear("ETH-USDT", "ETH", 2450.0, 2, 0, 8, size=0.01),
    linear("SOL-USDT", "SOL", 118.0, 3, 0, 4, size=1),
    linear("DOGE-USDT", "DOGE", 0.124, 6, 0, 2, size=100),
    linear("BTC-USDT-261225", "BTC", 82650.0, 1, 0, 1, size=0.001),
    inverse("BTC-USD", "BTC", 82005.0, 1, 2, size=100),
    inverse("ETH-USD", "ETH", 2450.5, 2, 2, size=10),
)


class Packed(Subscriber):
    """One connection to one market: its channels are the market's name and a topic."""

    binary = True

    def __init__(self, market: str, codes: Collection[str], *, routed: bool) -> None:
        super().__init__(routed=routed)
        self._market = market
        self._codes = codes
        self._age_s = self._asked_s = 0
        self._token: str | None = None

    def encode(self, publication: Publication) -> Iterable[bytes]:
        return map(_packed, super().encode(publication)) if publication.channels else (publication.payload,)

    def beat(self, now_ms: int) -> Sequence[bytes]:
        self._age_s += 1
        if self._token is not None and self._age_s - self._asked_s > PATIENCE_S:
            self.closing = f"no pong for {PATIENCE_S} s"
        if self._age_s % PING_S:
            return ()
        if self._token is None:
            self._token, self._asked_s = str(now_ms), self._age_s
        return [_packed(msgspec.json.encode({"op": "ping", "ts": self._token}))]

    def receive(self, message: bytes) -> Sequence[bytes]:
        try:
            request = msgspec.json.decode(message, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_answer("error", 2001, "Invalid command")]
        if request.op == "pong":
            if request.ts == self._token:
                self._token = None
            return ()
        if request.op not in ("sub", "unsub"):
            return [_answer("error", 2001, "Invalid command")]
        about = {"cid": request.cid, "topic": request.topic}
        name, channel = request.topic.removeprefix("public."), f"{self._market} {request.topic}"
        code, _, event = name.rpartition(".")
        known = code in self._codes or (code == "*" and f".{event}" == EVENTS) or not self.routed
        if not known or f".{event}" not in (EVENTS, FUNDING):
            return [_answer(request.op, 2011, "Invalid topic", about)]
        if request.op == "unsub":
            self._streams.pop(channel, None)
        elif channel in self._streams:
            return [_answer("sub", 2014, "Already subscribed", about)]
        else:
            self._streams[channel] = None
        return [_answer(request.op, 0, "", about)]


class Htx(Scene):
    """The venue: two markets; a silent path of the same manners is made up."""

    limits = Limits(messages_per_second=100, ping_period_s=86_400.0, pong_timeout_s=60.0, life_s=86_400.0)
    ws_path = "/linear-swap-notification"
    retired_path = "/silent-notification"
    instruments = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)
        self._by_symbol = {i.symbol: i for i in self.instruments}
        self._funding_ms = round((options.canary_period_s or FUNDING_S) * 1000)

    def session(self, path: str) -> Packed | str:
        name = urlsplit(path).path
        if name not in (*_PATHS, self.retired_path):
            return "not found"
        market = _PATHS.get(name, "silent")
        codes = {i.symbol for i in self.instruments if i.market == market}
        return Packed(market, codes, routed=name in _PATHS)

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        if not order.filled:
            return None
        price = decimal_text(order.price, i.price_digits)
        event: dict[str, Any] = {
            "symbol": i.base,
            "contract_code": i.symbol,
            "direction": order.side.lower(),
            "offset": "close",
            "created_at": order.time_ms,
            "price": msgspec.Raw(price.encode()),
        }
        if i.market == "linear":
            coins = order.filled * Decimal(SIZES[i.symbol])
            turnover = coins * Decimal(price)
            event |= {
                "volume": order.filled,
                "amount": msgspec.Raw(f"{coins:f}".encode()),
                "trade_turnover": msgspec.Raw(f"{turnover:f}".encode()),
                "pair": i.pair,
                "business_type": _business(i),
                "trade_partition": i.quote,
            }
        else:  # its numbers come quoted
            coins = order.filled * (i.contract_size or 1) / Decimal(price)
            event |= {"volume": str(order.filled), "amount": f"{coins:.10f}"}
        return _notified(Kind.LIQUIDATION, i, EVENTS, event_time_ms, [event])

    def canary(
        self,
        streams: Collection[str],
        now_ms: int,
        price: Callable[[Instrument, int], float],  # noqa: ARG002 (a rate has none)
    ) -> list[Publication]:
        if now_ms % self._funding_ms:
            return []
        ticks = []
        for channel in streams:
            i = self._by_symbol.get(channel.partition(" public.")[2].removesuffix(FUNDING))
            if i is None or not channel.endswith(FUNDING):
                continue
            rate = {
                "symbol": i.base,
                "contract_code": i.symbol,
                "fee_asset": i.margin,
                "funding_rate": "0.0001",
                "funding_time": str(now_ms),
            }
            ticks.append(_notified(Kind.CANARY, i, FUNDING, now_ms, [rate]))
        return ticks

    def shutdown_notice(self, now_ms: int) -> Publication:
        close = msgspec.json.encode({"op": "close", "ts": now_ms})
        return Publication(Kind.NOTICE, (), _packed(close), now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        try:
            text = gzip.decompress(frame) if frame.startswith(b"\x1f\x8b") else frame
            told = msgspec.json.decode(text, type=_Frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError, EOFError):
            return None
        code, _, event = told.topic.removeprefix("public.").rpartition(".")
        kinds = {EVENTS: Kind.LIQUIDATION, FUNDING: Kind.CANARY}
        i, kind = self._by_symbol.get(code), kinds.get(f".{event}")
        if told.op != "notify" or i is None or kind is None:
            return None
        return Publication(kind, _channels(i, f".{event}"), text, told.ts)

    def document(self, path: str, now_ms: int) -> bytes | None:
        url = urlsplit(path)
        market = _LISTS.get(url.path)
        if market is None:
            return None
        kind = parse_qs(url.query).get("business_type", ["swap"])[0] if market == "linear" else "all"
        listed = [
            _listing(i)
            for i in self.instruments
            if i.market == market and i.symbol not in self.unlisted and kind in ("all", _business(i))
        ]
        return msgspec.json.encode({"status": "ok", "data": listed, "ts": now_ms})


class _Request(msgspec.Struct):
    op: str
    cid: str = ""
    topic: str = ""
    ts: str | int | None = None


class _Frame(msgspec.Struct):
    op: str
    topic: str
    ts: int


def _packed(text: bytes) -> bytes:
    return gzip.compress(text, 1, mtime=0)


def _answer(op: str, code: int, text: str, about: dict[str, str] | None = None) -> bytes:
    answer = {"op": op, **(about or {}), "ts": 0, "err-code": code, **({"err-msg": text} if text else {})}
    return _packed(msgspec.json.encode(answer))


def _channels(i: Instrument, event: str) -> tuple[str, ...]:
    own = f"{i.market} public.{i.symbol}{event}"
    return (own, f"{i.market} public.*{EVENTS}") if event == EVENTS else (own,)


def _notified(kind: Kind, i: Instrument, event: str, now_ms: int, data: list[dict[str, Any]]) -> Publication:
    frame = {"op": "notify", "topic": f"public.{i.symbol}{event}", "ts": now_ms, "data": data}
    return Publication(kind, _channels(i, event), msgspec.json.encode(frame), now_ms)


def _business(i: Instrument) -> str:
    return "futures" if i.symbol.count("-") > 1 else "swap"


def _listing(i: Instrument) -> dict[str, Any]:
    size = SIZES[i.symbol] if i.market == "linear" else str(i.contract_size)
    return {
        "symbol": i.base,
        "contract_code": i.symbol,
        "contract_size": msgspec.Raw(size.encode()),
        "contract_status": 1,
        "business_type": _business(i),
    }


def scene(options: Options) -> Htx:
    """The scene of this file (see `scenes`)."""
    return Htx(options)
