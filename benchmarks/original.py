"""The original's path of 2021, rebuilt with its callback repaired; run by the Python of `peers`.

    python -m benchmarks.original PORT ILP_PORT COUNT [--skip-utf8]

One websocket-client App; for each message json.loads, one Metric with the pair, price, quantity and their product;
every 50 of them as line protocol over TCP. What differs favours it: the socket stays open, every message is a
liquidation, and its time ends when the last batch is handed to the kernel, durable or not.
"""

from __future__ import annotations

import importlib
import json
import socket
import sys
import time
from typing import Any

BATCH = 50


def main() -> None:
    """Receive so many messages; print the seconds from the first to the last."""
    port, sink_port, count = (int(text) for text in sys.argv[1:4])
    skip = "--skip-utf8" in sys.argv
    websocket: Any = importlib.import_module("websocket")
    ilp: Any = importlib.import_module("influx_line_protocol")
    sink = socket.create_connection(("127.0.0.1", sink_port))
    collection = ilp.MetricCollection()
    seen, started = 0, 0.0

    def on_message(app: Any, message: str) -> None:
        nonlocal collection, seen, started
        if not seen:
            started = time.perf_counter()
        seen += 1
        data = json.loads(message)["data"]
        order = data["o"]
        price, quantity = float(order["p"]), float(order["q"])
        metric = ilp.Metric("liqui")
        metric.add_tag("PAIR", order["s"])
        metric.add_value("PRICE", price)
        metric.add_value("QUANTITY", quantity)
        metric.add_value("USDVALUE", quantity * price)
        metric.with_timestamp(data["E"] * 1_000_000)
        collection.append(metric)
        if len(collection.metrics) == BATCH:
            sink.sendall(f"{collection}\n".encode())
            collection = ilp.MetricCollection()
        if seen == count:
            print(json.dumps({"events": seen, "seconds": time.perf_counter() - started}), flush=True)
            app.close()

    url = f"ws://127.0.0.1:{port}/stream?streams=!forceOrder@arr"
    websocket.WebSocketApp(url, on_message=on_message).run_forever(skip_utf8_validation=skip)


if __name__ == "__main__":
    main()
