"""Where publications come from: the synthetic market behind the venue's sampling, or a tape."""

from __future__ import annotations

from typing import Protocol

from rekt.simulator.market import Market
from rekt.simulator.options import Options
from rekt.simulator.playback import Playback, read_tape
from rekt.simulator.scene import Publication, Scene
from rekt.simulator.throttle import Delay, Everything, LargestPerSymbol, Sampling
from rekt.simulator.truth import Counts


class Source(Protocol):
    """Gives out what is due."""

    market: Market
    """Whose prices the canary shows."""
    ticks: bool
    """Whether it brings canary ticks of its own."""

    @property
    def finished(self) -> bool:
        """Whether nothing will come any more."""

    @property
    def next_ms(self) -> float:
        """When something is due at the earliest."""

    def due(self, now_ms: int, subscribers: int, *, paused: bool) -> list[Publication]:
        """Publications due by now; `paused`: some connection is behind."""


class Synthetic:
    """The market's forced orders as far as the venue publishes them."""

    ticks = False
    finished = False

    def __init__(self, market: Market, sampling: Sampling, scene: Scene, counts: Counts) -> None:
        self.market = market
        self._sampling = sampling
        self._scene = scene
        self._counts = counts

    @property
    def next_ms(self) -> float:
        return min(self.market.next_ms, self._sampling.next_ms)

    def due(
        self,
        now_ms: int,
        subscribers: int,  # noqa: ARG002 (a market does not wait for readers)
        *,
        paused: bool,  # noqa: ARG002
    ) -> list[Publication]:
        for order in self.market.orders(now_ms):
            self._counts.orders += 1
            self._sampling.offer(order)
        publications = []
        for event_ms, order in self._sampling.due(now_ms):
            publication = self._scene.liquidation(order, event_ms)
            if publication is not None:
                publications.append(publication)
        return publications


class Tape:
    """A recording, started once enough connections are subscribed."""

    def __init__(self, playback: Playback, market: Market, options: Options) -> None:
        self.market = market
        self.ticks = options.tape_canary
        self._playback = playback
        self._wait_for = options.wait_for
        self._waits_for_readers = options.speed is None
        self._started = False

    @property
    def finished(self) -> bool:
        return self._playback.finished

    @property
    def next_ms(self) -> float:
        return self._playback.next_ms if self._started else float("inf")

    def due(self, now_ms: int, subscribers: int, *, paused: bool) -> list[Publication]:
        self._started = self._started or subscribers >= self._wait_for
        if not self._started or (paused and self._waits_for_readers):
            return []
        return self._playback.due(now_ms)


def source_of(options: Options, scene: Scene, now_ms: int, counts: Counts) -> Source:
    """The source that the options ask for, starting now."""
    market = Market(
        scene.instruments,
        scene="none" if options.tape else options.scene,
        seed=options.seed,
        start_ms=now_ms,
        rate=None if options.tape else options.rate,
        unfilled_share=options.unfilled_share,
    )
    if options.tape is not None:
        playback = Playback(
            read_tape(options.tape),
            scene.frame,
            speed=options.speed,
            shift_to_now=options.shift_to_now,
            canary=options.tape_canary,
        )
        return Tape(playback, market, options)
    delay = Delay(options.seed, late_share=options.late_share, late_ms=options.late_ms)
    sampling: Sampling = Everything(options.hold_ms, delay)
    if options.throttled:
        sampling = LargestPerSymbol(options.hold_ms, delay)
    return Synthetic(market, sampling, scene, counts)
