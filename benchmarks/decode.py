"""One frame: parsed only, parsed and validated into the facts that the ledger keeps.

.venv/bin/python -m benchmarks.decode
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.measure import each_ns, interleaved, table
from benchmarks.traffic import documents, payloads
from rekt.app import settings, venue
from rekt.venue import Reference


def reference() -> Reference:
    """What the recorder knows after it has read the instrument documents."""
    binance = venue("binance")
    bodies = documents()
    found = {}
    for document in binance.documents(settings().section("BINANCE")):
        body = next(body for path, body in bodies.items() if document.url.endswith(path))
        found.update({one.symbol: one for one in document.parse(body, time.time_ns() // 1000)})
    return Reference(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=50_000, help="frames of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    now_us = time.time_ns() // 1000
    frames = list(payloads(given.count, now_us // 1000 - 60_000))
    known, decode = reference(), venue("binance").decode

    def each(function: Callable[[bytes], object]) -> Callable[[], float]:
        def work() -> None:
            for frame in frames:
                function(frame)

        return lambda: each_ns(work, len(frames))

    def ours(data: Sequence[bytes] = frames) -> None:
        for frame in data:
            decode(frame, now_us, known)

    names = {
        "json.loads: untyped, nothing checked": each(json.loads),
        "msgspec: untyped, nothing checked": each(msgspec.json.decode),
        "rekt: typed, validated, uid and exact notional": lambda: each_ns(ours, len(frames)),
    }
    found = interleaved(names, given.rounds)
    base = found[next(iter(names))]
    rows = [("", "µs a frame", "of json.loads")]
    rows += [(name, f"{ns / 1000:.2f}", f"{ns / base:.2f}") for name, ns in found.items()]
    table("decode one frame", rows)


if __name__ == "__main__":
    main()
