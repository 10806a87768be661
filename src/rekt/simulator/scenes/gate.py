"""Gate as of November 2026: an address for each settlement coin, times in the messages, pings of its own.

A connection to `/v4/ws/silent` (made up) acknowledges everything and never delivers. Sizes are told with their
decimals to who sends `X-Gate-Size-Decimal`, else as integers, cut; `Life.headers` tells whether it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, Session, decimal_text

LIQUIDATIONS = "futures.public_liquidates"
TICKERS = "futures.tickers"
ALL = "!all"
Settle = Literal["usdt", "btc"]


def _contract(symbol: str, price: float, digits: int, lots: int, size: str, weight: float) -> Instrument:
    base, _, quote = symbol.partition("_")
    inverse = quote == "USD"
    return Instrument(
        symbol, "inverse" if inverse else "linear", base, quote, base if inverse else quote, symbol, price, digits,
        1, lots, 1 if inverse else None, 1 if inverse else price * float(size), weight, 0.003,
    )  # fmt: skip


# Coins a contract (an inverse one has the multiplier 0 and is a dollar); prices are made up.
SIZES = {"BTC_USDT": "0.0001", "ETH_USDT": "0.01", "SOL_USDT": "1", "DOGE_USDT": "10", "BTC_USD": "0"}
INSTRUMENTS = (
    _contract("BTC_USDT", 82000.0, 1, 1, "0.0001", 12),
    _contract("ETH_USDT", 2450.0, 2, 1, "0.01", 9),
    _contract("SOL_USDT", 118.0, 3, 0, "1", 5),
    _contract("DOGE_USDT", 0.124, 5, 0, "10", 4),
    _contract("BTC_USD", 82005.0, 1, 0, "1", 2),
)
_BY_SYMBOL = {i.symbol: i for i in INSTRUMENTS}
_SIZE = re.compile(rb'"size":"(-?\d+)[.\d]*"')


class _Request(msgspec.Struct):
    time: int
    channel: str
    event: str = ""
    payload: list[str] = []


class GateSession(Session):
    """One connection to the address of one settlement coin; a channel's name is channel, coin and contract."""

    def __init__(self, settle: Settle, *, routed: bool) -> None:
        self.routed = routed
        self._settle: Settle = settle
        self._streams: dict[str, None] = {}
        self._whole = True  # sizes are told as integers to who does not ask for their digits

    @property
    def streams(self) -> Collection[str]:
        return self._streams.keys()

    def meet(self, headers: Mapping[str, str]) -> None:
        self._whole = headers.get("x-gate-size-decimal") != "1"

    def encode(self, publication: Publication) -> Iterable[bytes]:
        channels = publication.channels
        if channels and not any(name in self._streams for name in channels):
            return ()
        if self._whole and publication.kind is Kind.LIQUIDATION:
            return (_SIZE.sub(rb'"size":\1', publication.payload),)
        return (publication.payload,)

    def receive(self, message: bytes) -> Sequence[bytes]:
        try:
            request = msgspec.json.decode(message, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_said(_Request(0, ""), error=(1, "Invalid request"))]
        if request.channel == "futures.ping":
            return [_said(request, channel="futures.pong")]
        if request.event not in ("subscribe", "unsubscribe") or request.channel not in (
            LIQUIDATIONS,
            TICKERS,
        ):
            return [_said(request, error=(2, f"unknown channel {request.channel}"))]
        unknown = [what for what in request.payload if not self._has(request.channel, what)]
        if unknown or not request.payload:
            return [_said(request, error=(2, f"unknown contract {''.join(unknown)}"))]
        for what in request.payload:
            name = f"{request.channel} {self._settle} {what}"
            if request.event == "subscribe":
                self._streams[name] = None
            else:
                self._streams.pop(name, None)
        return [_said(request, result={"status": "success"})]

    def _has(self, channel: str, what: str) -> bool:
        instrument = _BY_SYMBOL.get(what)
        if instrument is None:
            return channel == LIQUIDATIONS and what == ALL
        return _settle(instrument) == self._settle


