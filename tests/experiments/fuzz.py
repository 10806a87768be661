"""Hostile input to the decoder, the wire and the recorder: nothing crashes, nothing hangs, every frame is accounted for.

    .venv/bin/python -m tests.experiments.fuzz --frames 5000000

- *decoder*: frames found by coverage-guided search (atheris, see fuzz_guided.py: it runs in an environment of its own);
  what decodes goes into a ledger; anything but a decoded frame or FrameError is a crash, 10 s are a hang;
- *wire*: connections over real sockets on which the server sends what breaks the protocol; what was whole before must be
  given, in order, and the connection must end with a cause;
- *recorder*: `rekt run` against a server that sends hostile frames at full speed among good events; every good event
  must be there, its log and memory must stay small.

Each time received = control + stored + duplicate + quarantined must hold, and `received` be what was sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rekt.errors import FrameError, LedgerError
from rekt.fields import MAX_NOTIONAL, iso_ms
from rekt.model import Instrument, Quarantined
from rekt.pipeline.lanes import REMIND_S
from rekt.pipeline.recorder import KINDS
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger, Reader
from rekt.venue import Notice, Reference, Tick
from rekt.venues.binance import VENUE
from rekt.wire.connection import Connection
from tests.experiments.fuzz_guided import guided
from tests.experiments.hostile import bad_frame, canary, event, stream
from tests.experiments.kill import PATIENT_S, recorder
from tests.experiments.soak import resident_kib
from tests.venues.samples_binance import SAMPLES
from tests.wire.server import Peer, serving

MAX_FRAME = 65_536  # of the fuzzed wire
READ = (
    256 << 10
)  # a frame that is too large, yet came whole within one read, is still given (see wire.connection)
CAUSES = {"cut", "frame too large", "protocol error"}
MEMORY_KIB = 400 << 10


class Judge:
    """Decodes frames and keeps in a ledger what they say, as the recorder does; counts what they came to."""

    def __init__(self, ledger: Path) -> None:
        self.received = 0
        self._path = ledger
        self._ledger = Ledger(ledger)
        now_us = time.time_ns() // 1000
        self._ledger.begin(Run("fuzz", now_us))
        known: dict[str, Instrument] = {one.symbol: one for sample in SAMPLES for one in sample.instruments}
        self._reference = Reference(known)
        self._batch = Batch("fuzz")
        self._waiting = 0

    def take(self, data: bytes) -> None:
        """A frame. Whatever else than FrameError the decoder raises goes through."""
        now_us = time.time_ns() // 1000
        self.received += 1
        self._waiting += 1
        try:
            decoded = VENUE.decode(data, now_us, self._reference)
        except FrameError as error:
            self._batch.quarantined.append(Quarantined("binance", None, now_us, error.message, data))
        else:
            if isinstance(decoded, tuple):
                assert decoded, "a frame without events is control"
                for one in decoded:
                    assert one.notional is None or 0 <= one.notional <= MAX_NOTIONAL
                    assert 1 <= len(one.symbol) <= 64
                self._batch.frames.append(decoded)
            else:
                if isinstance(decoded, Tick):
                    self._reference.tick(decoded)
                else:
                    assert isinstance(decoded, Notice), repr(decoded)
                self._batch.control += 1
        if self._waiting >= 2_000:
            self.flush()

    def flush(self) -> None:
        """Give the ledger what waits."""
        self._batch.now_ms = time.time_ns() // 1_000_000
        self._ledger.append(self._batch)
        self._batch, self._waiting = Batch("fuzz"), 0

    def unaccounted(self) -> list[str]:
        """Frames that came to nothing, or to two things, in what was flushed."""
        with Reader(self._path) as reader:
            counters = reader.counters()
        if counters.received != self.received:
            return [f"{self.received} frames were given, the ledger counts {counters}"]
        return accounted(counters)

    def faults(self) -> list[str]:
        """What does not add up in the ledger, the roll-ups recounted."""
        self.flush()
        with Reader(self._path) as reader:
            found = reader.verify()
        return found + self.unaccounted()

    def close(self) -> None:
        """Let go of the ledger."""
        self._ledger.close()


def accounted(counters: Any) -> list[str]:
    """Whether every frame came to something."""
    total = counters.control + counters.stored + counters.duplicate + counters.quarantined
    return [] if counters.received == total else [f"frames are unaccounted for: {counters}"]


@dataclass
class Wire:
    """What the fuzz of the wire found; `faults` is empty when all held."""

    connections: int = 0
    messages: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


async def wire(connections: int, seed: int = 1) -> Wire:
    """So many connections, each to a server that sends other bytes; see the module's docstring."""
    outcome, rng = Wire(), random.Random(seed)
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: outcome.faults.append(f"nobody caught: {context}")
    )
    current = stream(rng, MAX_FRAME)

    async def script(peer: Peer) -> None:
        data, dice = current.data, random.Random(len(current.data))
        at = 0
        while at < len(data):
            size = dice.choice((1, 7, 100, 5_000, len(data)))
            peer.writer.write(data[at : at + size])
            at += size
            if dice.random() < 0.1:
                await asyncio.sleep(0)
        await peer.writer.drain()
        peer.writer.write_eof()
        with suppress(
            TimeoutError
        ):  # closing with answers unread would make the system throw away what was sent
            async with asyncio.timeout(10):
                await peer.reader.read()

    async with serving(script) as url:
        for number in range(connections):
            current = stream(rng, MAX_FRAME)
            given: list[bytes] = []
            try:
                async with asyncio.timeout(15):
                    connection = await Connection.open(url, max_frame=MAX_FRAME)
                    async for batch in connection.batches():
                        given += [frame.data for frame in batch]
            except Exception as error:  # noqa: BLE001 - any is a fault to be told
                outcome.faults.append(f"connection {number} of seed {seed}: {type(error).__name__}: {error}")
                break
            end = connection.disconnected
            cause = end.cause if end is not None else "none"
            outcome.connections += 1
            outcome.messages += len(given)
            outcome.causes[cause] = outcome.causes.get(cause, 0) + 1
            if given[: len(current.good)] != current.good:
                outcome.faults.append(
                    f"connection {number} of seed {seed}: what was whole was not given ({end})"
                )
            if cause not in CAUSES or (not current.hostile and cause != "cut"):
                outcome.faults.append(f"connection {number} of seed {seed}: {end}")
            if any(len(data) > MAX_FRAME + READ for data in given):
                outcome.faults.append(f"connection {number} of seed {seed}: too large a frame was given")
            if outcome.faults:
                break
    return outcome


