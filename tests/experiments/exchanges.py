"""All simulated exchanges in one process of their own, which notes the identity of each liquidation it delivered.

    .venv/bin/python -m tests.experiments.exchanges --rate 2000 --folder FOLDER

Prints one line of JSON with the addresses of each, `{"name": [websocket, documents]}`. On SIGTERM it closes every
connection in order and writes two files of 16-byte identities into the folder: `delivered` (written to one connection
at least) and `published` (to nobody: what a subscription may still bring as its backlog).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import deque
from contextlib import AsyncExitStack
from pathlib import Path

from rekt.simulator import Options, Sent, Simulator, scenes
from rekt.simulator.truth import Record
from rekt.venue import Reference
from tests.simulator.test_scenes import listed, venue

SETTLED_MS = 2_000  # an event is written to all its connections by then


class Waiting(Record):
    """Keeps what was published until it was looked at, and no longer: hours take no more memory than minutes."""

    def __init__(self) -> None:
        super().__init__(0)
        self.waiting: deque[Sent] = deque()

    def event(self, payload: bytes, event_time_ms: int) -> Sent:
        sent = super().event(payload, event_time_ms)
        self.waiting.append(sent)
        return sent


class Exchange:
    """One of them."""

    def __init__(self, name: str, rate: float, seed: int) -> None:
        self.delivered: set[bytes] = set()
        self.published: set[bytes] = set()
        self.simulator = Simulator(Options(venue=name, rate=rate, hold_ms=0, seed=seed))
        self.record = self.simulator.record = Waiting()
        self.name = name
        self._venue, _ = venue(name)
        known = listed(name, self.simulator.scene)
        self._reference = Reference({instrument.symbol: instrument for instrument in known})

    def note(self, until_ms: float) -> None:
        """Note what was published up to a moment."""
        waiting = self.record.waiting
        while waiting and waiting[0].event_time_ms <= until_ms:
            sent = waiting.popleft()
            decoded = self._venue.decode(sent.payload, time.time_ns() // 1000, self._reference)
            events = decoded if isinstance(decoded, tuple) else self._venue.due(1 << 62, self._reference)
            found = self.delivered if sent.written else self.published
            found.update(event.uid for event in events)


async def serve(rate: float, seed: int, folder: Path) -> None:
    """Run them until told to stop."""
    done, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    names = scenes.names()
    exchanges = [Exchange(name, rate / len(names), seed) for name in names]
    async with AsyncExitStack() as stack:
        for one in exchanges:
            await stack.enter_async_context(one.simulator)
        addresses = {one.name: [one.simulator.ws_url, one.simulator.rest_url] for one in exchanges}
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        while not done.is_set():
            for one in exchanges:
                one.note(one.simulator.now_ms() - SETTLED_MS)
                await asyncio.sleep(0)
            try:
                async with asyncio.timeout(0.2):
                    await done.wait()
            except TimeoutError:
                pass
    for one in exchanges:
        one.note(float("inf"))
    delivered = set[bytes]().union(*(one.delivered for one in exchanges))
    published = set[bytes]().union(*(one.published for one in exchanges)) - delivered
    (folder / "delivered").write_bytes(b"".join(delivered))
    (folder / "published").write_bytes(b"".join(published))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=2000.0, help="of all together (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.rate, given.seed, given.folder))


if __name__ == "__main__":
    main()
