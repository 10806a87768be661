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
_STRETCH_S = 2.5
_SHARED = 1_000

Names = tuple[str, ...]  # of connections
_Told = tuple[int, Names, Names]  # of an event: its hour, who was alive when it was first told, who told it


@dataclass(slots=True)
class _Stretch:
    """Events that were first told within moments."""

    began_s: float
    last_s: float
    told: dict[bytes, _Told] = field(default_factory=dict)  # by uid


class Deliveries:
    """Notes who told which event, and adds up once the others had their chance.

    Thousands of events may wait: each costs a place in a dictionary, and no object of its own. A dictionary holds a
    few seconds: one of all that waits would be filled and emptied for ever, and built anew in another size each time.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Stretch] = deque()  # a handful, the newest last
        self._shared: dict[_Told, _Told] = {}

    def note(self, connection: str, uid: bytes, trade_time: int, alive: Names, now_s: float) -> bool:
        """A connection told an event; `alive` are the connections that were proved alive at this moment.

        True where it had been told before, within moments.
        """
        for stretch in reversed(self._waiting):
            if (known := stretch.told.get(uid)) is not None:
                hour, then, tellers = known
                if connection not in tellers:
                    stretch.told[uid] = self._share((hour, then, (*tellers, connection)))
                return True
        hour = trade_time - trade_time % HOUR
        self._stretch(now_s).told[uid] = self._share((hour, alive, (connection,)))
        return False

    def _stretch(self, now_s: float) -> _Stretch:
        """The one of now. By time alone, so that there are few to look through, whatever comes."""
        if not self._waiting or now_s - self._waiting[-1].began_s >= _STRETCH_S:
            self._waiting.append(_Stretch(now_s, now_s))
        last = self._waiting[-1]
        last.last_s = now_s
        return last

    def _share(self, told: _Told) -> _Told:
        """The one tuple that stands for these; there are few, but for renewals and hours of long ago."""
        if len(self._shared) > _SHARED:
            self._shared.clear()
        return self._shared.setdefault(told, told)

    def settle(self, alive: Collection[str], now_s: float) -> list[Delivery]:
        """What is certain by now, since the last call.

        A connection that has ended meanwhile lost nothing here: what it did not tell is a matter of coverage.
        """
        counts: Counter[tuple[str, int, str]] = Counter()
        while self._waiting and now_s - self._waiting[0].last_s >= PATIENCE_S:
            stretch = self._waiting.popleft()
            for (hour, then, tellers), number in Counter(stretch.told.values()).items():
                witnesses = set(then) & set(alive)
                if len(witnesses.union(tellers)) < 2:
                    continue  # nobody to compare with
                for connection in tellers:
                    counts[connection, hour, "told"] += number
                for connection in witnesses.difference(tellers):
                    counts[connection, hour, "lost"] += number
        found = {(connection, hour) for connection, hour, _ in counts}
        return [
            Delivery(connection, hour, counts[connection, hour, "told"], counts[connection, hour, "lost"])
            for connection, hour in sorted(found)
        ]