class Addresses(NamedTuple):
    """Where a server is reached; nobody answers for the documents."""

    ws_url: str
    rest_url: str = "http://127.0.0.1:9"


@dataclass
class Recorded:
    """What the fuzz of the whole recorder found; `faults` is empty when all held."""

    sent: int = 0
    good: int = 0
    counters: Any = None
    largest_memory_kib: int = 0
    told: int = 0  # lines of the log about what does not fit
    faults: list[str] = field(default_factory=list)


async def recorded(frames: int, seed: int = 1) -> Recorded:
    """Send so many frames to `rekt run`, one in ten a good event; see the module's docstring for what must hold."""
    outcome, rng = Recorded(), random.Random(seed)
    good: set[str] = set()
    done, quiet = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        def send(data: bytes) -> None:
            peer.send(data)
            outcome.sent += 1

        ticked = 0.0
        while True:
            if time.monotonic() - ticked > 0.5 and not quiet.is_set():
                ticked = time.monotonic()
                send(canary())
            if outcome.sent < frames:
                if rng.random() < 0.1:
                    one: Any = event(len(good))
                    good.add(one["o"]["ap"])
                    send(json.dumps(one).encode())
                else:
                    send(bad_frame(rng))
                await peer.writer.drain()
            else:
                done.set()
                await asyncio.sleep(0.02)

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        ledger, log = Path(name) / "ledger.db", Path(name) / "log"
        async with serving(script) as url:
            with log.open("wb") as errors:
                process = recorder(
                    ledger,
                    Addresses(url),
                    stderr=errors,
                    REKT_BINANCE_CONNECTIONS="1",
                    REKT_BINANCE_CANARY_TIMEOUT=PATIENT_S,
                )
                try:
                    await _until_all_is_there(outcome, ledger, process, done, quiet)
                finally:
                    process.terminate()
                    if process.wait(15):
                        outcome.faults.append(f"the recorder ended with {process.returncode}")
        with Reader(ledger) as reader:
            outcome.counters = counters = reader.counters()
            outcome.faults += reader.verify()
            stored = {one.average_price for one in reader.liquidations(None)}
            connections = len(reader.connections(None))
        said = log.read_text("utf-8", "replace")
        outcome.good = len(good)
        outcome.told = said.count("answers with an error") + said.count("does not fit")
        outcome.faults += accounted(counters)
        if connections != 1 or counters.received != outcome.sent:
            outcome.faults.append(
                f"{outcome.sent} sent on {connections} connections, {counters.received} received"
            )
        if good - stored:
            outcome.faults.append(f"{len(good - stored)} of {len(good)} good events are missing")
        if outcome.largest_memory_kib > MEMORY_KIB:
            outcome.faults.append(f"memory grew to {outcome.largest_memory_kib / 1024:.0f} MiB")
        if outcome.told > KINDS * (1 + (time.monotonic() - began) / REMIND_S) or "\x1b" in said:
            outcome.faults.append(
                f"{outcome.told} lines of the log tell of bad frames, or one holds an escape"
            )
        if outcome.faults:
            outcome.faults.append(said[-3000:])
    return outcome


