"""A venue that costs little: takes one websocket connection by hand and sends prebuilt frames, fast or at a pace.

    python -m benchmarks.sender --count 300000
    python -m benchmarks.sender --count 20000 --rate 2000

Prints its port. Serves the instrument documents under the same port, so that a recorder finds all it asks for.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import socket
import sys
import threading
import time

from benchmarks.traffic import canary, documents, framed, payloads

CHUNK = 1 << 20
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def head(connection: socket.socket) -> bytes:
    """The request up to its empty line."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    return data


def accept(request: bytes) -> bytes:
    """The answer that opens a websocket."""
    key = next(
        line[18:].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")
    )
    proof = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
    )


class Sender:
    """The prebuilt frames and how they go out."""

    def __init__(self, count: int, rate: float | None, delay_s: float, *, ticks: bool) -> None:
        start_ms = time.time_ns() // 1_000_000
        self.frames = [framed(data) for data in payloads(count, start_ms, rate / 1000 if rate else 10.0)]
        self.rate = rate
        self.delay_s = delay_s
        self.ticks = ticks
        self.documents = documents()

    def serve(self, server: socket.socket) -> None:
        """One thread a connection, until the process ends."""
        while True:
            connection, _ = server.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        """A document, or the stream and then silence until the other side hangs up."""
        request = head(connection)
        path = request.split(b" ")[1].decode() if request else ""
        if body := self.documents.get(path.partition("?")[0]):
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            connection.close()
        elif request:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(accept(request))
            if self.ticks:
                connection.sendall(framed(canary(time.time_ns() // 1_000_000)))
            time.sleep(self.delay_s)
            try:
                self.paced(connection, self.rate) if self.rate else self.blast(connection)
                while connection.recv(65536):
                    pass
            except OSError:
                pass

    def blast(self, connection: socket.socket) -> None:
        """As fast as the reader takes it."""
        data = b"".join(self.frames)
        for start in range(0, len(data), CHUNK):
            connection.sendall(data[start : start + CHUNK])

    def paced(self, connection: socket.socket, rate: float) -> None:
        """Each frame at its time; those that are due together go together."""
        frames, sent, ticked = self.frames, 0, 0
        start = time.perf_counter()
        while sent < len(frames):
            elapsed = time.perf_counter() - start
            if int(elapsed) > ticked:
                ticked = int(elapsed)
                connection.sendall(framed(canary(time.time_ns() // 1_000_000)))
            due = min(len(frames), int(elapsed * rate) + 1)
            if due > sent:
                connection.sendall(b"".join(frames[sent:due]))
                sent = due
            time.sleep(max(0.0005, (sent / rate) - (time.perf_counter() - start)))


def main() -> None:
    """Listen, say where, and serve until standard input ends."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, help="frames a second; otherwise as fast as they are taken")
    parser.add_argument(
        "--delay", type=float, default=3.0, help="seconds from the handshake to the first frame"
    )
    parser.add_argument("--ticks", action="store_true", help="begin with a canary tick")
    given = parser.parse_args()
    sender = Sender(given.count, given.rate, given.delay, ticks=given.ticks)
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=sender.serve, args=(server,), daemon=True).start()
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
