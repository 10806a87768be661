"""The dashboard in a real browser: first paint over a large ledger, event to pixel, a minute's load, many clients.

    .venv/bin/python -m benchmarks.dashboard --rows 1000000
    .venv/bin/python -m benchmarks.dashboard                 # 10 million rows: a few minutes to make, 2 GB in --folder

The ledger is made once and kept in --folder. Events go in through the ledger's own `append`, by a process that stands
for the recorder; its latency is receipt → durable of each batch. The browser is the system's Chromium, headless.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.hour_summary import fill
from benchmarks.measure import percentile, table
from rekt.fields import DAY, HOUR
from rekt.store import Batch
from rekt.stores.sqlite import Ledger
from tests.dashboard.scenes import sized

ROOT = Path(__file__).resolve().parents[1]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
WATCH = """
window.seen = {}; window.frames = [];
const rows = document.getElementById('rows');
new MutationObserver(() => requestAnimationFrame(() => {
  for (const row of [...rows.children].slice(0, 60)) {
    const name = row.children[1]?.textContent ?? '';
    if (name.startsWith('PIXEL') && !(name in window.seen)) window.seen[name] = performance.timeOrigin + performance.now();
  }
})).observe(rows, { childList: true, subtree: true, characterData: true });
let last = performance.now();
const step = (now) => { window.frames.push(now - last); last = now; requestAnimationFrame(step); };
requestAnimationFrame(step);
"""


def main() -> None:
    """Make the ledger where it is missing, then measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "rekt-benchmarks")
    parser.add_argument("--seconds", type=float, default=60.0, help="of 1,000 events a second")
    parser.add_argument("--paint", action="store_true", help="only the first paint")
    parser.add_argument("--clients", type=int, default=100)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    path = given.folder / f"dashboard-{given.rows}.db"
    end = time.time_ns() // 1_000_000 // HOUR * HOUR
    fill(path, given.rows, end - 30 * DAY, end - 5 * HOUR)
    Ledger(path).close()  # one that an older version made is brought up to date
    server = serve(path)
    try:
        url = server.stdout.readline().strip() if server.stdout else ""
        time.sleep(5)  # each symbol's 30 days are read in the background after the start
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium") or "chromium"
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            told("first paint")
            paints = [paint(browser.new_page(), url) for _ in range(5)]
            if given.paint:
                browser.close()
                print(f"{given.rows:,} rows: first contentful paint, filled (ms): {sorted(paints)}")
                return
            page = browser.new_page()
            page.goto(url)
            page.wait_for_selector("#treemap svg")
            page.evaluate(WATCH)
            told("event to pixel")
            pixels = event_to_pixel(page, path)
            told("1,000 events/s, page open")
            quiet = load(path, 10.0)
            page.evaluate("window.frames = []")
            loaded = load(path, given.seconds)
            frames = page.evaluate("window.frames")
            browser.close()
        told(f"{given.clients} clients")
        crowded = asyncio.run(with_clients(url, path, given.clients))
    finally:
        server.terminate()
        server.wait(15)
    fcp = sorted(one[0] for one in paints)
    ready = sorted(one[1] for one in paints)
    table(f"dashboard over {given.rows:,} rows", [
        ["", "figure", "target"],
        ["first contentful paint, median of 5", f"{fcp[2]:.0f} ms", "< 1000 ms"],
        ["headline and cards filled, median of 5", f"{ready[2]:.0f} ms", ""],
        ["event to pixel, p50", f"{percentile(pixels, 50):.0f} ms", ""],
        ["event to pixel, p95", f"{percentile(pixels, 95):.0f} ms", "< 250 ms"],
        [f"frames a second over {given.seconds:.0f} s of 1,000 events/s", f"{len(frames) / (sum(frames) / 1000):.0f}", ">= 30"],
        ["longest pause between frames", f"{max(frames):.0f} ms", ""],
        ["receipt to durable p99: page open, 10 s", f"{quiet['p99_ms']:.2f} ms", ""],
        [f"… page open, {given.seconds:.0f} s", f"{loaded['p99_ms']:.2f} ms", "unchanged"],
        ["… no client, 15 s", f"{crowded[0]['p99_ms']:.2f} ms", ""],
        [f"… {given.clients} live clients, 15 s", f"{crowded[1]['p99_ms']:.2f} ms", "unchanged"],
        [f"events that {given.clients} clients got of those sent", f"{crowded[2]:.4f}", "1"],
    ])  # fmt: skip


def told(step: str) -> None:
    """What is measured now, and how busy the machine is meanwhile."""
    print(f"{time.strftime('%H:%M:%S')} load {os.getloadavg()[0]:.1f}: {step}", file=sys.stderr, flush=True)


def serve(path: Path) -> subprocess.Popen[str]:
    """`rekt serve` over the ledger."""
    ini = path.with_suffix(".ini")
    ini.touch()
    return subprocess.Popen(
        [sys.executable, "-m", "rekt", "serve", "--port", "0"],
        env={**os.environ, "REKT_CONFIG": str(ini), "REKT_DATABASE_PATH": str(path)},
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def paint(page: Page, url: str) -> tuple[float, float]:
    """First contentful paint, and when headline and cards hold figures; ms."""
    page.goto(url)
    filled = (
        "document.querySelector('#headline').textContent.trim() !== ''"
        " && document.querySelectorAll('.card .total')[3].textContent !== '–'"
    )
    deadline = time.monotonic() + 60
    while not page.evaluate(filled):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the page shows no figures: {page.inner_text('body')[:300]}")
        page.wait_for_timeout(10)
    ready = page.evaluate("performance.now()")
    first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.close()
    return float(first), float(ready)


def event_to_pixel(page: Page, path: Path, count: int = 100) -> list[float]:
    """From before the event is made durable until the frame in which its row stands; ms."""
    ledger, sent = Ledger(path), {}
    for number in range(count):
        now = time.time_ns() // 1_000_000
        name = f"PIXEL{now}-{number}"
        sent[name] = time.time() * 1000
        ledger.append(Batch("bench", frames=[(sized(now, name, 1e5, long=True, number=number),)]))
        page.wait_for_timeout(70 + 13 * (number % 7))
    page.wait_for_timeout(1500)
    ledger.close()
    seen = page.evaluate("window.seen")
    return [seen[name] - at for name, at in sent.items()]


def load(path: Path, seconds: float) -> dict[str, float]:
    """1,000 events a second by another process; its latency."""
    command = [sys.executable, "-m", "benchmarks.dashboard_load", str(path), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


async def with_clients(url: str, path: Path, count: int) -> tuple[dict[str, float], dict[str, float], float]:
    """The load without clients and with so many; and the share of events that they got."""
    alone = await asyncio.to_thread(load, path, 15.0)
    host, port = url.removeprefix("http://").split(":")
    got = [0] * count

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        mark, rest = b"event: liquidation", b""
        try:
            while data := await reader.read(1 << 16):
                got[number] += (rest + data).count(mark)
                rest = (rest + data)[-len(mark) + 1 :]
        finally:
            writer.close()

    tasks = [asyncio.create_task(client(number)) for number in range(count)]
    await asyncio.sleep(2)
    crowded = await asyncio.to_thread(load, path, 15.0)
    await asyncio.sleep(8)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return alone, crowded, sum(got) / count / crowded["events"]


if __name__ == "__main__":
    main()
