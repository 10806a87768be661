"""A seeded synthetic market: prices that move and positions that are liquidated.

The price of an instrument is a pure function of seed and time; forced orders are drawn one after the
other from one random sequence. So the same seed and start give the same orders, however often and at
whatever moments the market is asked.
"""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

from rekt.simulator.scene import Instrument, Order


class Mood(NamedTuple):
    """How a scene feels; rates in forced orders a second, times in seconds."""

    rate: float
    peak_rate: float
    swing: float
    """Relative height of the price's waves."""
    fall: float
    """Relative depth of the crash in every cycle."""


MOODS = {
    "none": Mood(0.0, 0.0, 0.004, 0.0),
    "calm": Mood(0.25, 0.25, 0.004, 0.0),
    "busy": Mood(4.0, 4.0, 0.012, 0.0),
    "cascade": Mood(0.5, 120.0, 0.01, 0.05),
}

CYCLE_S = 60.0
"""A cascade comes once in such a cycle …"""
CRASH_S = (6.0, 18.0)
"""… between these seconds of it."""
STEP_MS = 50
"""How often prices are worked out for orders."""
CATCH_UP_MS = 2000
"""After a pause of the process the market goes on from here before now, rather than flood its readers."""

_WAVES = ((1.0, 1900.0), (0.5, 310.0), (0.22, 47.0), (0.1, 9.0))
_UNFILLED = ("PARTIALLY_FILLED", "EXPIRED", "CANCELED", "NEW")


