"""What a venue leaves out: of each symbol's forced orders only the largest in a window is published.

Both forms hold an order back before they give it out, and give out in the order of their event times,
so event times never go back while trade times do.
"""

from __future__ import annotations

import heapq
import random
from typing import Protocol

from rekt.simulator.scene import Order


class Delay:
    """How many milliseconds more than the window an event takes: a few, and now and then many."""

    def __init__(self, seed: int, *, late_share: float, late_ms: int) -> None:
        self._random = random.Random(f"delay {seed}")
        self._late_share = late_share
        self._late_ms = late_ms

    def draw_ms(self) -> int:
        if self._random.random() < self._late_share:
            return self._random.randint(12, max(12, self._late_ms))
        return self._random.randint(4, 12)


class Sampling(Protocol):
    """Holds orders back; gives out (event time, order)."""

    def offer(self, order: Order) -> None:
        """Take an order; trade times must not go back."""

    def due(self, now_ms: int) -> list[tuple[int, Order]]:
        """What is to be published by now, event times ascending."""

    @property
    def next_ms(self) -> float:
        """When the next event is due; infinity if none is held."""


class Everything:
    """Every order is published, each held for the same time."""

    def __init__(self, hold_ms: int, delay: Delay) -> None:
        self._hold_ms = hold_ms
        self._delay = delay
        self._held: list[tuple[int, int, Order]] = []
        self._count = 0

    @property
    def next_ms(self) -> float:
        return self._held[0][0] if self._held else float("inf")

    def offer(self, order: Order) -> None:
        self._count += 1
        event_ms = order.time_ms + self._hold_ms + self._delay.draw_ms()
        heapq.heappush(self._held, (event_ms, self._count, order))

    def due(self, now_ms: int) -> list[tuple[int, Order]]:
        events = []
        while self._held and self._held[0][0] <= now_ms:
            event_ms, _, order = heapq.heappop(self._held)
            events.append((event_ms, order))
        return events


class _Window:
    __slots__ = ("largest", "until_ms")

    def __init__(self, order: Order, until_ms: int) -> None:
        self.largest = order
        self.until_ms = until_ms


class LargestPerSymbol:
    """One event per symbol and window: the order of the largest value.

    A window opens with the first order of a symbol. The event time is the window's end and a few
    milliseconds, so it is up to a window and a little later than the trade.
    """

    def __init__(self, window_ms: int, delay: Delay) -> None:
        self._window_ms = window_ms
        self._delay = delay
        self._open: dict[str, _Window] = {}
        self._event_ms: dict[str, int] = {}
        self._held: list[tuple[int, int, _Window]] = []
        self._count = 0

    @property
    def next_ms(self) -> float:
        return self._held[0][0] if self._held else float("inf")

    def offer(self, order: Order) -> None:
        symbol = order.instrument.symbol
        window = self._open.get(symbol)
        if window is not None and order.time_ms < window.until_ms:
            if _value(order) > _value(window.largest):
                window.largest = order
            return
        window = self._open[symbol] = _Window(order, order.time_ms + self._window_ms)
        event_ms = window.until_ms + self._delay.draw_ms()
        # An event that came late must not have the next one on its heels.
        event_ms = max(event_ms, self._event_ms.get(symbol, 0) + self._window_ms)
        self._event_ms[symbol] = event_ms
        self._count += 1
        heapq.heappush(self._held, (event_ms, self._count, window))

    def due(self, now_ms: int) -> list[tuple[int, Order]]:
        events = []
        while self._held and self._held[0][0] <= now_ms:
            event_ms, _, window = heapq.heappop(self._held)
            events.append((event_ms, window.largest))
        return events


def _value(order: Order) -> int:
    return order.quantity * order.average_price
