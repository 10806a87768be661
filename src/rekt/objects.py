"""The JSON objects of the interface, as dictionaries in the documented order of keys.

Times are ISO 8601 in UTC, dollars decimal strings of exact micro-dollars, the venue's digits as they came.
"""

from __future__ import annotations

from typing import Any

from rekt.fields import iso_ms, iso_us, money, uid_text
from rekt.model import (
    Connection,
    Gap,
    HourSummary,
    Largest,
    Liquidation,
    Loss,
    Mean,
    Quality,
    Revision,
    Suspicion,
    Tally,
    VenueTally,
)

Object = dict[str, Any]


def liquidation_object(event: Liquidation) -> Object:
    """The object *liquidation*."""
    return {
        "uid": uid_text(event.uid),
        "venue": event.feed.venue,
        "market": event.feed.market,
        "symbol": event.symbol,
        "side": event.side,
        "order_side": event.order_side,
        "status": event.status,
        "price": event.price,
        "average_price": event.average_price,
        "price_kind": event.feed.price_kind,
        "sampling": event.feed.sampling,
        "quantity": event.quantity,
        "filled_quantity": event.filled_quantity,
        "notional_usd": None if event.notional is None else money(event.notional),
        "trade_time": iso_ms(event.trade_time),
        "event_time": None if event.event_time is None else iso_ms(event.event_time),
        "received_at": iso_us(event.received_us),
    }


def hour_object(summary: HourSummary) -> Object:
    """The object *hour*: the numbers of an hour, or of a window of several (then `hour` is null)."""
    return {
        "hour": None if summary.hour is None else iso_ms(summary.hour),
        "from": iso_ms(summary.window.start),
        "to": iso_ms(summary.window.end),
        "count": summary.count,
        "unknown_count": summary.unknown_count,
        "total_usd": money(summary.total),
        "largest": None if summary.largest is None else largest_object(summary.largest),
        "long": tally_object(summary.long),
        "short": tally_object(summary.short),
        "by_symbol": [{"symbol": name, **tally_object(tally)} for name, tally in summary.by_symbol],
        "by_venue": [venue_object(one) for one in summary.by_venue],
        "coverage": summary.coverage,
        "gaps": [gap_object(gap) for gap in summary.gaps],
        "final": summary.final,
        "compared": {
            "hour_before": mean_object(summary.hour_before),
            "mean_24h": mean_object(summary.mean_24h),
            "mean_7d": mean_object(summary.mean_7d),
        },
    }


def quality_object(quality: Quality) -> Object:
    """How well a window was recorded; goes along with the object *hour*."""
    saturated = quality.saturated
    return {
        "loss_rate": [loss_object(loss) for loss in quality.losses],
        "missed_by_all": quality.missed_by_all,
        "lag_ms": None if quality.lag is None else quality.lag._asdict(),
        "saturated_count": None if saturated is None else len(saturated),
        "saturated": None if saturated is None else [one._asdict() for one in saturated],
        "revisions": [revision_object(revision) for revision in quality.revisions],
    }


def loss_object(loss: Loss) -> Object:
    """What a connection told and lost while another was alive beside it."""
    return {**loss._asdict(), "loss_rate": loss.rate}


def revision_object(revision: Revision) -> Object:
    """How an hour that was final changed."""
    return {
        "hour": iso_ms(revision.hour),
        "seen": iso_us(revision.seen_us),
        "reason": revision.reason,
        "before": tally_object(Tally(revision.count_before, revision.total_before)),
        "after": tally_object(Tally(revision.count_after, revision.total_after)),
    }


def largest_object(largest: Largest) -> Object:
    """The largest single liquidation of an *hour*."""
    return {
        "symbol": largest.symbol,
        "side": largest.side,
        "notional_usd": money(largest.notional),
        "average_price": largest.average_price,
        "filled_quantity": largest.filled_quantity,
        "trade_time": iso_ms(largest.trade_time),
        "venue": largest.venue,
    }


def tally_object(tally: Tally) -> Object:
    """How many and how much."""
    return {"count": tally.count, "total_usd": money(tally.total)}


def venue_object(one: VenueTally) -> Object:
    """One venue's part of an *hour*."""
    return {
        "venue": one.venue,
        "count": one.count,
        "total_usd": money(one.total),
        "coverage": one.coverage,
        "final": one.final,
        "sampling": one.sampling,
        "price_kind": one.price_kind,
    }


def mean_object(mean: Mean | None) -> Object | None:
    """A comparison; None when no hour is complete enough to compare with."""
    if mean is None:
        return None
    count = int(mean.count) if mean.count == int(mean.count) else mean.count
    return {"count": count, "total_usd": money(mean.total), "hours": mean.hours}


def gap_object(gap: Gap) -> Object:
    """A stretch in which nothing was proved to be received."""
    return {"start": iso_ms(gap.start), "end": iso_ms(gap.end), "cause": gap.cause, "venue": gap.venue}


def connection_object(connection: Connection, loss: Loss | None = None) -> Object:
    """One connection of *status*; `loss_rate` is null where it was never alive beside another."""
    return {
        "id": connection.id,
        "venue": connection.venue,
        "url": connection.url,
        "opened": iso_us(connection.opened_us),
        "first_frame": _us(connection.first_frame_us),
        "last_frame": _us(connection.last_frame_us),
        "last_canary": _us(connection.last_canary_us),
        "closed": _us(connection.closed_us),
        "cause": connection.cause,
        "loss_rate": None if loss is None else loss.rate,
    }


def suspicion_object(one: Suspicion) -> Object:
    """Something about a venue's events that its description denies."""
    return {"venue": one.venue, "kind": one.kind, "text": one.text, "since": iso_us(one.since_us)}


def _us(value: int | None) -> str | None:
    return None if value is None else iso_us(value)