async def _until_all_is_there(
    outcome: Recorded,
    ledger: Path,
    process: subprocess.Popen[bytes],
    done: asyncio.Event,
    quiet: asyncio.Event,
) -> None:
    """Wait until all was sent and the ledger counts it, or until a minute brought nothing new."""
    had, changed = -1, time.monotonic()
    while time.monotonic() - changed < 60:
        await asyncio.sleep(0.2)
        if process.poll() is not None:
            outcome.faults.append(f"the recorder ended by itself with {process.returncode}")
            return
        outcome.largest_memory_kib = max(outcome.largest_memory_kib, resident_kib(process.pid))
        try:
            with Reader(ledger) as reader:
                received, lives = reader.counters().received, len(reader.connections(None))
        except LedgerError:  # not there yet
            continue
        if lives > 1:  # what was on its way on the first is lost, and the count can't come out
            return
        if received != had:
            had, changed = received, time.monotonic()
        if done.is_set() and received >= outcome.sent - 2:  # a canary may be on its way: the last one
            quiet.set()
        if quiet.is_set() and received == outcome.sent:
            return
    outcome.faults.append(f"for a minute nothing came: {outcome.sent} sent, {had} received")


def main() -> None:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=5_000_000, help="to the decoder, guided by coverage")
    parser.add_argument("--connections", type=int, default=20_000, help="to the wire")
    parser.add_argument("--sent", type=int, default=500_000, help="frames to the recorder, over a socket")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.time()

    def tell(what: str, outcome: Any) -> None:
        nonlocal began
        print(f"{what}: {iso_ms(int(began * 1000))}, {time.time() - began:.0f} s: {outcome}", flush=True)
        began = time.time()

    on_wire = asyncio.run(wire(given.connections, given.seed))
    tell("wire", on_wire)
    by_recorder = asyncio.run(recorded(given.sent, given.seed))
    tell("recorder", by_recorder)
    code = guided(given.frames, given.seed)
    tell("decoder", f"ended with {code}")
    sys.exit(1 if on_wire.faults or by_recorder.faults or code else 0)


if __name__ == "__main__":
    main()
