"""Proof that a sink has what the ledger has: counts and sums of every hour, exactly; what differs is sent again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rekt.fields import DAY, HOUR, iso_ms, money
from rekt.model import Liquidation, Window
from rekt.sink import BatchRefused, Marks, Sink, Source, Sums

log = logging.getLogger("rekt.shipper")

SETTLE_S = 10.0
BATCH = 1_000


class Difference(NamedTuple):
    """An hour in which ledger and sink don't agree."""

    hour: int  # ms
    ledger: Sums
    sink: Sums

    def __str__(self) -> str:
        return f"{iso_ms(self.hour)}: the ledger has {_told(self.ledger)}, the sink {_told(self.sink)}" + (
            " (more than this ledger knows)" if _surplus(self) else ""
        )


class Auditor:
    """Compares, and has sent again what differs."""

    def __init__(
        self, source: Source, marks: Marks, sink: Sink, send: Callable[[Sequence[Liquidation]], int]
    ) -> None:
        self._source, self._marks, self._sink, self._send = source, marks, sink, send
        self._known: set[Difference] = set()  # sent again already, to no effect

    def compare(self, window: Window, seq: int, *, dropped: bool = False) -> list[Difference] | None:
        """The hours of a window that differ, leaving out those with rows behind the cursor; None = not now.

        What the sink drops by itself is no difference, unless `dropped`.
        """
        if not self._sink.settled(SETTLE_S):
            return None
        source = self._source
        kept_from = 0 if dropped else self._sink.kept_from()
        with source.snapshot():
            window = Window(max(window.start // HOUR * HOUR, source.sealed(), kept_from), window.end)
            ledger = source.hour_sums(window, self._sink.name)
            moving = source.hours_after(seq)
        held = self._sink.hours(window)
        return [
            Difference(hour, ledger.get(hour, Sums()), held.get(hour, Sums()))
            for hour in sorted(ledger.keys() | held.keys())
            if hour not in moving and ledger.get(hour, Sums()) != held.get(hour, Sums())
        ]

    def audit(self, window: Window, seq: int) -> list[str] | None:
        """Compare, send again what differs, compare again; what still differs, in sentences. None = not now.

        Raises StoreError.
        """
        self._again()
        found = self.compare(window, seq)
        if found is None:
            return None
        if fresh := [one for one in found if one not in self._known]:
            log.warning("the audit finds %d hours that differ; they are sent again", len(fresh))
            for one in fresh:
                self._resend(Window(one.hour, one.hour + HOUR))
            found = self.compare(window, seq)
            if found is None:
                return None
            for one in found:
                log.error("after sending it again, an hour still differs: %s", one)
        elif not found:
            log.debug("the audit finds no difference")
        self._known = set(found)
        sentences = [str(one) for one in found] + self._sink.check(window)
        if not found:
            self._marks.audited(self._sink.name, time.time_ns() // 1000)
        return sentences

    def prune(self, keep_days: int, seq: int) -> None:
        """Drop the ledger's rows of days that are older and proved to be in the sink. Raises StoreError."""
        today = time.time_ns() // 1_000_000 // DAY * DAY
        window = Window(0, today - keep_days * DAY)
        sealed = self._source.sealed()
        extent = self._source.extent()
        if extent.start < window.end and sealed < window.end:
            expected = self._source.hour_sums(Window(sealed, window.end), self._sink.name)
            if self._source.refused_count(self._sink.name) or self.compare(window, seq, dropped=True) != []:
                log.warning("days before %s are not pruned: they are not proved", iso_ms(window.end))
                return
            if any(hour < window.end for hour in self._source.hours_after(seq)):
                return
            if not self._marks.seal(window.end, expected, self._sink.name):
                return  # changed meanwhile: the next audit
            log.info("days before %s are sealed: their rows are in %s", iso_ms(window.end), self._sink.name)
        dropped = 0
        while count := self._marks.prune():
            dropped += count
            time.sleep(0.02)  # the recorder's turn
        if dropped:
            log.info("%d rows of sealed days were dropped from the ledger; their sums stay", dropped)

    def _again(self) -> None:
        """Offer what was refused once more."""
        for event, _ in self._source.refused(self._sink.name):
            try:
                self._sink.send([event])
            except BatchRefused:
                continue
            self._marks.accept(self._sink.name, event)

    def _resend(self, window: Window) -> None:
        batch: list[Liquidation] = []
        for event in self._source.liquidations(window):
            batch.append(event)
            if len(batch) == BATCH:
                self._send(batch)
                batch = []
        if batch:
            self._send(batch)


def _told(sums: Sums) -> str:
    others = f" and {sums.others} others" if sums.others else ""
    return f"{sums.count} of ${money(sums.total)}{others}"


def _surplus(one: Difference) -> bool:
    return one.sink.count >= one.ledger.count and one.sink.others >= one.ledger.others
