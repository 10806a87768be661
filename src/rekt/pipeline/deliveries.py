"""What each of several connections delivered: measures how much one connection loses. Pure; given the times.

Two connections to one venue should tell the same events. An event that one told while another was alive too, and that
the other never told, was lost by that other one. From these counts come the measured loss rate per connection and
hour, and the estimate of what all of them lost (docs/reliability.md has the formula).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection

from rekt.fields import HOUR
from rekt.model import Delivery

PATIENCE_S = 10.0  # so long the others may take to tell the same event


class Deliveries:
    """Notes who told which event, and adds up once the others had their chance."""

    def __init__(self) -> None:
        self._told: dict[bytes, set[str]] = {}
        self._waiting: deque[tuple[float, int, bytes, frozenset[str]]] = deque()

    def note(
        self, connection: str, uid: bytes, trade_time: int, alive: Collection[str], now_s: float
    ) -> None:
        """A connection told an event; `alive` are the connections that were proved alive at this moment."""
        told = self._told.get(uid)
        if told is not None:
            told.add(connection)
        else:
            self._told[uid] = {connection}
            self._waiting.append((now_s, trade_time - trade_time % HOUR, uid, frozenset(alive)))

    def settle(self, alive: Collection[str], now_s: float) -> list[Delivery]:
        """What is certain by now, since the last call.

        A connection that has ended meanwhile lost nothing here: what it did not tell is a matter of coverage.
        """
        counts: Counter[tuple[str, int, str]] = Counter()
        while self._waiting and now_s - self._waiting[0][0] >= PATIENCE_S:
            _, hour, uid, present = self._waiting.popleft()
            told = self._told.pop(uid)
            witnesses = present & set(alive)
            if len(witnesses | told) < 2:
                continue  # nobody to compare with
            for connection in told:
                counts[connection, hour, "told"] += 1
            for connection in witnesses - told:
                counts[connection, hour, "lost"] += 1
        found = {(connection, hour) for connection, hour, _ in counts}
        return [
            Delivery(connection, hour, counts[connection, hour, "told"], counts[connection, hour, "lost"])
            for connection, hour in sorted(found)
        ]
