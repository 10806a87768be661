"""The object *status* of the interface: what a ledger holds, whether it grows, and what became of it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from rekt.fields import iso_ms, money
from rekt.model import Connection, Delivery, Suspicion, Window
from rekt.objects import connection_object, suspicion_object
from rekt.publisher import Entry
from rekt.stats.quality import add_up
from rekt.store import Counters, Run

ALWAYS = Window(0, 1 << 62)
POSTS = 10  # told of the latest


class Kept(Protocol):
    """What is asked of a ledger."""

    path: Path

    def runs(self) -> list[Run]:
        """Every run."""
        ...

    def counters(self) -> Counters:
        """Frames by outcome."""
        ...

    def connections(self, window: Window | None) -> list[Connection]:
        """Connections, oldest first."""
        ...

    def deliveries(self, window: Window) -> list[tuple[str, Delivery]]:
        """What each connection told and lost."""
        ...

    def rows(self) -> int:
        """How many events."""
        ...

    def size(self) -> int:
        """Bytes on disk."""
        ...

    def last_trade_time(self) -> int | None:
        """When the latest event was traded, ms."""
        ...

    def posts(self, count: int = 20) -> list[Entry]:
        """The newest entries of the outbox."""
        ...

    def open_posts(self) -> int:
        """How many entries are not settled."""
        ...

    def spent(self, now_ms: int) -> dict[str, int]:
        """Micro-dollars by service spent in this month (UTC)."""
        ...

    def alerts(self) -> dict[str, tuple[str, int]]:
        """The troubles that last: name → text and since when (ms)."""
        ...

    def suspicions(self) -> list[Suspicion]:
        """What is suspicious about venues now."""
        ...


def status_object(
    ledger: Kept,
    *,
    now_ms: int,
    recording: bool,
    sqlite_version: str,
    sink: dict[str, Any] | None,
    recent: Window | None = None,
    outbox: Kept | None = None,
) -> dict[str, Any]:
    """The object; `runs` is how many there were, `recording` whether one is at work now, `sink` what a sink is like.

    `recent` leaves out connections whose life does not touch that time. `outbox`: where the posts are, if elsewhere.
    """
    last = ledger.last_trade_time()
    losses = {loss.connection: loss for loss in add_up(ledger.deliveries(recent or ALWAYS))}
    return {
        "runs": len(ledger.runs()),
        "counters": ledger.counters()._asdict(),
        "connections": [connection_object(one, losses.get(one.id)) for one in ledger.connections(recent)],
        "recording": recording,
        "ledger": {
            "path": str(ledger.path),
            "bytes": ledger.size(),
            "rows": ledger.rows(),
            "last_trade_time": None if last is None else iso_ms(last),
        },
        "sqlite_version": sqlite_version,
        "sink": sink,
        **posting_object(outbox or ledger, now_ms),
        "suspicions": [suspicion_object(one) for one in ledger.suspicions()],
    }


def posting_object(ledger: Kept, now_ms: int) -> dict[str, Any]:
    """What became of the posts, what they cost this month (UTC), and the troubles that last."""
    latest = [entry_object(one) for one in ledger.posts(POSTS)]
    spent = {service: money(total) for service, total in ledger.spent(now_ms).items()}
    alerts = [
        {"name": name, "text": text, "since": iso_ms(since)}
        for name, (text, since) in ledger.alerts().items()
    ]
    return {"posts": {"open": ledger.open_posts(), "spent_usd": spent, "latest": latest}, "alerts": alerts}


def entry_object(one: Entry) -> dict[str, Any]:
    """One post at one service; `key` is its hour (`2026-07-16T12`), or what else tells it from all others."""
    return {
        "service": one.service, "key": one.key, "state": one.state, "remote_id": one.remote_id,
        "reason": one.reason or None,
    }  # fmt: skip
