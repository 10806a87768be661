"""Whether a venue's events are what its description says. Checks at run time that tell and never correct. Pure.

What a venue's documents promise, nobody has promised us: sides get exchanged, contracts are taken for coins, an accepted
subscription stays silent. Each check here rests on what is seen alone, says so only with enough seen, and is over only
when enough was seen that is well:

- `silent`: the canary ticks and nothing comes for hours, while other venues tell much;
- `sides`: in the minute before its longs bitcoin rose, before its shorts it fell, by the median of many minutes;
- `units`: quantities are no multiples of the contract's step;
- `late`: one in a thousand comes later than the venue's margin, so that hours are closed before they are whole;
- `throttle`: more than one event per symbol and second, where its sampling denies it.

An event costs the recorder about a microsecond; the rest is done at a look, every few seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

from rekt.model import Instrument, Liquidation, OrderSide, Suspicion
from rekt.venue import Tick, Venue

LOOK_S: Final = 10.0  # between two looks
SILENT_S: Final = 3 * 3600.0  # of a canary without an event …
OTHERS: Final = 1000  # … while other venues told so many
MINUTES: Final = (
    30  # of each side, before sides are judged; a burst within one minute is one look at the price
)
MOVE: Final = 0.0001  # relative; a median nearer to zero says nothing
LATE_EVENTS: Final = 1000  # before lateness is judged; of the latest LATE_KEPT
LATE_KEPT: Final = 10_000
LATE_SHARE: Final = 0.001
UNITS: Final = 20  # quantities before they are judged; of the latest UNITS_KEPT
UNITS_KEPT: Final = 200
UNITS_SHARE: Final = 0.1
UNITS_A_LOOK: Final = 50  # are held against their step: it takes some microseconds
BURST: Final = 2.5  # events ahead of one a second: two of neighbouring windows may fall close together
BURSTS: Final = 10  # within BURSTS_S
BURSTS_S: Final = 3600.0
WELL_S: Final = 86_400.0  # without a burst, and that one is over
THIN: Final = frozenset({"largest_per_symbol_second", "latest_per_symbol_second"})
_SEEN = 10_000  # identities kept: two connections tell an event within moments
_SYMBOLS = 20_000
_BACK_S = 10  # a price that stands still is told so rarely


class Figures(NamedTuple):
    """What was seen of a venue."""

    events: int
    late_p50: int | None  # ms from trade to receipt
    late_p999: int | None
    longs: tuple[int, float | None]  # minutes, and the median move of bitcoin in the minute before; relative
    shorts: tuple[int, float | None]
    units: tuple[int, int]  # quantities held against their step, and those that don't fit
    bursts: int  # times that a symbol was told more often than once a second, where that is denied
    priced: bool = True  # some canary told bitcoin's price, without which nothing can be said of sides


class Watch:
    """Looks at one venue's events, each once however many connections tell it. Backlogs say nothing and are left out."""

    def __init__(
        self, venue: Venue, others: Collection[Watch], standing: Iterable[Suspicion] = (), now_us: int = 0
    ) -> None:
        """`others`: all venues' watches, this one among them; `standing`: what an earlier run left suspicious."""
        self.events = 0
        self._venue = venue
        self._all = others
        self._standing = {one.kind: one for one in standing if one.venue == venue.name}
        self._looked_us = self._well_us = now_us
        self._looked = (0, 0)  # events by then: its own, the others'
        self._quiet_s = 0.0
        self._quiet_others = 0
        self._seen: set[bytes] = set()
        self._seen_before: set[bytes] = set()
        self._late: deque[int] = deque(maxlen=LATE_KEPT)  # ms
        self._prices: list[tuple[int, float]] = [(-1, 0.0)] * 256  # of bitcoin, by second
        self._minute: dict[OrderSide, int] = {"SELL": -1, "BUY": -1}
        self._moves: dict[OrderSide, deque[float]] = {"SELL": deque(maxlen=500), "BUY": deque(maxlen=500)}
        self._budget = UNITS_A_LOOK
        self._fits: deque[bool] = deque(maxlen=UNITS_KEPT)
        self._misfit = ""
        self._ahead: dict[tuple[str, OrderSide], tuple[float, int]] = {}
        self._bursts: deque[int] = deque(maxlen=BURSTS)  # receive times, µs
        self._burst_count = 0
        self._burst = ""

    # -- the hot path ----------------------------------------------------------------------------------------------

    def tick(self, tick: Tick) -> None:
        """A canary; the first price of each second is kept."""
        if tick.price is not None and tick.venue_ms is not None:
            second = tick.venue_ms // 1000
            if self._prices[second & 255][0] != second:
                self._prices[second & 255] = second, float(tick.price)

    def note(
        self, events: Iterable[Liquidation], since_us: int, instruments: Mapping[str, Instrument]
    ) -> None:
        """Events came by a connection that was proved alive since this time; older ones may be its backlog."""
        seen, before, late, minutes = self._seen, self._seen_before, self._late, self._minute
        for event in events:
            feed, at, uid, symbol, side = event[:5]
            if at * 1000 < since_us or uid in seen or uid in before:
                continue
            seen.add(uid)
            self.events += 1
            late.append(event.received_us // 1000 - at)
            if minutes[side] != at // 60_000:
                minutes[side] = at // 60_000
                self._moved(side, at // 1000)
            if feed.sampling in THIN:
                ahead, last = self._ahead.get((symbol, side), (0.0, at))
                ahead = max(0.0, ahead - max(0, at - last) / 1000) + 1
                self._ahead[symbol, side] = ahead, max(at, last)
                if ahead > BURST:
                    self._note_burst(event)
            if self._budget and (instrument := instruments.get(symbol)) is not None:
                self._held_against(event, instrument)
        if len(seen) > _SEEN:
            self._seen_before, self._seen = seen, set()
        if len(self._ahead) > _SYMBOLS:
            self._ahead.clear()

    def _note_burst(self, event: Liquidation) -> None:
        self._bursts.append(event.received_us)
        self._burst_count += 1
        self._burst = event.symbol
        self._ahead[event.symbol, event.order_side] = (
            0.0,
            event.trade_time,
        )  # the next one needs as many again

    def _held_against(self, event: Liquidation, instrument: Instrument) -> None:
        fits = self._venue.fits(event, instrument)
        if fits is None:
            return
        self._budget -= 1
        self._fits.append(fits)
        if not fits:
            self._misfit = f"{event.symbol} {event.filled_quantity} (step {instrument.step})"

    def _moved(self, side: OrderSide, second: int) -> None:
        for watch in (self, *(one for one in self._all if one is not self)):
            now, before = watch.price_at(second), watch.price_at(second - 60)
            if now and before:
                self._moves[side].append(now / before - 1)
                return

    def price_at(self, second: int) -> float | None:
        """Bitcoin's price at a second, or shortly before; None where it is not known."""
        for back in range(_BACK_S + 1):
            told, price = self._prices[(second - back) & 255]
            if told == second - back:
                return price
        return None

    # -- the look --------------------------------------------------------------------------------------------------

    def look(self, now_us: int, *, alive: bool) -> list[Suspicion]:
        """What has become suspicious since the last look, and what is over (its text is None).

        `alive`: every part of the venue is proved alive by its canary now.
        """
        self._count_quiet(now_us, alive=alive)
        self._budget = UNITS_A_LOOK
        changed = []
        for kind, text in (
            ("silent", self._silent()),
            ("sides", self._sides()),
            ("units", self._units()),
            ("late", self._lateness()),
            ("throttle", self._throttle(now_us)),
        ):
            known = self._standing.get(kind)
            if text and known is None:
                self._standing[kind] = Suspicion(self._venue.name, kind, text, now_us)
                changed.append(self._standing[kind])
            elif text == "" and known is not None:
                del self._standing[kind]
                changed.append(known._replace(text=None))
        return changed

    @property
    def priced(self) -> bool:
        """Whether its canary has told bitcoin's price."""
        return any(second >= 0 for second, _ in self._prices)

    @property
    def standing(self) -> Mapping[str, Suspicion]:
        """What is suspicious now, by kind."""
        return self._standing

    def figures(self) -> Figures:
        """What was seen so far."""
        late = sorted(self._late)
        longs, shorts = self._moves["SELL"], self._moves["BUY"]
        return Figures(
            self.events,
            _percentile(late, 0.5),
            _percentile(late, 1 - LATE_SHARE),
            (len(longs), median(longs) if longs else None),
            (len(shorts), median(shorts) if shorts else None),
            (len(self._fits), self._fits.count(False)),
            self._burst_count,
            any(one.priced for one in (self, *self._all)),
        )

    def _count_quiet(self, now_us: int, *, alive: bool) -> None:
        others = sum(watch.events for watch in self._all if watch is not self)
        own, before = self._looked
        if self.events != own:
            self._quiet_s, self._quiet_others = 0.0, 0
        elif alive:  # a stretch in which we were not listening proves nothing
            self._quiet_s += min((now_us - self._looked_us) / 1e6, 10 * LOOK_S)
            self._quiet_others += others - before
        self._looked, self._looked_us = (self.events, others), now_us

    # Each says what is suspicious; "" that it is well; None that it can't be told.

    def _silent(self) -> str | None:
        if self._quiet_s >= SILENT_S and self._quiet_others >= OTHERS:
            return (
                f"its canary ticks, but it told no liquidation in {self._quiet_s / 3600:.1f} h, while other venues "
                f"told {self._quiet_others:,}: an accepted subscription may be silent"
            )
        return None if self._quiet_s or not self.events else ""

    def _sides(self) -> str | None:
        longs, shorts = self._moves["SELL"], self._moves["BUY"]
        if min(len(longs), len(shorts)) < MINUTES:
            return None
        fall, rise = median(longs), median(shorts)
        if fall > MOVE and rise < -MOVE:
            return (
                f"its sides may be exchanged: in the minute before its longs bitcoin moved {fall * 1e4:+.1f} bp, before "
                f"its shorts {rise * 1e4:+.1f} bp (medians of {len(longs)} and {len(shorts)} minutes)"
            )
        return "" if fall < 0 < rise else None

    def _units(self) -> str | None:
        of, wrong = len(self._fits), self._fits.count(False)
        if of < UNITS:
            return None
        if wrong > UNITS_SHARE * of:
            return (
                f"{wrong} of {of} quantities are no multiple of their contract's step, such as {self._misfit}: they may "
                "be of another unit"
            )
        return "" if wrong <= UNITS_SHARE * of / 5 else None

    def _lateness(self) -> str | None:
        if (of := len(self._late)) < LATE_EVENTS:
            return None
        limit = self._venue.settle_s * 1000
        late = sum(ms > limit for ms in self._late)
        if late > LATE_SHARE * of:
            slow = (_percentile(sorted(self._late), 1 - LATE_SHARE) or 0) / 1000
            return (
                f"one event in a thousand comes {slow:.1f} s or more after its trade, but an hour waits for them "
                f"{limit / 1000:g} s only; the venue is late, or this machine's clock is ahead"
            )
        return "" if late <= LATE_SHARE * of / 2 else None

    def _throttle(self, now_us: int) -> str | None:
        if len(self._bursts) == BURSTS and now_us - self._bursts[0] <= BURSTS_S * 1e6:
            return (
                f"it told symbols more often than once a second, which its description denies: {BURSTS} times within "
                f"an hour, last {self._burst}"
            )
        last_us = self._bursts[-1] if self._bursts else self._well_us
        return "" if now_us - last_us > WELL_S * 1e6 else None


def _percentile(ordered: Sequence[int], share: float) -> int | None:
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
