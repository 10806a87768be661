"""What an exchange sent, held against what a ledger has, while both go on."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

from rekt.errors import LedgerError
from rekt.simulator import Sent, SimulatorThread
from rekt.stores.sqlite import Reader

LATE_MS = 30_000  # an event that is not in the ledger by then counts as late in the lines of progress

# symbol, side, price, average price, filled quantity, trade time
Key = tuple[str, str, str | None, str | None, str | None, int]


class Matching:
    """Holds what was sent against what the ledger has, a bit at a time: hours take no more memory than minutes."""

    def __init__(self, exchange: SimulatorThread, ledger: Path) -> None:
        self.sent = self.matched = 0
        self.since_ms = 0  # from when on all should be there
        self.outstanding: dict[Key, Sent] = {}
        self.faults: list[str] = []
        self._exchange, self._ledger = exchange, ledger
        self._last: Sent | None = None
        self._seq = 0
        self._recent: dict[Key, bytes] = {}  # keys matched lately, with the uid they had
        self._order: deque[Key] = deque()

    def step(self) -> None:
        """Match what is new on both sides."""
        try:
            with Reader(self._ledger) as reader:
                rows = reader.after(self._seq, 100_000)
        except LedgerError:  # not there yet
            rows = []
        self._take_sent()
        for row in rows:
            self._seq, event = row.seq, row.event
            key = (event.symbol, event.order_side, event.price, event.average_price, event.filled_quantity,
                   event.trade_time)  # fmt: skip
            if (had := self.outstanding.pop(key, None)) is not None:
                self.matched += 1
                if not had.written:
                    self._fault(f"an event is there that was written to nobody: {event}")
                self._recent[key] = event.uid
                self._order.append(key)
                if len(self._order) > 300_000:
                    del self._recent[self._order.popleft()]
            elif key not in self._recent:
                self._fault(f"an event is there that was not sent, or was there before: {event}")
            elif self._recent[key] != event.uid:  # a row that was only changed (valued) comes again, too
                self._fault(f"an event is there twice: {event}")

    def late(self, now_ms: int) -> int:
        """How many events have been missing for long."""
        return sum(self.since_ms < s.event_time_ms < now_ms - LATE_MS for s in self.outstanding.values())

    def _take_sent(self) -> None:
        fresh: list[Sent] = []
        for entry in reversed(self._exchange.sent):
            if entry is self._last:
                break
            fresh.append(entry)
        for entry in reversed(fresh):
            order = json.loads(entry.payload)["o"]
            key = (order["s"], order["S"], order["p"], order["ap"], order["z"], order["T"])
            if key in self.outstanding or key in self._recent:
                self._fault(f"the exchange sent two events that look the same: {key}")
            self.outstanding[key] = entry
        self._last = fresh[0] if fresh else self._last
        self.sent += len(fresh)

    def _fault(self, text: str) -> None:
        if len(self.faults) < 20:
            self.faults.append(text)
