"""Binance futures as of November 2026: paths, SUBSCRIBE dialogue, streams, instrument documents.

Only paths under `/market` deliver. Every other path connects, acknowledges and answers pings, and then
never sends an event: that is what the bases retired in April 2026 do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, decimal_text
from rekt.simulator.subscriptions import STREAMS_PER_CONNECTION, Dialogue

ALL_MARKET = "!forceOrder@arr"
CANARY_STREAM = re.compile(r"(?P<symbol>.+)@markPrice(?P<every>@1s)?")


def _linear(
    symbol: str,
    base: str,
    quote: str,
    price: float,
    digits: int,
    tick: int,
    lots: int,
    weight: float,
    slip: float,
) -> Instrument:
    usd = price if quote != "BTC" else price * 82_000
    return Instrument(
        symbol,
        "linear",
        base,
        quote,
        quote,
        symbol.partition("_")[0],
        price,
        digits,
        tick,
        lots,
        None,
        usd,
        weight,
        slip,
    )


def _inverse(
    symbol: str, base: str, price: float, digits: int, tick: int, size: int, weight: float
) -> Instrument:
    pair = symbol.partition("_")[0]
    return Instrument(
        symbol, "inverse", base, "USD", base, pair, price, digits, tick, 0, size, size, weight, 0.006
    )


# symbol, base, quote, price, price digits, tick, quantity digits, weight, slip. Prices are made up.
INSTRUMENTS: tuple[Instrument, ...] = (
    _linear("BTCUSDT", "BTC", "USDT", 82000.0, 2, 10, 3, 14, 0.004),
    _linear("ETHUSDT", "ETH", "USDT", 2450.0, 2, 1, 3, 13, 0.004),
    _linear("SOLUSDT", "SOL", "USDT", 118.0, 4, 100, 2, 9, 0.005),
    _linear("XRPUSDT", "XRP", "USDT", 1.49, 4, 1, 1, 7, 0.005),
    _linear("BNBUSDT", "BNB", "USDT", 705.0, 3, 10, 2, 3, 0.005),
    _linear("DOGEUSDT", "DOGE", "USDT", 0.124, 6, 10, 0, 5, 0.008),
    _linear("ADAUSDT", "ADA", "USDT", 0.41, 5, 10, 0, 3, 0.008),
    _linear("AVAXUSDT", "AVAX", "USDT", 9.6, 4, 10, 0, 3, 0.008),
    _linear("LINKUSDT", "LINK", "USDT", 12.3, 3, 1, 2, 3, 0.008),
    _linear("DOTUSDT", "DOT", "USDT", 1.31, 3, 1, 1, 2, 0.008),
    _linear("SUIUSDT", "SUI", "USDT", 1.02, 6, 100, 1, 3, 0.009),
    _linear("WIFUSDT", "WIF", "USDT", 0.1531, 7, 1000, 1, 3, 0.011),
    _linear("ONDOUSDT", "ONDO", "USDT", 0.3712, 7, 1000, 1, 2, 0.01),
    _linear("AEROUSDT", "AERO", "USDT", 0.4806, 7, 1000, 1, 2, 0.01),
    _linear("MANTAUSDT", "MANTA", "USDT", 0.0719, 7, 100, 1, 2, 0.013),
    _linear("SKLUSDT", "SKL", "USDT", 0.004251, 7, 10, 0, 2, 0.014),
    _linear("BOMEUSDT", "BOME", "USDT", 0.0004021, 7, 1, 0, 2, 0.013),
    _linear("1000PEPEUSDT", "1000PEPE", "USDT", 0.0041, 7, 1, 0, 4, 0.008),
    _linear("1000XECUSDT", "1000XEC", "USDT", 0.006199, 7, 10, 0, 1, 0.01),
    _linear("1000000MOGUSDT", "1000000MOG", "USDT", 0.2214, 7, 1000, 1, 1, 0.014),
    _linear("4USDT", "4", "USDT", 0.01873, 7, 100, 0, 1, 0.03),
    _linear("币安人生USDT", "币安人生", "USDT", 0.1183, 7, 100, 0, 2, 0.03),
    _linear("我踏马来了USDT", "我踏马来了", "USDT", 0.01672, 7, 100, 0, 1, 0.03),
    _linear("BTCUSDC", "BTC", "USDC", 82010.0, 1, 1, 3, 2, 0.004),
    _linear("ETHUSDC", "ETH", "USDC", 2450.3, 2, 1, 3, 2, 0.004),
    _linear("PENGUUSDC", "PENGU", "USDC", 0.00619, 7, 10, 0, 1, 0.01),
    _linear("ETHBTC", "ETH", "BTC", 0.02988, 6, 10, 2, 1, 0.006),
    _linear("BTCUSDT_261225", "BTC", "USDT", 82650.0, 1, 1, 3, 1, 0.005),
    _linear("ETHUSDT_261225", "ETH", "USDT", 2471.0, 2, 1, 3, 1, 0.005),
    _linear("AAPLUSDT", "AAPL", "USDT", 271.4, 5, 1000, 2, 1, 0.009),
    _linear("TSLAUSDT", "TSLA", "USDT", 402.1, 5, 1000, 2, 1, 0.009),
    _linear("MUUSDT", "MU", "USDT", 858.8, 5, 1000, 2, 2, 0.01),
    _linear("XAUUSDT", "XAU", "USDT", 4046.5, 2, 1, 3, 2, 0.005),
    _linear("XAGUSDT", "XAG", "USDT", 49.8, 4, 100, 3, 1, 0.006),
    _inverse("BTCUSD_PERP", "BTC", 82005.0, 1, 1, 100, 2),
    _inverse("ETHUSD_PERP", "ETH", 2450.5, 2, 1, 10, 2),
    _inverse("SOLUSD_PERP", "SOL", 118.1, 3, 10, 10, 1),
    _inverse("XRPUSD_PERP", "XRP", 1.4903, 4, 1, 10, 1),
    _inverse("DOGEUSD_PERP", "DOGE", 0.12402, 5, 1, 10, 1),
    _inverse("BTCUSD_261225", "BTC", 82655.0, 1, 1, 100, 1),
)


class Binance:
    """The venue: routing, streams and documents."""

    limits = Limits(messages_per_second=10, ping_period_s=180.0, pong_timeout_s=600.0, life_s=86_400.0)
    ws_path = "/market/stream"
    retired_path = "/stream"
    instruments: Sequence[Instrument]
    listed: Sequence[Instrument] = INSTRUMENTS
    """What trades, the other market's contracts included where only one is told."""

    def __init__(self, options: Options) -> None:
        self._merged = options.merged
        self._nested_errors = options.error_form == "nested"
        self.unlisted = set(options.unlisted)
        self.instruments = [i for i in self.listed if options.merged or i.market == "linear"]
        self._by_stream = {i.symbol.lower(): i for i in self.listed}

    def session(self, path: str) -> Dialogue | str:
        url = urlsplit(path)
        parts = [unquote(part) for part in url.path.split("/") if part]
        routed = parts[:1] == ["market"] and parts[1:2] in (["ws"], ["stream"])
        streams = parts[2:] if routed else parts[1:]
        streams += [
            name for key, value in parse_qsl(url.query) if key == "streams" for name in value.split("/")
        ]
        if len(streams) > STREAMS_PER_CONNECTION:
            return "too many streams"
        return Dialogue(
            filter(None, streams),
            combined="stream" in parts[:2],
            routed=routed,
            nested_errors=self._nested_errors,
        )

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        lots, digits = i.quantity_digits, i.price_digits
        quantity = decimal_text(order.quantity, lots)
        filled = quantity if order.filled == order.quantity else decimal_text(order.filled, lots)
        tail = ""
        if self._merged:
            tail = f',"ps":"{i.pair}","st":{1 if i.market == "linear" else 2}'
        text = (
            f'{{"e":"forceOrder","E":{event_time_ms},"o":{{"s":"{i.symbol}","S":"{order.side}","o":"LIMIT","f":"IOC",'
            f'"q":"{quantity}","p":"{decimal_text(order.price, digits)}",'
            f'"ap":"{decimal_text(order.average_price, digits)}","X":"{order.status}",'
            f'"l":"{decimal_text(order.last_fill, lots)}","z":"{filled}","T":{order.time_ms}{tail}}}}}'
        )
        channels = (ALL_MARKET, f"{i.symbol.lower()}@forceOrder")
        return Publication(Kind.LIQUIDATION, channels, text.encode(), event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        ticks = []
        for name in streams:
            match = CANARY_STREAM.fullmatch(name)
            instrument = self._by_stream.get(match["symbol"]) if match else None
            if match is None or instrument is None or (not match["every"] and now_ms % 3000):
                continue
            mark = price(instrument, now_ms)
            settle = (now_ms // 28_800_000 + 1) * 28_800_000
            text = (
                f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{instrument.symbol}","p":"{mark:.8f}",'
                f'"i":"{mark * 1.0004:.8f}","P":"{mark * 1.0002:.8f}","r":"0.00010000","T":{settle}}}'
            )
            ticks.append(Publication(Kind.CANARY, (name,), text.encode(), now_ms))
        return ticks

    def shutdown_notice(self, now_ms: int) -> Publication:
        return Publication(Kind.NOTICE, (), b'{"e":"serverShutdown","E":%d}' % now_ms, now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        recorded = None
        if frame.startswith(b'{"stream":"'):
            _, found, data = frame.partition(b'"data":')
            if not found:
                return None
            recorded, payload = frame, data.rstrip()[:-1]
        else:
            payload = frame
        try:
            event = msgspec.json.decode(payload, type=_Event)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if event.e == "markPriceUpdate":
            return Publication(Kind.CANARY, (f"{event.s.lower()}@markPrice@1s",), payload, event.E, recorded)
        if event.e != "forceOrder":
            return None
        return Publication(
            Kind.LIQUIDATION, (ALL_MARKET, f"{event.o.s.lower()}@forceOrder"), payload, event.E, recorded
        )

    def document(self, path: str, now_ms: int) -> bytes | None:
        market: Literal["linear", "inverse"]
        match urlsplit(path).path.strip("/").split("/"):
            case ["fapi", "v1", name]:
                market = "linear"
            case ["dapi", "v1", name]:
                market = "inverse"
            case _:
                return None
        if name == "ping":
            return b"{}"
        if name == "time":
            return b'{"serverTime":%d}' % now_ms
        if name != "exchangeInfo":
            return None
        listed = [i for i in self.listed if i.market == market and i.symbol not in self.unlisted]
        document = {
            "timezone": "UTC",
            "serverTime": now_ms,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
            ],
            "exchangeFilters": [],
            "assets": [
                {"asset": margin, "marginAvailable": True} for margin in sorted({i.margin for i in listed})
            ],
            "symbols": [_listing(i) for i in listed],
        }
        return msgspec.json.encode(document)


class _Inner(msgspec.Struct, frozen=True):
    s: str = ""


class _Event(msgspec.Struct):
    e: str
    E: int
    s: str = ""
    o: _Inner = _Inner()


def _listing(i: Instrument) -> dict[str, Any]:
    perpetual = "_" not in i.symbol or i.symbol.endswith("_PERP")
    listing: dict[str, Any] = {
        "symbol": i.symbol,
        "pair": i.pair,
        "contractType": "PERPETUAL" if perpetual else "CURRENT_QUARTER",
        "deliveryDate": 4_133_404_800_000 if perpetual else 1_798_185_600_000,
        "onboardDate": 1_569_398_400_000,
        "baseAsset": i.base,
        "quoteAsset": i.quote,
        "marginAsset": i.margin,
        "pricePrecision": i.price_digits,
        "quantityPrecision": i.quantity_digits,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": decimal_text(i.tick, i.price_digits)},
            {"filterType": "LOT_SIZE", "stepSize": decimal_text(1, i.quantity_digits)},
        ],
    }
    if i.market == "linear":
        return listing | {"status": "TRADING"}
    return listing | {"contractStatus": "TRADING", "contractSize": i.contract_size}


def scene(options: Options) -> Binance:
    """The scene of this file (see `scenes`)."""
    return Binance(options)