class Gate:
    """The venue: two addresses, the whole market or a contract on each."""

    limits = Limits(messages_per_second=50, ping_period_s=15.0, pong_timeout_s=60.0, life_s=86_400.0)
    ws_path = "/v4/ws/usdt"
    retired_path = "/v4/ws/silent"
    instruments: Sequence[Instrument] = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)

    def session(self, path: str) -> GateSession | str:
        match urlsplit(path).path:
            case "/v4/ws/usdt":
                return GateSession("usdt", routed=True)
            case "/v4/ws/btc":
                return GateSession("btc", routed=True)
            case self.retired_path:
                return GateSession("usdt", routed=False)
        return "no such path"

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        size = decimal_text(order.filled, i.quantity_digits)
        row = {
            "price": decimal_text(order.price, i.price_digits),
            "size": f"-{size}" if order.side == "SELL" else size,
            "time": order.time_ms,
            "contract": i.symbol,
        }
        return _update(Kind.LIQUIDATION, LIQUIDATIONS, [row], event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        ticks = []
        for name in streams:
            channel, _, symbol = name.split(" ")
            if channel != TICKERS:
                continue
            i = _BY_SYMBOL[symbol]
            mark = f"{price(i, now_ms):.{i.price_digits}f}"
            row = {"contract": symbol, "last": mark, "mark_price": mark}
            ticks.append(_update(Kind.CANARY, TICKERS, [row], now_ms))
        return ticks

    def shutdown_notice(self, now_ms: int) -> Publication:
        """The venue announces nothing: what goes out is an unasked pong, which means nothing."""
        return Publication(
            Kind.NOTICE, (), _said(_Request(now_ms // 1000, ""), channel="futures.pong"), now_ms
        )

    def frame(self, frame: bytes) -> Publication | None:
        try:
            told = msgspec.json.decode(frame, type=_Frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        kind = {LIQUIDATIONS: Kind.LIQUIDATION, TICKERS: Kind.CANARY}.get(told.channel)
        known = [row for row in told.result if row.contract in _BY_SYMBOL]
        if kind is None or not known:
            return None
        return Publication(kind, _channels(told.channel, known[0].contract), frame, told.time_ms)

    def document(self, path: str, now_ms: int) -> bytes | None:  # noqa: ARG002 (it tells no time)
        match urlsplit(path).path.strip("/").split("/"):
            case ["api", "v4", "futures", settle, "contracts"] if settle in ("usdt", "btc"):
                return msgspec.json.encode(
                    [
                        {
                            "name": i.symbol,
                            "type": "inverse" if i.market == "inverse" else "direct",
                            "quanto_multiplier": SIZES[i.symbol],
                            "order_price_round": decimal_text(i.tick, i.price_digits),
                            "order_size_min": decimal_text(1, i.quantity_digits),
                            "in_delisting": False,
                        }
                        for i in INSTRUMENTS
                        if _settle(i) == settle and i.symbol not in self.unlisted
                    ]
                )
        return None


class _Row(msgspec.Struct):
    contract: str


class _Frame(msgspec.Struct):
    channel: str
    time_ms: int
    result: list[_Row]


def _settle(i: Instrument) -> Settle:
    return "btc" if i.market == "inverse" else "usdt"


def _channels(channel: str, symbol: str) -> tuple[str, ...]:
    settle = _settle(_BY_SYMBOL[symbol])
    own = f"{channel} {settle} {symbol}"
    return (f"{channel} {settle} {ALL}", own) if channel == LIQUIDATIONS else (own,)


def _update(kind: Kind, channel: str, rows: list[dict[str, Any]], now_ms: int) -> Publication:
    told = {"channel": channel, "event": "update", "time": now_ms // 1000, "time_ms": now_ms, "result": rows}
    return Publication(kind, _channels(channel, rows[0]["contract"]), msgspec.json.encode(told), now_ms)


def _said(
    request: _Request,
    *,
    channel: str | None = None,
    error: tuple[int, str] | None = None,
    result: object = None,
) -> bytes:
    """An answer. It has the request's time: the venue's own is not known here, and nobody asks for it."""
    return msgspec.json.encode(
        {
            "time": request.time,
            "time_ms": request.time * 1000,
            "channel": channel or request.channel,
            "event": "" if channel else request.event,
            "error": None if error is None else {"code": error[0], "message": error[1]},
            "result": result,
        }
    )


def scene(options: Options) -> Gate:
    """The scene of this file (see `scenes`)."""
    return Gate(options)
