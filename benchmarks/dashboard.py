"""The dashboard in a real browser: first paint over a large ledger, event to pixel, a minute's load, many clients.

    .venv/bin/python -m benchmarks.dashboard --rows 1000000
    .venv/bin/python -m benchmarks.dashboard                 # 10 million rows: a few minutes to make, 2 GB in --folder

The ledger is made once and kept in --folder. Events go in through the ledger's own `append`, by a process that stands
for the recorder; its latency is receipt → durable of each batch, with nobody looking, with the page open, and with many
clients, in turns. The browser is the system's Chromium, headless. Browser and clients stand for other machines, so on
Linux they get only what recorder and server leave of this one's processors (SCHED_IDLE). That holds within a session
only (sched(7), autogroup), and Playwright gives a browser a session of its own: so the browser is started here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.hour_summary import fill
from benchmarks.measure import percentile, table
from rekt.fields import DAY, HOUR
from rekt.store import Batch
from rekt.stores.sqlite import Ledger
from tests.dashboard.scenes import sized

ROOT = Path(__file__).resolve().parents[1]
ROUND_S = 20.0
SETTLED_S = 8.0  # after its opening the page has drawn all, and the browser has compiled what it runs
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
    parser.add_argument("--rounds", type=int, default=5, help="of the recorder's latency")
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
        elsewhere()
        with ExitStack() as stack, sync_playwright() as playwright:
            browser = playwright.chromium.connect_over_cdp(stack.enter_context(chromium()))
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
            told("a minute of 1,000 events/s, page open")
            page.evaluate("window.frames = []")
            load(path, given.seconds)
            frames = page.evaluate("window.frames")
            page.goto("about:blank")
            rates, shares = [], []
            for number in range(given.rounds):
                told(f"recorder's latency, round {number + 1}")
                nobody = load(path, ROUND_S)
                page.goto(url)
                page.wait_for_selector("#treemap svg")
                time.sleep(SETTLED_S)
                opened = load(path, ROUND_S)
                page.goto("about:blank")
                crowded, share = with_clients(url, path, given.clients)
                rates.append((nobody, opened, crowded))
                shares.append(share)
            browser.close()
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
        *(
            [f"receipt to durable, {what}: p50 / p99", f"{median(rates, place, 'p50_ms'):.2f} / {median(rates, place, 'p99_ms'):.2f} ms",
             "unchanged" if place else ""]
            for place, what in enumerate(("nobody looks", "page open", f"{given.clients} clients"))
        ),
        [f"events that {given.clients} clients got of those sent, least", f"{min(shares):.4f}", "1"],
    ])  # fmt: skip


def median(rates: Sequence[tuple[dict[str, float], ...]], place: int, figure: str) -> float:
    """Of the rounds."""
    return statistics.median(one[place][figure] for one in rates)


def elsewhere() -> None:
    """This process and those that it starts stand for other machines from now on."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@contextmanager
def chromium() -> Iterator[str]:
    """A browser in this process's session; where its driver reaches it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [shutil.which("chromium") or "chromium", "--headless", "--remote-debugging-port=0"]
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", *FLAGS, "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            told_in, deadline = Path(profile) / "DevToolsActivePort", time.monotonic() + 60
            while not (told_in.exists() and told_in.read_text().count("\n")):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("Chromium does not start")
                time.sleep(0.05)
            port, path = told_in.read_text().split()
            yield f"ws://127.0.0.1:{port}{path}"
        finally:
            process.terminate()
            process.wait(15)


def told(step: str) -> None:
    """What is measured now, and how busy the machine is meanwhile."""
    print(f"{time.strftime('%H:%M:%S')} load {os.getloadavg()[0]:.1f}: {step}", file=sys.stderr, flush=True)


def serve(path: Path) -> subprocess.Popen[str]:
    """`rekt serve` over the ledger, as a recorder starts it beside itself."""
    ini = path.with_suffix(".ini")
    ini.touch()
    return subprocess.Popen(
        [sys.executable, "-m", "rekt", "serve", "--port", "0", "--until-eof"],
        env={**os.environ, "REKT_CONFIG": str(ini), "REKT_DATABASE_PATH": str(path)},
        stdin=subprocess.PIPE,
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


def with_clients(url: str, path: Path, count: int) -> tuple[dict[str, float], float]:
    """The latency with so many clients, and the share of the events that they got."""
    with ThreadPoolExecutor(1) as thread:  # the browser's driver has an event loop in this one
        return thread.submit(lambda: asyncio.run(listened(url, path, count))).result()


async def listened(url: str, path: Path, count: int) -> tuple[dict[str, float], float]:
    """The same, in an event loop."""
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
    found = await asyncio.to_thread(load, path, ROUND_S)
    await asyncio.sleep(8)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found, sum(got) / count / found["events"]


if __name__ == "__main__":
    main()
