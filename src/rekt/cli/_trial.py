"""What a trial of a venue found, in plain words: each thing well, not to be told, or wrong. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rekt.cli._check import Check
from rekt.pipeline.suspicion import MINUTES, THIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rekt.config import Section
    from rekt.pipeline.trial import Seen
    from rekt.venue import Venue

UNKNOWN_SHARE = 0.1  # of values, before that is a fault; those in a currency without a price here don't count
SHOWN = 5  # symbols or topics by name


def judged(venue: Venue, settings: Section, seen: Seen) -> list[Check]:
    """All of it; what needs a connection is left out where there is none."""
    found = [_reachable(venue, settings, seen)]
    if not seen.open:
        return found
    found += [
        _listed(venue, settings, seen),
        *_acknowledged(venue, settings, seen),
        _canary(settings.number("canary_timeout"), seen),
        *_ends(seen),
        *_frames(seen),
        _events(seen),
    ]
    if seen.events:
        found += [_sides(seen), _lateness(venue, seen), _values(seen), _units(seen), *_sampling(venue, seen)]
    return found


def _reachable(venue: Venue, settings: Section, seen: Seen) -> Check:
    hint = venue.warning(settings) or ""
    if not seen.open:
        text = seen.trouble or _ended(seen) or "no connection was opened in this time"
        return Check("reachable", "fail", text, hint or "look at the network, the proxy and the address")
    text = f"{seen.open} of {seen.parts} connection{'s' if seen.parts != 1 else ''} open"
    if seen.open < seen.parts:
        return Check(
            "reachable", "fail", f"{text}: {seen.trouble or _ended(seen) or 'no reason known'}", hint
        )
    return Check("reachable", "warn" if hint else "ok", text, hint)


def _listed(venue: Venue, settings: Section, seen: Seen) -> Check:
    if not venue.documents(settings):
        return Check("contracts", "ok", "none are listed: the venue has no document of them")
    if not seen.listed:
        hint = "values of some contracts stay unknown; what is subscribed by contract is not heard at all"
        return Check("contracts", "fail", "the venue's list can't be had, or is empty", hint)
    return Check("contracts", "ok", f"{seen.listed:,} are listed")


def _acknowledged(venue: Venue, settings: Section, seen: Seen) -> Iterator[Check]:
    name, topics = "acknowledged", seen.topics
    if topics is not None:
        text = f"{topics.asked:,} topics asked for"
        if topics.refused or topics.silent:
            told = [f"{len(topics.refused)} refused: {_some(topics.refused)}"] if topics.refused else []
            told += [f"{len(topics.silent)} not answered: {_some(topics.silent)}"] if topics.silent else []
            yield Check(name, "fail", f"{text}, {', '.join(told)}")
        elif not topics.complete or not topics.asked:
            yield Check(name, "warn", f"{text}, not all answered yet", "give it more --seconds")
        else:
            yield Check(name, "ok", f"{text}, all answered")
    elif not any(endpoint.messages for endpoint in venue.endpoints(settings)):
        yield Check(name, "ok", "nothing is to be: the address names the streams")
    elif seen.acknowledged:
        yield Check(name, "ok", f"{seen.acknowledged} answer{'s' if seen.acknowledged != 1 else ''}")
    else:
        yield Check(name, "fail", "no subscription was answered")
    if seen.refusals:
        yield Check("errors", "fail", f"the venue answers: {_some(seen.refusals)}")


def _canary(timeout_s: float, seen: Seen) -> Check:
    ages = [one.age_s for one in seen.canaries if one.age_s is not None]
    if len(ages) < len(seen.canaries):
        text = f"{len(seen.canaries) - len(ages)} of {len(seen.canaries)} have not ticked yet"
        dead = {"mis-routed", "stall"} & seen.ends.keys()
        hint = "the address may be retired, or the subscription silent" if dead else "give it more --seconds"
        return Check("canary", "fail" if dead else "warn", f"{text}; one is due within {timeout_s:g} s", hint)
    apart = [one.every_s for one in seen.canaries if one.every_s is not None]
    text = f"the last {max(ages):.1f} s ago" + (f", every {max(apart):.2g} s" if apart else ", only once")
    if max(ages) > timeout_s:
        return Check("canary", "fail", f"{text}: it counts as dead after {timeout_s:g} s")
    return Check("canary", "ok", f"ticks: {text}; dead after {timeout_s:g} s")


def _ends(seen: Seen) -> Iterator[Check]:
    if seen.ends:
        yield Check("connections", "warn", _ended(seen))


def _ended(seen: Seen) -> str:
    return (
        "ended meanwhile: " + ", ".join(f"{n} × {cause}" for cause, n in seen.ends.items())
        if seen.ends
        else ""
    )


def _frames(seen: Seen) -> Iterator[Check]:
    if seen.quarantined:
        hint = "the venue may have changed its format; look for a newer rekt"
        yield Check("frames", "fail", f"{seen.quarantined:,} do not fit, the last: {seen.misfit}", hint)


def _events(seen: Seen) -> Check:
    if not seen.events:
        text = "none: the market is calm, or the subscription silent"
        return Check("events", "warn", text, "give it more --seconds; sides, lateness and units need events")
    symbols = {event.symbol for event in seen.events}
    longs = sum(event.side == "long" for event in seen.events)
    count = len(seen.events)
    text = f"{count:,} of {len(symbols):,} symbols: {longs:,} long, {count - longs:,} short"
    return Check("events", "ok", text)


def _sides(seen: Seen) -> Check:
    if (wrong := seen.suspicions.get("sides")) is not None:
        return Check("sides", "fail", wrong.text or "")
    if not seen.figures.priced:
        hint = "record it beside a venue whose canary has one: then `suspicions` of `rekt status` tell"
        return Check("sides", "warn", "not to be told here: its canary tells no price of bitcoin", hint)
    told = []
    for name, (minutes, move) in (("longs", seen.figures.longs), ("shorts", seen.figures.shorts)):
        shown = f", bitcoin moved {move * 1e4:+.1f} bp before" if move is not None else ""
        told.append(f"{name}: {minutes} minutes{shown}")
    text = "; ".join(told)
    if min(seen.figures.longs[0], seen.figures.shorts[0]) < MINUTES:
        return Check("sides", "warn", f"not to be told yet ({text}; {MINUTES} of each are needed)")
    return Check("sides", "ok", text)


def _lateness(venue: Venue, seen: Seen) -> Check:
    if (wrong := seen.suspicions.get("late")) is not None:
        return Check("lateness", "fail", wrong.text or "")
    median, slow = seen.figures.late_p50, seen.figures.late_p999
    if median is None or slow is None:
        return Check("lateness", "warn", "not to be told: every event was older than its connection")
    text = (
        f"{median / 1000:.1f} s from trade to here by the median, {slow / 1000:.1f} s by the 99.9th percentile of "
        f"{seen.figures.events:,}; an hour waits {venue.settle_s:g} s"
    )
    return Check("lateness", "warn" if slow > venue.settle_s * 1000 else "ok", text)


def _values(seen: Seen) -> Check:
    unknown = Counter(event.symbol for event in seen.events if event.notional is None)
    if not unknown:
        return Check("values", "ok", "all known")
    strange = sum(count for symbol, count in unknown.items() if symbol not in seen.priceless)
    wrong = strange > UNKNOWN_SHARE * len(seen.events)
    text = f"{unknown.total():,} of {len(seen.events):,} unknown: {_some([name for name, _ in unknown.most_common()])}"
    return Check("values", "fail" if wrong else "warn", text)


def _units(seen: Seen) -> Check:
    of, wrong = seen.figures.units
    if (told := seen.suspicions.get("units")) is not None:
        return Check("units", "fail", told.text or "")
    if not of:
        return Check("units", "warn", "not to be told: no contract's step is known")
    return Check(
        "units", "warn" if wrong else "ok", f"{of - wrong} of {of} quantities fit their contract's step"
    )


def _sampling(venue: Venue, seen: Seen) -> Iterator[Check]:
    if (told := seen.suspicions.get("throttle")) is not None:
        yield Check("sampling", "fail", told.text or "")
    elif any(feed.sampling in THIN for feed in venue.feeds):
        bursts = seen.figures.bursts
        text = f"{bursts} times more than one event per symbol and second" if bursts else "as it says"
        yield Check("sampling", "warn" if bursts else "ok", text)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