class Market:
    """Forced orders of a scene, oldest first."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        scene: str,
        seed: int,
        start_ms: int,
        rate: float | None = None,
        unfilled_share: float = 0.0,
    ) -> None:
        if scene not in MOODS:
            raise ValueError(f"no scene {scene!r}; there are {', '.join(MOODS)}")
        self._mood = MOODS[scene]
        self._random = random.Random(f"orders {seed}")
        self._even_rate = rate
        self._unfilled = unfilled_share
        self._start_ms = start_ms
        self._instruments = tuple(instruments)
        self._weights = list(accumulate(instrument.weight for instrument in instruments))
        phases = random.Random(f"prices {seed}")
        self._tide = [phases.random() * math.tau for _ in _WAVES]
        self._own = {i.symbol: [phases.random() * math.tau for _ in _WAVES] for i in instruments}
        self._last: Instrument | None = None
        self._taken: set[tuple[str, int, int, int]] = set()
        self._taken_ms = 0
        self._count = 0
        self._step = -1
        self._prices: dict[str, float] = {}
        self._longs = 0.5
        self._next_s = self._gap_end(0.0)

    @property
    def next_ms(self) -> float:
        """When the next order comes; infinity if never."""
        return self._start_ms + self._next_s * 1000

    def price(self, instrument: Instrument, now_ms: int) -> float:
        """The price at a moment, in quote currency."""
        t = (now_ms - self._start_ms) / 1000
        own = sum(
            h * math.sin(t * math.tau / p + phase)
            for (h, p), phase in zip(_WAVES, self._own[instrument.symbol], strict=True)
        )
        return instrument.price * math.exp(self._level(t) + 0.6 * self._mood.swing * own)

    def orders(self, until_ms: int) -> list[Order]:
        """The forced orders up to a moment (inclusive) that were not given before."""
        orders: list[Order] = []
        if until_ms - self.next_ms > CATCH_UP_MS:
            self._resume((until_ms - CATCH_UP_MS - self._start_ms) / 1000)
        while self.next_ms <= until_ms:
            orders.append(self._draw(int(self.next_ms)))
            self._next_s = self._gap_end(self._next_s)
        return orders

    def _resume(self, at_s: float) -> None:
        if self._even_rate:
            self._count = math.ceil(at_s * self._even_rate)
        self._next_s = self._gap_end(at_s)

    def _gap_end(self, t: float) -> float:
        """When the order after the one at `t` comes, in seconds since the start."""
        if self._even_rate is not None:
            if not self._even_rate:
                return math.inf
            self._count += 1
            return self._count / self._even_rate
        if not self._mood.peak_rate:
            return math.inf
        while True:
            # Thinning: draw at the peak rate, keep by the rate of that moment.
            t += self._random.expovariate(self._mood.peak_rate)
            if self._random.random() * self._mood.peak_rate <= self._rate(t):
                return t

    def _rate(self, t: float) -> float:
        return self._mood.peak_rate if _crashing(t) else self._mood.rate

    def _level(self, t: float) -> float:
        waves = sum(
            h * math.sin(t * math.tau / p + phase) for (h, p), phase in zip(_WAVES, self._tide, strict=True)
        )
        level = self._mood.swing * waves
        if self._mood.fall:
            at = t % CYCLE_S
            start, end = CRASH_S
            if start < at:
                back = 1 - (at - end) / (CYCLE_S - end) if at > end else (at - start) / (end - start)
                level -= self._mood.fall * back
        return level

    def _draw(self, time_ms: int) -> Order:
        rng = self._random
        step = (time_ms - self._start_ms) // STEP_MS
        if step != self._step:
            # Prices are worked out anew every few milliseconds only: a hundred orders may share them.
            t = step * STEP_MS / 1000
            self._step = step
            self._prices.clear()
            self._longs = min(0.97, max(0.03, 0.5 - 40 * (self._level(t) - self._level(t - 2))))
        # A position is rarely closed by one order: the same symbol comes again and again.
        if self._last is None or rng.random() > 0.3:
            self._last = self._instruments[bisect(self._weights, rng.random() * self._weights[-1])]
        instrument = self._last
        side: Literal["SELL", "BUY"] = "SELL" if rng.random() < self._longs else "BUY"
        price_now = self._prices.get(instrument.symbol)
        if price_now is None:
            price_now = self.price(instrument, self._start_ms + step * STEP_MS)
            self._prices[instrument.symbol] = price_now

        scale = 10**instrument.price_digits
        tick = instrument.tick
        average = max(2, round(price_now * scale / tick)) * tick
        distance = max(tick, round(average * instrument.slip * (0.8 + 0.8 * rng.random()) / tick) * tick)
        price = max(tick, average - distance) if side == "SELL" else average + distance

        size_usd = min(6e6, rng.lognormvariate(7.0, 1.7))
        quantity = max(1, round(size_usd / instrument.usd_price * 10**instrument.quantity_digits))
        last_fill = quantity
        if quantity > 1 and rng.random() < 0.55:
            # Several fills: the average is no longer a multiple of the tick, the last fill is a part.
            last_fill = 1 + int(rng.random() * quantity)
            if tick > 1:
                average += int((rng.random() - 0.5) * (tick // 2))

        if time_ms != self._taken_ms:
            self._taken.clear()
            self._taken_ms = time_ms
        # The venue gives no ids, so two orders must not look the same.
        while (key := (instrument.symbol, price, average, quantity)) in self._taken:
            quantity += 1
        self._taken.add(key)
        if self._unfilled and rng.random() < self._unfilled:
            return self._unfilled_order(instrument, side, price, average, quantity, time_ms)
        return Order(instrument, side, "FILLED", price, average, quantity, quantity, last_fill, time_ms)

    def _unfilled_order(
        self,
        instrument: Instrument,
        side: Literal["SELL", "BUY"],
        price: int,
        average: int,
        quantity: int,
        time_ms: int,
    ) -> Order:
        status = self._random.choice(_UNFILLED)
        filled = 0 if status == "NEW" else self._random.randint(0, quantity - 1)
        last = self._random.randint(1, filled) if filled else 0
        return Order(
            instrument, side, status, price, average if filled else 0, quantity, filled, last, time_ms
        )


def _crashing(t: float) -> bool:
    return CRASH_S[0] <= t % CYCLE_S < CRASH_S[1]
