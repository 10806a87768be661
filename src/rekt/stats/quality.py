"""How well a window was recorded: what connections lost, how late events came, how often the venue's limit was hit.

Definitions (docs/semantics.md, docs/reliability.md):

- loss rate of a connection: of the events that came while it and another were alive, the share it did not tell.
- missed by all: with two connections a and b, lost(a) × lost(b) / told by both (Lincoln and Petersen's estimate). It
  takes their losses for independent, which a fault at the venue itself is not: a lower bound of what was lost.
- lag: receive time − event time, in ms.
- saturation: a venue that tells at most one event per symbol and second (others are not looked at), so a symbol with
  events in many seconds running probably had more than were told. Per symbol: the seconds with an event, the longest run of consecutive ones, and the
  share of those seconds that lie in runs of at least 3. A symbol is *saturated* when its longest run is 5 or more. It
  is a statement about the feed; no figure is corrected with it.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from rekt.fields import DAY
from rekt.model import Delivery, Lag, Loss, Quality, Saturation, Window
from rekt.stats.basis import limited
from rekt.stats.coverage import Traits
from rekt.store import Moment, QualityFacts

RUN = 3  # seconds: so many in a row count as a run
SATURATED = 5  # seconds: a symbol whose longest run is so long was at the venue's limit
LONGEST = DAY + 3_600_000  # a longer window's events are not looked at one by one


def quality(
    facts: QualityFacts,
    window: Window,
    traits: Mapping[str, Traits],
    venues: Collection[str] | None = None,
) -> Quality:
    """How well a window was recorded. `venues`: of these alone; then without revisions, which are of all together."""
    losses = add_up(found for found in facts.deliveries(window) if venues is None or found[0] in venues)
    lag: Lag | None = None
    saturation: list[Saturation] | None = None
    if window.end - window.start <= LONGEST:
        moments = facts.moments(window)
        unlimited = {name for name, own in traits.items() if own.sampling and not limited(own.sampling)}
        lag, saturation = times(
            moments if venues is None else (one for one in moments if one.venue in venues), unlimited
        )
    return Quality(
        losses,
        _missed(losses),
        lag,
        saturation,
        facts.revisions(window) if venues is None else [],
    )


def _missed(losses: Sequence[Loss]) -> float | None:
    """What every connection lost, estimated for each venue by itself: those of two venues tell nothing of another."""
    names = {loss.venue for loss in losses}
    found = [missed_by_all([loss for loss in losses if loss.venue == name]) for name in sorted(names)]
    known = [one for one in found if one is not None]
    return sum(known) if known else None


def add_up(deliveries: Iterable[tuple[str, Delivery]]) -> list[Loss]:
    """What each connection told and lost, over its hours."""
    found: dict[str, Loss] = {}
    for venue, delivery in deliveries:
        had = found.get(delivery.connection, Loss(delivery.connection, venue, 0, 0))
        found[delivery.connection] = had._replace(
            told=had.told + delivery.told, lost=had.lost + delivery.lost
        )
    return list(found.values())


def missed_by_all(losses: Sequence[Loss]) -> float | None:
    """The estimate of what every connection lost; None while there is nothing to estimate it from.

    An hour may have had more than two connections, one after the other: they are taken for two that shared the losses
    evenly, each other one's losses being what one told alone.
    """
    told, lost = sum(loss.told for loss in losses), sum(loss.lost for loss in losses)
    both = (told - lost) / 2  # each event told by both is told twice, each one lost by one is told once
    if len(losses) < 2 or both <= 0:
        return None
    if len(losses) == 2:
        return losses[0].lost * losses[1].lost / both
    return (lost / 2) ** 2 / both


def times(moments: Iterable[Moment], unlimited: Collection[str] = ()) -> tuple[Lag | None, list[Saturation]]:
    """Percentiles of the lag (None where no event told its time); the symbols at their venue's limit, longest run first.

    `unlimited`: venues without such a limit. In one pass: the day of a crash has millions of events.
    """
    lags = array("q")  # µs
    seconds: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for venue, symbol, trade_time, event_time, received_us in moments:
        if event_time is not None:
            lags.append(received_us - event_time * 1000)
        if venue not in unlimited:
            seconds[venue, symbol].add(trade_time // 1000)
    found = [_saturation(venue, symbol, sorted(had)) for (venue, symbol), had in seconds.items()]
    found = [one for one in found if one.longest_run >= SATURATED]
    return _lag(sorted(lags)), sorted(found, key=lambda one: (-one.longest_run, -one.seconds, one.symbol))


def _lag(lags: Sequence[int]) -> Lag | None:
    if not lags:
        return None
    return Lag(*(lags[min(len(lags) - 1, int(len(lags) * share))] / 1000 for share in (0.5, 0.95, 0.99)))


def _saturation(venue: str, symbol: str, seconds: Sequence[int]) -> Saturation:
    runs, length = [], 0
    for index, second in enumerate(seconds):
        length = length + 1 if index and second == seconds[index - 1] + 1 else 1
        if index + 1 == len(seconds) or seconds[index + 1] != second + 1:
            runs.append(length)
    in_runs = sum(run for run in runs if run >= RUN)
    return Saturation(symbol, venue, len(seconds), max(runs), in_runs / len(seconds))
