"""Decoding, venue by venue: what one event costs, from the samples that the tests have.

    .venv/bin/python -m benchmarks.venues

Each venue's sample frames that hold events are decoded, validated, identified and valued, over and over, beside
Binance's in the same rounds. A frame may hold several events: the figure is of one event. Events that a decoder holds
back are told in the same round. What a frame costs that is no event (a canary, an answer) stands beside it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from benchmarks.measure import each_ns, interleaved, table
from rekt import registry
from rekt.venue import Decoded, Reference, Venue
from tests.contracts.test_venue import NOW_US, Sample, reference, samples, venue

LATER_US = NOW_US + 3_600_000_000  # all that was held back is told by then
Known = tuple[Sample, Reference]


def decoded(one: Venue, sample: Sample, known: Reference) -> Decoded:
    """What a sample says in the end."""
    found = one.decode(sample.frame, NOW_US, known)
    return one.due(LATER_US, known) if known.held else found


def split(one: Venue) -> tuple[list[Known], int, list[Known]]:
    """The samples of events, how many events they hold, and the other samples."""
    events, count, others = [], 0, []
    for sample in samples(one.name):
        known = reference(sample)
        found = decoded(one, sample, known)
        if isinstance(found, tuple) and found:
            events.append((sample, known))
            count += len(found)
        else:
            others.append((sample, known))
    return events, count, others


def timed(one: Venue, frames: Sequence[Known], times: int, things: int) -> Callable[[], float]:
    """Nanoseconds for each of so many things that these frames hold."""

    def work() -> None:
        for _ in range(times):
            for sample, known in frames:
                decoded(one, sample, known)

    return lambda: each_ns(work, times * things)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000, help="frames of a round and venue (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    events: dict[str, Callable[[], float]] = {}
    others: dict[str, Callable[[], float]] = {}
    each: dict[str, float] = {}
    for name in registry.names("rekt.venues"):
        one = venue(name)
        first, count, rest = split(one)
        each[name] = count / len(first)
        events[name] = timed(one, first, max(1, given.count // len(first)), count)
        others[name] = timed(one, rest, max(1, given.count // len(rest)), len(rest))
    cost, idle = interleaved(events, given.rounds), interleaved(others, given.rounds)
    base = cost["binance"]
    rows = [("", "µs an event", "of Binance's", "events a frame", "µs another frame")]
    rows += [
        (name, f"{ns / 1000:.2f}", f"{ns / base:.2f}", f"{each[name]:.1f}", f"{idle[name] / 1000:.2f}")
        for name, ns in cost.items()
    ]
    table(f"decode, load {os.getloadavg()[0]:.1f}", rows)


if __name__ == "__main__":
    main()
