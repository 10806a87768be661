"""Bybit v5 as of November 2026: a path a market, topics by symbol, `{"op":"ping"}`, paged lists of instruments.

A request with one bad symbol is refused whole, the strictest that the documents allow. Pages are short here, so that a
small list has several.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from rekt.simulator.contracts import inverse, linear
from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, Scene, decimal_text
from rekt.simulator.subscriptions import Subscriber, nothing

MOST_CHARACTERS = 21_000
"""Of all topics of a connection."""
PAGE = 4
LIQUIDATIONS = "allLiquidation."
TICKERS = "tickers."

INSTRUMENTS = (
    linear("BTCUSDT", "BTC", 82000.0, 2, 3, 9),
    linear("ETHUSDT", "ETH", 2450.0, 2, 2, 8),
    linear("SOLUSDT", "SOL", 118.0, 3, 1, 5),
    linear("ICPUSDT", "ICP", 2.6, 3, 1, 2),
    linear("1000PEPEUSDT", "1000PEPE", 0.0041, 7, 0, 2),
    linear("BTCPERP", "BTC", 82010.0, 2, 3, quote="USDC"),
    linear("BTCUSDT-25DEC26", "BTC", 82650.0, 2, 3),
    inverse("BTCUSD", "BTC", 82005.0, 1, 2),
    inverse("ETHUSD", "ETH", 2450.5, 2, 2),
    inverse("BTCUSDZ26", "BTC", 82655.0, 1),
)


class Subscribing(Subscriber):
    """One connection to one market."""

    def __init__(self, known: Collection[str], *, routed: bool) -> None:
        super().__init__(routed=routed)
        self._known = known

    def receive(self, message: bytes) -> Sequence[bytes]:
        try:
            request = msgspec.json.decode(message)
            op, topics, number = request["op"], request.get("args", []), str(request.get("req_id", ""))
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
            return [_answer("", "", "Params Error")]
        if op == "ping":
            return [_answer("ping", "", "pong", success=True)]
        if op not in ("subscribe", "unsubscribe") or not topics or not isinstance(topics, list):
            return [_answer(str(op), number, "Params Error")]
        for topic in map(str, topics):
            if not topic.startswith((LIQUIDATIONS, TICKERS)):
                return [_answer(op, number, f"error:handler not found,topic:{topic}")]
            if self.routed and topic.partition(".")[2] not in self._known:
                return [_answer(op, number, "Invalid symbol")]
        if op == "unsubscribe":
            for topic in topics:
                self._streams.pop(topic, None)
        else:
            wanted = self._streams | dict.fromkeys(topics)
            if sum(map(len, wanted)) > MOST_CHARACTERS:
                return [_answer(op, number, "Args are too long")]
            self._streams = wanted
        return [_answer(op, number, "subscribe" if op == "subscribe" else "", success=True)]


class Bybit(Scene):
    """The venue: both markets, their topics and lists."""

    # It wants a ping each 20 s; how patient it is, nobody says.
    limits = Limits(
        200, ping_period_s=180.0, pong_timeout_s=600.0, life_s=86_400.0, silence_s=30.0, openings=(500, 300.0)
    )
    ws_path = "/v5/public/linear"
    retired_path = "/v5/public/retired"
    instruments = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)
        self._by_symbol = {instrument.symbol: instrument for instrument in self.instruments}

    def session(self, path: str) -> Subscribing | str:
        name = urlsplit(path).path.rstrip("/")
        if not name.startswith("/v5/public/"):
            return "not found"
        market = name.rpartition("/")[2]
        known = {i.symbol for i in self.instruments if i.market == market}
        return Subscribing(known, routed=bool(known))

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        if not order.filled:
            return None
        position = "Buy" if order.side == "SELL" else "Sell"
        text = (
            f'{{"topic":"{LIQUIDATIONS}{i.symbol}","type":"snapshot","ts":{event_time_ms},"data":[{{"T":{order.time_ms},'
            f'"s":"{i.symbol}","S":"{position}","v":"{decimal_text(order.filled, i.quantity_digits)}",'
            f'"p":"{decimal_text(order.price, i.price_digits)}"}}]}}'
        )
        return Publication(Kind.LIQUIDATION, (LIQUIDATIONS + i.symbol,), text.encode(), event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        ticks = []
        for topic in streams:
            i = self._by_symbol.get(topic.removeprefix(TICKERS))
            if i is None:
                continue
            mark = f"{price(i, now_ms):.{i.price_digits}f}"
            text = (
                f'{{"topic":"{topic}","type":"delta","data":{{"symbol":"{i.symbol}","markPrice":"{mark}"}},"cs":1,'
                f'"ts":{now_ms}}}'
            )
            ticks.append(Publication(Kind.CANARY, (topic,), text.encode(), now_ms))
        return ticks

    def shutdown_notice(self, now_ms: int) -> Publication:
        return nothing(now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        try:
            told = msgspec.json.decode(frame, type=_Frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        for start, kind in ((LIQUIDATIONS, Kind.LIQUIDATION), (TICKERS, Kind.CANARY)):
            if told.topic.startswith(start):
                return Publication(kind, (told.topic,), frame, told.ts)
        return None

    def document(self, path: str, now_ms: int) -> bytes | None:
        url = urlsplit(path)
        if url.path != "/v5/market/instruments-info":
            return None
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        listed = [
            i for i in self.instruments if i.market == asked.get("category") and i.symbol not in self.unlisted
        ]
        start = int(asked.get("cursor", "first%3D0").partition("%3D")[2])
        end = start + PAGE
        result = {
            "category": asked.get("category"),
            "list": [_listing(i) for i in listed[start:end]],
            "nextPageCursor": f"first%3D{end}" if end < len(listed) else "",
        }
        return msgspec.json.encode({"retCode": 0, "retMsg": "OK", "result": result, "time": now_ms})


class _Frame(msgspec.Struct):
    topic: str
    ts: int


def _answer(op: str, number: str, text: str, *, success: bool = False) -> bytes:
    answer = {"success": success, "ret_msg": text, "conn_id": "x", "req_id": number, "op": op}
    return msgspec.json.encode(answer)


def _listing(i: Instrument) -> dict[str, Any]:
    dated = i.symbol.endswith("26")
    kind = "Futures" if dated else "Perpetual"
    return {
        "symbol": i.symbol,
        "contractType": f"{i.market.title()}{kind}",
        "status": "Trading",
        "baseCoin": i.base,
        "quoteCoin": i.quote,
        "settleCoin": i.margin,
        "lotSizeFilter": {"qtyStep": decimal_text(1, i.quantity_digits)},
    }


def scene(options: Options) -> Bybit:
    """The scene of this file (see `scenes`)."""
    return Bybit(options)
