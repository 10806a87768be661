"""One of the compared libraries on made-up liquidations; run by the Python of `peers`.

    python -m benchmarks.others cryptofeed|ccxt|unicorn COUNT

Imports it, says ready, then answers each line of standard input with the nanoseconds an event took it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.traffic import documents, payloads

Work = Callable[[list[bytes]], int]  # gives how many rows came out


def cryptofeed() -> Work:
    """Its parser, its Binance handler and its QuestDB encoder, up to the line that its writer would send."""
    exchange = importlib.import_module("cryptofeed.exchanges.binance_futures")
    quest = importlib.import_module("cryptofeed.backends.quest")
    parse = importlib.import_module("yapic.json").loads
    decimal = importlib.import_module("decimal").Decimal
    liquidations = importlib.import_module("cryptofeed.defines").LIQUIDATIONS
    symbols = importlib.import_module("cryptofeed.symbols").Symbols
    names = [entry["symbol"] for body in documents().values() for entry in json.loads(body)["symbols"]]
    feed_class = exchange.BinanceFutures
    symbols.set(feed_class.id, {name: name for name in names}, {})
    sink: Any = quest.LiquidationsQuest()
    sink.queue = asyncio.Queue()
    feed = feed_class(symbols=["BTCUSDT"], channels=[liquidations], callbacks={liquidations: sink})

    async def run(frames: list[bytes]) -> int:
        handle, now = feed._liquidations, time.time()  # noqa: SLF001 - the part to be measured
        for frame in frames:
            await handle(parse(frame.decode(), parse_float=decimal)["data"], now)
        lines: int = sink.queue.qsize()
        while not sink.queue.empty():
            sink.queue.get_nowait()
        return lines

    loop = asyncio.new_event_loop()
    return lambda frames: loop.run_until_complete(run(frames))


def ccxt() -> Work:
    """Its handler of a liquidation message: the unified structure, kept in its cache."""
    exchange = importlib.import_module("ccxt.pro").binance({"newUpdates": True})
    markets = []
    for path, body in documents().items():
        for entry in json.loads(body)["symbols"]:
            linear = path.startswith("/fapi")
            base, quote = entry["baseAsset"], entry["quoteAsset"]
            settle = quote if linear else base
            markets.append(
                {
                    "id": entry["symbol"],
                    "symbol": f"{base}/{quote}:{settle}",
                    "base": base,
                    "quote": quote,
                    "settle": settle,
                    "type": "swap",
                    "spot": False,
                    "swap": True,
                    "contract": True,
                    "linear": linear,
                    "inverse": not linear,
                    "contractSize": entry.get("contractSize", 1),
                }
            )
    exchange.set_markets(markets)

    class Client:
        """What a message is resolved for; nobody waits."""

        def resolve(self, result: object, _hash: str) -> object:
            return result

    def run(frames: list[bytes]) -> int:
        client, handle, done = Client(), exchange.handle_liquidation, 0
        for frame in frames:
            handle(client, json.loads(frame)["data"])
            done += 1
        return done

    return run


def unicorn() -> Work:
    """UnicornFy, which its websocket library hands out."""
    convert = importlib.import_module("unicorn_fy").UnicornFy.binance_com_futures_websocket

    def run(frames: list[bytes]) -> int:
        return sum(convert(frame.decode())["stream_type"] == "forceOrder" for frame in frames)

    return run


def main() -> None:
    """Measure when asked, until standard input ends."""
    logging.disable(logging.CRITICAL)
    work = {"cryptofeed": cryptofeed, "ccxt": ccxt, "unicorn": unicorn}[sys.argv[1]]()
    frames = list(payloads(int(sys.argv[2]), time.time_ns() // 1_000_000 - 60_000))
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter_ns()
        done = work(frames)
        taken = (time.perf_counter_ns() - start) / len(frames)
        if done != len(frames):
            sys.exit(f"{done} rows of {len(frames)} frames")
        print(taken, flush=True)


if __name__ == "__main__":
    main()
