"""The least that receiving and keeping can cost: a bare loop that reads, and a thread that writes and syncs.

    python -m benchmarks.floor RATE SECONDS

No websocket, no decoding, no database. Prints the share of a core that it took.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time

FEED = """
import socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while True:
    connection.sendall(b"x" * 250)
    time.sleep(1 / float(sys.argv[2]))
"""


async def run(rate: str, seconds: float) -> float:
    """Processor time over time, in this process."""
    came = threading.Event()

    class Receiver(asyncio.Protocol):
        def data_received(self, _data: bytes) -> None:
            came.set()

    def keep() -> None:
        while came.wait():
            came.clear()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())

    with tempfile.NamedTemporaryFile(dir=".") as file:
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
        threading.Thread(target=keep, daemon=True).start()
        port = str(server.sockets[0].getsockname()[1])
        feed = subprocess.Popen([sys.executable, "-c", FEED, port, rate])  # noqa: ASYNC220 - before anything is timed
        await asyncio.sleep(1)
        used, start = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        share = (time.process_time() - used) / (time.monotonic() - start)
        feed.kill()
        feed.wait()
    return share


if __name__ == "__main__":
    print(asyncio.run(run(sys.argv[1], float(sys.argv[2]))), flush=True)
    os._exit(0)  # the keeper waits for ever
