"""1,000 events a second into a ledger, in batches of 20 ms, and how long each took to become durable; JSON.

python -m benchmarks.dashboard_load LEDGER SECONDS
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from benchmarks.measure import percentile
from rekt import app
from rekt.model import Liquidation
from rekt.store import Batch
from rekt.stores.sqlite import Ledger
from tests.dashboard.scenes import SYMBOLS, sized

EACH = 20  # events of one batch
PERIOD_S = 0.02


def main() -> None:
    """Keep the pace by the clock."""
    if hasattr(os, "SCHED_OTHER"):  # who starts it may stand for another machine
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    app.tune()
    ledger, seconds = Ledger(Path(sys.argv[1])), float(sys.argv[2])
    began, latencies, count = time.monotonic(), [], 0
    while (into := time.monotonic() - began) < seconds:
        now = time.time_ns() // 1_000_000
        events: list[tuple[Liquidation, ...]] = []
        for _ in range(EACH):
            count += 1
            name = SYMBOLS[count % len(SYMBOLS)][0]
            events.append((sized(now, name, 10 + count % 5000, long=count % 3 > 0, number=count),))
        start = time.monotonic()
        ledger.append(Batch("load", frames=events))
        latencies.append((time.monotonic() - start) * 1000)
        if ledger.checkpoint_due:
            ledger.checkpoint()
        time.sleep(max(0.0, (count / EACH) * PERIOD_S - into))
    ledger.close()
    figures = {"events": count, "p50_ms": percentile(latencies, 50), "p99_ms": percentile(latencies, 99)}
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
