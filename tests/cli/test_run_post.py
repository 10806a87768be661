from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rekt.fields import HOUR, iso_ms
from rekt.model import Connection, Span
from rekt.simulator import simulated
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger, Reader
from tests.publishers.x_server import x_server
from tests.waiting import clear_of_the_hour


def test_run_posts_and_ends_in_time(ledger: Path) -> None:
    """`rekt run --post` beside a call of cron's: the hour is posted once; Ctrl+C ends all of it in time."""
    clear_of_the_hour(40)
    now = time.time_ns() // 1_000_000
    start = now // HOUR * HOUR - HOUR
    book = Ledger(ledger)
    book.begin(Run("r2", start * 1000, None, "run", "0", 1))
    life = Connection("c2", "r2", "binance", "wss://x/m", start * 1000, start * 1000, now * 1000, now * 1000)
    book.append(Batch("r2", connections=[life], spans=[Span("c2", start - 1000, start + HOUR + 60_000)]))
    book.close()
    with x_server() as x, simulated(rate=20) as exchange:
        env = {
            **os.environ,
            **x.environment(),
            "REKT_BINANCE_WS_URL": exchange.ws_url,
            "REKT_BINANCE_UM_REST_URL": exchange.rest_url,
            "REKT_BINANCE_CM_REST_URL": exchange.rest_url,
            "REKT_POST_DEADLINE_MINUTES": "70",
        }
        rekt = [sys.executable, "-m", "rekt"]
        run = subprocess.Popen([*rekt, "run", "--post"], env=env, stdout=subprocess.DEVNULL)
        try:
            cron = subprocess.run(
                [*rekt, "tweet"], check=False, env=env, stdout=subprocess.DEVNULL, timeout=50
            )
            until = time.monotonic() + 30
            while not x.texts and time.monotonic() < until:
                time.sleep(0.2)
            time.sleep(2)
        finally:
            began = time.monotonic()
            run.send_signal(signal.SIGINT)
            code = run.wait(20)
    assert (cron.returncode, code) == (0, 0)
    assert time.monotonic() - began < 15
    assert len(x.texts) == 1
    with Reader(ledger) as reader:
        (entry,) = reader.posts()
    assert (entry.key, entry.state) == (iso_ms(start)[:13], "sent")
