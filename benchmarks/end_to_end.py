"""From the socket to where events are kept: ours durable and rolled up, the original's path handed to the kernel.

    .venv/bin/python -m benchmarks.end_to_end

A sender process blasts prebuilt websocket frames of distinct liquidations over loopback as fast as the reader takes
them. Ours is the recorder itself (one connection, committer, ledger in WAL and FULL), from the first frame to the
commit of the last; afterwards every event must be there once and every roll-up equal a recount.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import interleaved, table

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def sender(count: int, *options: str) -> Iterator[int]:
    """A sender process; its port."""
    command = [sys.executable, "-m", "benchmarks.sender", "--count", str(count), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()


@contextmanager
def sink() -> Iterator[int]:
    """Takes line protocol and only reads it; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def read() -> None:
        connection, _ = server.accept()
        buffer = bytearray(1 << 20)
        with connection:
            while connection.recv_into(buffer):
                pass

    threading.Thread(target=read, daemon=True).start()
    with server:
        yield server.getsockname()[1]


def recorded(count: int, *options: str) -> dict[str, float | list[int]]:
    """Our recorder's figures for so many events."""
    with tempfile.TemporaryDirectory(dir=ROOT) as folder, sender(count, *options) as port:
        command = [sys.executable, "-m", "benchmarks.service", str(port), str(count), f"{folder}/ledger.db"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float | list[int]] = json.loads(done.stdout)
    return found


def ours(count: int) -> float:
    """Events a second through our recorder."""
    found = recorded(count)
    assert isinstance(found["seconds"], float)
    return count / found["seconds"]


def original(count: int, *options: str) -> float:
    """Events a second through the original's path."""
    with sender(count) as port, sink() as sink_port:
        command = [
            peers.python(),
            "-m",
            "benchmarks.original",
            str(port),
            str(sink_port),
            str(count),
            *options,
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    return count / float(json.loads(done.stdout)["seconds"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=400_000, help="events of a round of ours (%(default)s)")
    parser.add_argument("--original-count", type=int, default=30_000, help="of the others' (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    names = ("rekt", "original, repaired", "original, repaired, UTF-8 unchecked")
    found = interleaved(
        {
            names[0]: lambda: ours(given.count),
            names[1]: lambda: original(given.original_count),
            names[2]: lambda: original(given.original_count, "--skip-utf8"),
        },
        given.rounds,
    )
    rows = [("", "events/s", "rekt is")]
    rows += [(name, f"{rate:,.0f}", f"× {found['rekt'] / rate:.1f}") for name, rate in found.items()]
    table("socket to durable and rolled up", rows)


if __name__ == "__main__":
    main()
