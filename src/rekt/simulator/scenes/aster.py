"""Aster as of November 2026: Binance's API before its split of paths, with fewer streams a connection."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlsplit

from rekt.simulator.options import Options
from rekt.simulator.scene import Publication
from rekt.simulator.scenes.binance import INSTRUMENTS, Binance
from rekt.simulator.subscriptions import Dialogue, nothing

MOST_STREAMS = 200
"""Of a connection."""
TRADED = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "DOGEUSDT", "1000PEPEUSDT", "AAPLUSDT", "币安人生USDT")


class Aster(Binance):
    """The venue: orders and ticks as Binance wrote them, linear contracts only, on the paths that Binance retired."""

    ws_path = "/stream"
    retired_path = "/retired/stream"
    listed = tuple(i for i in INSTRUMENTS if i.symbol in TRADED)

    def __init__(self, options: Options) -> None:
        super().__init__(replace(options, merged=False))

    def session(self, path: str) -> Dialogue | str:
        url = urlsplit(path)
        first, *streams = [unquote(part) for part in url.path.split("/") if part] or [""]
        streams += [
            name for key, value in parse_qsl(url.query) if key == "streams" for name in value.split("/")
        ]
        if len(streams) > MOST_STREAMS:
            return "too many streams"
        return Dialogue(
            filter(None, streams),
            combined=first != "ws",
            routed=first in ("ws", "stream"),
            nested_errors=self._nested_errors,
        )

    def shutdown_notice(self, now_ms: int) -> Publication:
        return nothing(now_ms)


def scene(options: Options) -> Aster:
    """The scene of this file (see `scenes`)."""
    return Aster(options)
