"""The object *status* of the interface: what a ledger holds and whether it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from rekt.fields import iso_ms
from rekt.model import Connection, Delivery, Window
from rekt.objects import connection_object
from rekt.stats.quality import add_up
from rekt.store import Counters, Run

ALWAYS = Window(0, 1 << 62)


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


def status_object(
    ledger: Kept, *, recording: bool, sqlite_version: str, recent: Window | None = None
) -> dict[str, Any]:
    """The object; `runs` is how many there were, `recording` whether one is at work now.

    `recent` leaves out connections whose life does not touch that time.
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
    }
