"""The recorder as `rekt run` runs it, without the display, until so many events are durable; figures as JSON.

python -m benchmarks.service PORT COUNT LEDGER
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from contextlib import suppress

from benchmarks.measure import percentile
from benchmarks.traffic import documents
from rekt import app
from rekt.model import Liquidation
from rekt.service import Service
from rekt.store import Appended, Batch


async def record(count: int) -> dict[str, object]:
    """Run the service to the last event; its own clock at each commit is all that is added."""
    settings = app.settings()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    commits: list[tuple[int, list[Liquidation]]] = []
    left = count

    def durable(appended: Appended) -> None:
        nonlocal left
        if appended.new:
            commits.append((time.time_ns() // 1000, appended.new))
            left -= len(appended.new)
            if left <= 0:
                loop.call_soon_threadsafe(stop.set)

    service = Service(settings, durable=durable)
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.wait_for(service.run(stop), 120)
    used = resource.getrusage(resource.RUSAGE_SELF)
    latencies = [done_us - event.received_us for done_us, new in commits for event in new]
    first_us = min(event.received_us for event in commits[0][1])
    return {
        "events": len(latencies),
        "seconds": (commits[-1][0] - first_us) / 1e6,
        "cpu_s": used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime,
        "commits": len(commits),
        "p50_ms": percentile(latencies, 50) / 1000,
        "p99_ms": percentile(latencies, 99) / 1000,
        "batches": [len(new) for _, new in commits],
    }


def prepare() -> None:
    """A ledger that knows the instruments, as after any earlier run."""
    settings, binance = app.settings(), app.venue("binance")
    ledger = app.writer(settings)
    bodies = documents()
    for document in binance.documents(settings.section("BINANCE")):
        body = next(body for place, body in bodies.items() if document.url.endswith(place))
        ledger.append(Batch("prepare", instruments=document.parse(body, time.time_ns() // 1000)))
    ledger.close()


def main() -> None:
    """Record, prove the ledger, print."""
    port, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with suppress(KeyError):
        del os.environ["REKT_CONFIG"]
    os.environ |= {
        "REKT_DATABASE_PATH": path,
        "REKT_BINANCE_WS_URL": f"ws://127.0.0.1:{port}/market/stream",
        "REKT_BINANCE_UM_REST_URL": f"http://127.0.0.1:{port}",
        "REKT_BINANCE_CM_REST_URL": f"http://127.0.0.1:{port}",
        "REKT_BINANCE_CANARY_TIMEOUT": "60",
        "REKT_BINANCE_CONNECTIONS": "1",  # the sender sends everything to each
    }
    prepare()
    app.tune()
    figures = asyncio.run(record(count))
    with app.reader(app.settings()) as reader:
        wrong = reader.verify()
        if wrong or reader.rows() != count:
            sys.exit(f"the ledger is not what was sent: {reader.rows()} rows, {wrong[:3]}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
