"""A venue on trial: the real recorder for a while, what it finds collected and nothing written anywhere."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rekt.model import Liquidation, Quarantined, Suspicion
from rekt.pipeline.committer import Change, Item
from rekt.pipeline.recorder import Recorder
from rekt.pipeline.suspicion import Figures
from rekt.worth import BITCOIN, DOLLARS

TOLD = DOLLARS | BITCOIN
KEPT = 100_000  # events; a trial is no recording


class Collected:
    """Takes what a recorder would have written."""

    def __init__(self) -> None:
        self.events: dict[bytes, Liquidation] = {}
        self.quarantined = 0
        self.misfit: Quarantined | None = None  # the last one
        self.ends: Counter[str] = Counter()  # connections that ended, by cause
        self._ended: set[str] = set()

    def put(self, item: Item) -> bool:
        """Take an item."""
        return self.put_all([item])

    def put_all(self, found: Sequence[Item]) -> bool:
        """The same with several at once; never full."""
        for item in found:
            if isinstance(item, Quarantined):
                self.quarantined += 1
                self.misfit = item
            elif isinstance(item, Change):
                self._change(item)
            else:
                for event in item:
                    if len(self.events) < KEPT:
                        self.events.setdefault(event.uid, event)
        return False

    def mark(self) -> Callable[[], bool]:
        """What tells whether all that was put before now is here: it is."""
        return lambda: True

    def unsettled(self) -> list[Liquidation]:
        """The events whose value is unknown."""
        return [event for event in list(self.events.values()) if event.notional is None]

    def _change(self, change: Change) -> None:
        for settled in change.settled:
            if (event := self.events.get(settled.uid)) is not None:
                self.events[settled.uid] = event._replace(notional=settled.notional, basis=settled.basis)
        for one in change.connections:
            if one.cause is not None and one.id not in self._ended:
                self._ended.add(one.id)
                self.ends[one.cause] += 1


class Canary(NamedTuple):
    """The canary of one connection."""

    ticks: int
    age_s: float | None  # since the last one
    every_s: float | None  # between two, on average


class Subscribed(NamedTuple):
    """What became of the subscriptions by topic, over all connections."""

    asked: int
    refused: list[str]
    silent: list[str]  # not answered in time
    complete: bool


class Seen(NamedTuple):
    """What a trial found."""

    parts: int  # connections that the venue takes
    open: int
    trouble: str | None  # why it can't be reached
    listed: int  # contracts in its documents
    acknowledged: int
    refusals: list[str]  # errors that it answered
    topics: Subscribed | None  # None: it is subscribed as a whole
    canaries: list[Canary]  # of the open connections
    events: list[Liquidation]
    priceless: frozenset[str]  # contracts quoted in what nobody tells the price of: their values stay unknown
    quarantined: int
    misfit: str  # why the last frame did not fit
    ends: Mapping[str, int]
    figures: Figures
    suspicions: Mapping[str, Suspicion]


async def attend(recorder: Recorder, collected: Collected, seconds: float) -> Seen:
    """Let a recorder work for so long, look at it, end it. Raises what it fails of."""
    work = asyncio.create_task(recorder.run())
    await asyncio.wait([work], timeout=seconds)
    seen = _look(recorder, collected)
    recorder.stop()
    await work
    return seen


def _look(recorder: Recorder, collected: Collected) -> Seen:
    now_us = time.time_ns() // 1000
    links = [link for link in recorder.links if not link.ended.is_set()]
    recorder.watch.look(now_us, alive=recorder.delivers(0.0))
    return Seen(
        parts=recorder.needed,
        open=len(links),
        trouble=recorder.reach_trouble,
        listed=recorder.listed,
        acknowledged=recorder.acknowledged,
        refusals=list(recorder.refusals),
        topics=Subscribed(
            sum(link.dialogue.asked for link in links),
            sorted({topic for link in links for topic in link.dialogue.refused}),
            sorted({topic for link in links for topic in link.dialogue.silent}),
            all(link.dialogue.complete for link in links),
        )
        if any(link.endpoint.topics for link in links)
        else None,
        canaries=[
            Canary(
                link.ticks,
                (now_us - link.last_tick_us) / 1e6 if link.ticks else None,
                link.every_s,
            )
            for link in links
        ],
        events=list(collected.events.values()),
        priceless=frozenset(one.symbol for one in recorder.instruments.values() if one.quote not in TOLD),
        quarantined=collected.quarantined,
        misfit=collected.misfit.reason if collected.misfit is not None else "",
        ends=dict(collected.ends),
        figures=recorder.watch.figures(),
        suspicions=recorder.watch.standing,
    )
