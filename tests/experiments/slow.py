"""How long `rekt tweet` lasts at its worst: every service and the operator's mail silent, dripping or cut, for ever.

    .venv/bin/python -m tests.experiments.slow

Each lane is one call for an hour that is final, with five services and an alert that all lead to one server, which
takes every request and then says nothing; sends its header, or its answer, one byte a second; or hangs up. A picture
goes with every post. Held against the promise: a call ends within 180 s, and tells every service's state.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rekt.fields import iso_ms
from tests.experiments.posting import recorded
from tests.publishers.x_server import KEYS
from tests.stores.events import START

KINDS = ("silent", "header", "body", "cut")
PROMISE_S = 180.0
PIECES = {
    "header": (b"HTTP/1.1 200 OK\r\n", b"X-Slow: " + b"a" * 60_000),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n", b"{" * 60_000),
}  # fmt: skip


class Lasted(NamedTuple):
    """One call."""

    kind: str
    seconds: float
    code: int
    states: dict[str, str]


@contextmanager
def server(kind: str) -> Iterator[int]:
    """A server that behaves so to everybody; its port."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(0.5)
            with suppress(TimeoutError):
                while connection.recv(1 << 16):
                    pass
            if kind == "cut":
                return
            start, rest = PIECES.get(kind, (b"", b""))
            connection.sendall(start)
            for n in range(600):
                if over.wait(1):
                    return
                connection.sendall(rest[n : n + 1])

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:

        def accept() -> None:
            while not over.is_set():
                with suppress(OSError):
                    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            over.set()


def call(kind: str) -> Lasted:
    """One call at its worst."""
    with tempfile.TemporaryDirectory() as folder, server(kind) as port:
        ledger = Path(folder) / "data" / "ledger.db"
        ledger.parent.mkdir()
        recorded(ledger, 1)
        url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REKT_")},
            **{f"REKT_TWITTER_{name.upper()}": value for name, value in KEYS.items()},
            "REKT_TWITTER_API_URL": url,
            "REKT_BLUESKY_URL": url,
            "REKT_BLUESKY_HANDLE": "burn.example.org",
            "REKT_BLUESKY_APP_PASSWORD": "app-pass-word",
            "REKT_MASTODON_URL": url,
            "REKT_MASTODON_ACCESS_TOKEN": "token",
            "REKT_TELEGRAM_API_URL": url,
            "REKT_TELEGRAM_BOT_TOKEN": "123:token",
            "REKT_TELEGRAM_CHAT_ID": "@burn",
            "REKT_DISCORD_WEBHOOK_URL": f"{url}/api/webhooks/1/a",
            "REKT_ALERTS_URLS": " ".join(f"json://127.0.0.1:{port}/{n}?rto=60" for n in range(3)),
            "REKT_DATABASE_PATH": str(ledger),
        }
        command = [sys.executable, "-m", "rekt", "tweet", "--json", "--hour", iso_ms(START)[:13]]
        began = time.monotonic()
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, timeout=600, check=False
        )
        seconds = time.monotonic() - began
    told = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return Lasted(kind, seconds, done.returncode, {one["service"]: one["state"] for one in told})


def slow(kinds: tuple[str, ...] = KINDS) -> list[Lasted]:
    """A call of each kind, side by side."""
    with ThreadPoolExecutor(len(kinds)) as pool:
        return list(pool.map(call, kinds))


def main() -> None:
    """Run all and print how long each lasted."""
    print(f"load {os.getloadavg()[0]:.1f}")
    found = slow()
    for one in found:
        print(f"{one.kind:8} {one.seconds:6.1f} s, exit {one.code}: {one.states}")
    sys.exit(1 if any(one.seconds > PROMISE_S or len(one.states) != 5 for one in found) else 0)


if __name__ == "__main__":
    main()
