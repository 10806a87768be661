"""Quantities against the steps that the venues' lists tell: every scene's market, read by its venue."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from rekt import app, registry
from rekt.config import Section
from rekt.model import Liquidation
from rekt.simulator import Options, scenes
from rekt.simulator.market import Market
from rekt.simulator.scene import load
from rekt.venue import Reference, Venue

VENUES = [name for name in registry.names("rekt.venues") if name in scenes.names()]
# Bitget's unit there is not known; Bitfinex lists no steps.
WITHOUT_STEP = {"bitget": {"inverse"}, "bitfinex": {"linear"}}
NOW = 1_791_565_600_000


def sold(one: Venue) -> tuple[list[Liquidation], Reference]:
    """A few hundred events of the venue's scene, and what its lists tell of the contracts."""
    options = Options(venue=one.name, unlisted=frozenset())
    scene = load(options)
    section = Section(one.name.upper(), {key: spec.default for key, spec in one.keys.items()})
    reference = Reference()
    for document in one.documents(section):
        url: str | None = document.url
        while url is not None:
            parts = urlsplit(url)
            body = scene.document(f"{parts.path}?{parts.query}" if parts.query else parts.path, NOW)
            assert body is not None
            reference.instruments.update((found.symbol, found) for found in document.parse(body, 1))
            url = document.following(body)
    market = Market(scene.instruments, scene="none", seed=3, start_ms=NOW, rate=200.0)
    found: list[Liquidation] = []
    for order in market.orders(NOW + 1900):
        told = scene.liquidation(order, order.time_ms)
        if told is None:
            continue
        known = reference.instruments.get(order.instrument.symbol)
        decoded = one.decode(told.payload, (NOW + 3000) * 1000, reference.of(known.market if known else None))
        found += decoded if isinstance(decoded, tuple) else ()  # some hold events back
    return found + list(one.due(1 << 62, reference)), reference


@pytest.mark.parametrize("name", VENUES)
def test_every_quantity_fits_its_step(name: str) -> None:
    """What trades in steps is told in steps, in each market whose list has them; another step is noticed."""
    one = app.venue(name)
    events, reference = sold(one)
    judged = set()
    for event in events:
        instrument = reference.instruments[event.symbol]
        fits = one.fits(event, instrument)
        if fits is not None:
            judged.add(instrument.market)
            assert fits, (event, instrument)
            assert one.fits(event, instrument._replace(step="1000003")) is False
    assert judged == {feed.market for feed in one.feeds} - WITHOUT_STEP.get(name, set())
    assert len(events) > 100
