"""Carrying one service's posts out: the outbox's decisions, one after the other, until nothing is left or time is up.

One process at a time works for a service: it holds a lock that the kernel takes away with the process. So an entry
that is found in `sending` was left by a process that is gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from rekt.posts import outbox
from rekt.publisher import Entry, NotPosted, Post, Publisher

log = logging.getLogger("rekt.post")

MARGIN_S: Final = 6.0  # a publisher ends within its time and at most one connect
SEND_S: Final = (
    31.0  # less time than this left: no attempt is begun (5 to connect, 20 to read, and the margin)
)
LOOK_S: Final = 16.0  # nor a look
ENOUGH_S: Final = 84.0  # what an attempt with a picture, or a look, may take


class Box(Protocol):
    """What keeps the entries: durable when a method returns."""

    def entry(self, service: str, key: str) -> Entry | None:
        """One entry."""
        ...

    def picture(self, service: str, key: str) -> bytes | None:
        """Its picture, while it is not settled."""
        ...

    def save(self, entry: Entry) -> Entry | None:
        """Store a changed entry; None when somebody else changed it meanwhile."""
        ...

    def open_entries(self, service: str) -> list[Entry]:
        """Those that are not settled, oldest first."""
        ...

    def spent(self, service: str, month_ms: int) -> int:
        """Micro-dollars spent in the month of this time."""
        ...

    def alone(self, service: str, until_s: float) -> AbstractContextManager[bool]:
        """Be the only process at work for a service; False when another still is at this time (monotonic)."""
        ...


class Terms(NamedTuple):
    """How long and how dear."""

    settle_ms: int
    deadline_ms: int
    budget: int  # micro-dollars a month


def now_ms() -> int:
    """The clock."""
    return time.time_ns() // 1_000_000


def deliver(
    box: Box,
    service: str,
    key: str | None,
    publisher: Publisher,
    terms: Terms,
    until_s: float,
    *,
    clock: Callable[[], int] = now_ms,
    sleep: Callable[[float], None] = time.sleep,
    timer: Callable[[], float] = time.monotonic,
) -> Entry | None:
    """Bring one entry (None: only older ones) as far as it goes until `until_s` (by `timer`), then older ones."""
    with box.alone(service, until_s) as mine:
        if not mine:
            return box.entry(service, key) if key else None
        entry = box.entry(service, key) if key else None
        if entry is not None:
            entry = _carry(box, entry, publisher, terms, until_s, clock, sleep, timer)
        for old in box.open_entries(service):
            if old.key != key:
                _carry(box, old, publisher, terms, until_s, clock, None, timer)
        return entry


def _carry(
    box: Box,
    entry: Entry,
    publisher: Publisher,
    terms: Terms,
    until_s: float,
    clock: Callable[[], int],
    sleep: Callable[[float], None] | None,  # None: only what is due at once
    timer: Callable[[], float],
) -> Entry:
    while True:
        left = until_s - timer()
        now = clock()
        action = outbox.decide(entry, now, terms.settle_ms, can_find=publisher.can_find)
        if isinstance(action, outbox.Settled):
            following: Entry | None = action.entry
        elif isinstance(action, outbox.Send) and left >= SEND_S:
            following = _attempt(box, entry, publisher, terms, min(left, ENOUGH_S), clock)
        elif isinstance(action, outbox.Look) and left >= LOOK_S:
            finding = publisher.find(_post(entry, None), now, min(left, ENOUGH_S) - MARGIN_S)
            following = outbox.found(entry, finding, clock())
            _tell(following, entry)
        elif isinstance(action, outbox.Wait) and sleep is not None and (action.until_ms - now) / 1000 < left:
            sleep(max(0.01, (action.until_ms - now) / 1000))
            continue
        else:
            return entry
        if following is None:
            return entry
        saved = box.save(following)
        if saved is None:
            log.warning("%s %s: somebody else is at work on it", entry.service, entry.key)
            return box.entry(entry.service, entry.key) or entry
        entry = saved


def _attempt(
    box: Box, entry: Entry, publisher: Publisher, terms: Terms, left: float, clock: Callable[[], int]
) -> Entry | None:
    """Claim durably, then publish."""
    post = _post(entry, box.picture(entry.service, entry.key))
    price, now = publisher.price(post), clock()
    spent = box.spent(entry.service, now) if price else 0
    if price and spent + price > terms.budget:
        reason = f"the month's budget is spent: ${spent / 1e6:.2f} of ${terms.budget / 1e6:.2f}"
        return outbox.left_out(entry, "budget", reason)
    claimed = box.save(outbox.claimed(entry, now, terms.deadline_ms, price))
    if claimed is None:
        log.warning("%s %s: somebody else has claimed it", entry.service, entry.key)
        return None
    outcome = publisher.publish(post._replace(first_ms=claimed.first_ms), clock(), left - MARGIN_S)
    following = outbox.published(claimed, outcome, clock(), price)
    _tell(following, claimed, outcome if isinstance(outcome, NotPosted) else None)
    return following


def _post(entry: Entry, picture: bytes | None) -> Post:
    return Post(entry.key, entry.text, picture, entry.alt, entry.first_ms)


def _tell(entry: Entry, before: Entry, refused: NotPosted | None = None) -> None:
    """Say once what came of it."""
    place = f"{entry.service} {entry.key}"
    why = entry.reason or (refused.reason if refused else "")
    if entry.state == "sent":
        log.info(
            "%s: posted%s%s",
            place,
            f" as {entry.remote_id}" if entry.remote_id else "",
            f" ({why})" if why else "",
        )
    elif entry.state != before.state or entry.reason != before.reason:
        log.warning("%s: %s: %s", place, entry.state, why)
