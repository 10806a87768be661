"""What each of several connections delivered: measures how much one connection loses. Pure; given the times.

Two connections to one venue should tell the same events. An event that one told while another was alive too, and that
the other never told, was lost by that other one. From these counts come the measured loss rate per connection and
hour, and the estimate of what all of them lost (docs/reliability.md has the formula).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from rekt.fields import HOUR
from rekt.model import Delivery

PATIENCE_S = 10.0  # so long the others may take to tell the same event
_STRETCH_S = 1.0
_SHARED = 1_000

Tellers = tuple[str, ...]


@dataclass(slots=True)
class _Stretch:
    """Events of one hour that were first told within a second, with the same connections alive."""

    began_s: float
    last_s: float
    hour: int
    alive: Collection[str]
    uids: list[bytes] = field(default_factory=list)


class Deliveries:
    """Notes who told which event, and adds up once the others had their chance.

    Thousands of events may wait: each costs a place in a dictionary and one in a list, and no object of its own.
    """

    def __init__(self) -> None:
        self._told: dict[bytes, Tellers] = {}
        self._waiting: deque[_Stretch] = deque()
        self._shared: dict[Tellers, Tellers] = {}

    def note(
        self, connection: str, uid: bytes, trade_time: int, alive: Collection[str], now_s: float
    ) -> bool:
        """A connection told an event; `alive` are the connections that were proved alive at this moment.

        True where it had been told before, within moments. `alive` is kept and compared: not to be changed afterwards.
        """
        told = self._told.get(uid)
        if told is None:
            self._told[uid] = self._share((connection,))
            self._stretch(trade_time - trade_time % HOUR, alive, now_s).uids.append(uid)
            return False
        if connection not in told:
            self._told[uid] = self._share((*told, connection))
        return True

    def _stretch(self, hour: int, alive: Collection[str], now_s: float) -> _Stretch:
        if self._waiting:
            last = self._waiting[-1]
            if now_s - last.began_s < _STRETCH_S and hour == last.hour and alive == last.alive:
                last.last_s = now_s
                return last
        self._waiting.append(_Stretch(now_s, now_s, hour, alive))
        return self._waiting[-1]

    def _share(self, tellers: Tellers) -> Tellers:
        """The one tuple that stands for these; there are few, but for renewals."""
        if len(self._shared) > _SHARED:
            self._shared.clear()
        return self._shared.setdefault(tellers, tellers)

    def settle(self, alive: Collection[str], now_s: float) -> list[Delivery]:
        """What is certain by now, since the last call.

        A connection that has ended meanwhile lost nothing here: what it did not tell is a matter of coverage.
        """
        counts: Counter[tuple[str, int, str]] = Counter()
        while self._waiting and now_s - self._waiting[0].last_s >= PATIENCE_S:
            stretch = self._waiting.popleft()
            witnesses = set(stretch.alive) & set(alive)
            for told, number in Counter(map(self._told.pop, stretch.uids)).items():
                if len(witnesses.union(told)) < 2:
                    continue  # nobody to compare with
                for connection in told:
                    counts[connection, stretch.hour, "told"] += number
                for connection in witnesses.difference(told):
                    counts[connection, stretch.hour, "lost"] += number
        found = {(connection, hour) for connection, hour, _ in counts}
        return [
            Delivery(connection, hour, counts[connection, hour, "told"], counts[connection, hour, "lost"])
            for connection, hour in sorted(found)
        ]
