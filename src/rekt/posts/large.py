"""Single large liquidations and cascades, told at once but in few posts. Pure: events and the time in, notices out.

The first large one is told at once. For the cool-down after any notice what is large is only added up, and told in one
notice when it is over. A cascade begins when a stretch of minutes adds up to the threshold, and ends when it has fallen
below half of that: a notice at each, which swallow the single ones in between.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Final, NamedTuple

from rekt.fields import iso_ms
from rekt.model import MICRO, Liquidation
from rekt.posts.figures import coin, label, short

OLD_MS: Final = 600_000  # events that come later than so long after their trade are history, not news
HOUR_MS: Final = 3_600_000


class Rules(NamedTuple):
    """What is large; money in micro-dollars, 0: never."""

    big: int = 0
    percentile: float = 0.0
    cascade: int = 0
    cascade_ms: int = 300_000
    cooldown_ms: int = 900_000

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.big or self.percentile or self.cascade)


class Notice(NamedTuple):
    """Something to tell at once."""

    key: str
    text: str


class _Cascade:
    """What has come since it began."""

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self.count = 0
        self.sides: Counter[str] = Counter()
        self.symbols: Counter[str] = Counter()

    def add(self, event: Liquidation) -> None:
        """One more."""
        self.count += 1
        self.sides[event.side] += event.notional or 0
        self.symbols[coin(event.symbol)] += event.notional or 0

    @property
    def total(self) -> int:
        """Micro-dollars."""
        return self.sides.total()

    def words(self) -> str:
        """Size, sides and symbols."""
        long = round(100 * self.sides["long"] / max(1, self.total))
        top = ", ".join(name for name, _ in self.symbols.most_common(3) if name)
        many = f"{self.count:,} liquidation{'' if self.count == 1 else 's'}"
        return f"{short(self.total / MICRO)} in {many}, {long} % of it longs. Most of it: {top}"


class Large:
    """Remembers what has been told and what waits."""

    def __init__(self, rules: Rules, threshold: Callable[[str], int | None] = lambda _: None) -> None:
        """`threshold`: the given percentile of a symbol's last 30 days, None where too little is known."""
        self._rules = rules
        self._threshold = threshold
        self._recent: deque[Liquidation] = deque()
        self._sum = 0
        self._waiting: list[Liquidation] = []
        self._cascade: _Cascade | None = None
        self._quiet_until = 0

    def add(self, event: Liquidation, now_ms: int) -> list[Notice]:
        """One event that is new; what is to be told because of it."""
        if event.notional is None or not event.counts or now_ms - event.trade_time > OLD_MS:
            return []
        if self._rules.cascade:
            self._recent.append(event)
            self._sum += event.notional
        if self._cascade is not None:
            self._cascade.add(event)
        elif self._is_big(event):
            self._waiting.append(event)
        return self.due(now_ms)

    def due(self, now_ms: int) -> list[Notice]:
        """What is to be told at this time."""
        told = self._cascades(now_ms)
        if self._waiting and self._cascade is None and now_ms >= self._quiet_until:
            told.append(_big(self._waiting))
            self._waiting = []
            self._quiet_until = now_ms + self._rules.cooldown_ms
        return told

    def _is_big(self, event: Liquidation) -> bool:
        notional, rules = event.notional or 0, self._rules
        if rules.percentile:
            limit = self._threshold(event.symbol) if notional >= rules.big else None
            return limit is not None and notional >= limit
        return bool(rules.big) and notional >= rules.big

    def _cascades(self, now_ms: int) -> list[Notice]:
        rules = self._rules
        while self._recent and self._recent[0].trade_time < now_ms - rules.cascade_ms:
            self._sum -= self._recent.popleft().notional or 0
        if not rules.cascade:
            return []
        if self._cascade is None and self._sum >= rules.cascade:
            self._cascade = _Cascade(min(event.trade_time for event in self._recent))
            for event in self._recent:
                self._cascade.add(event)
            self._waiting = []
            if now_ms < self._quiet_until:
                return []  # told at its end
            self._quiet_until = now_ms + rules.cooldown_ms
            at = self._cascade.start_ms
            text = f"\U0001f6a8 Cascade since {_clock(at)} UTC: {self._cascade.words()} · {_hour(at)}"
            return [Notice(f"cascade-{at}-begin", text)]
        if self._cascade is not None and self._sum < rules.cascade // 2:
            over, self._cascade = self._cascade, None
            self._quiet_until = now_ms + rules.cooldown_ms
            lasted = max(1, round((now_ms - over.start_ms) / 60_000))
            text = (
                f"The cascade of {_clock(over.start_ms)} UTC is over after {lasted} min: {over.words()}"
                f" · {_hour(over.start_ms)}"
            )
            return [Notice(f"cascade-{over.start_ms}-end", text)]
        return []


def _big(events: list[Liquidation]) -> Notice:
    """One notice of one or several large ones."""
    most = max(events, key=lambda event: event.notional or 0)
    size = short((most.notional or 0) / MICRO)
    one = f"a {coin(most.symbol)} {most.side} of {size} at {_clock(most.trade_time)} UTC"
    if len(events) == 1:
        text = f"\U0001f40b Liquidated in one order: {one} · {_hour(most.trade_time)}"
    else:
        total = short(sum(event.notional or 0 for event in events) / MICRO)
        since = _clock(min(event.trade_time for event in events))
        text = (
            f"\U0001f40b {len(events)} large liquidations since {since} UTC, {total} in all."
            f" The largest: {one} · {_hour(most.trade_time)}"
        )
    return Notice(f"big-{events[0].trade_time}-{events[0].uid.hex()[:8]}", text)


def _clock(ms: int) -> str:
    return iso_ms(ms)[11:19]


def _hour(ms: int) -> str:
    return label(ms - ms % HOUR_MS)
