"""What every venue's scene says, its venue's file reads: no sockets, only the dialogue, the market and the documents."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from rekt.config import Section
from rekt.model import Instrument, Liquidation
from rekt.registry import load
from rekt.simulator import Options, scenes
from rekt.simulator.scene import Kind, Publication, Scene, Session
from rekt.simulator.scene import load as load_scene
from rekt.simulator.source import source_of
from rekt.simulator.truth import Counts
from rekt.venue import Endpoint, Notice, Reference, Tick, Venue
from rekt.worth import BITCOIN, DOLLARS

VENUES = scenes.names()
START_MS = 1_795_000_000_000


def venue(name: str) -> tuple[Venue, Section]:
    """A venue and its default settings."""
    found: Venue = load("rekt.venues", name).VENUE
    return found, Section(name.upper(), {key: spec.default for key, spec in found.keys.items()})


def path(url: str) -> str:
    """What is asked of the server: the demo puts its own origin before it."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def listed(name: str, scene: Scene) -> list[Instrument]:
    """All pages of all documents, as the scene serves and the venue reads them."""
    one, settings = venue(name)
    found: list[Instrument] = []
    for document in one.documents(settings):
        url: str | None = document.url
        for _ in range(50):
            if url is None:
                break
            body = scene.document(path(url), START_MS)
            assert body is not None, url
            found += document.parse(body, START_MS * 1000)
            url = document.following(body)
        assert url is None
    return found


def subscribed(
    scene: Scene, endpoint: Endpoint, topics: list[str], number: int = 0
) -> tuple[Session, list[bytes]]:
    """A session that was told all that a recorder says first, and its answers."""
    session = scene.session(path(endpoint.url))
    assert not isinstance(session, str), session
    session.meet({header.lower(): value for header, value in endpoint.headers})
    told = list(session.greeting(START_MS))
    for message in endpoint.messages:
        told += session.receive(message.replace(b"{now}", b"%d" % (START_MS // 1000)))
    if endpoint.topics is not None:
        size = endpoint.topics.per_message
        for start in range(0, len(topics), size):
            number += 1
            told += session.receive(endpoint.topics.subscribe(topics[start : start + size], str(number)))
    return session, told


@pytest.mark.parametrize("name", VENUES)
def test_what_a_scene_says_its_venue_reads(name: str) -> None:
    """Answers are no errors; each forced order is one event of its side, valued; the canary ticks on each connection."""
    one, settings = venue(name)
    scene = load_scene(Options(venue=name, rate=40.0, scene="busy", canary_period_s=1.0))
    instruments = listed(name, scene)
    assert {i.symbol for i in instruments} >= {i.symbol for i in scene.instruments}
    reference = Reference({i.symbol: i for i in instruments})
    endpoints = one.endpoints(settings)
    connections: list[tuple[Session, Reference]] = []
    for endpoint in endpoints:
        topics = endpoint.topics.wanted(instruments) if endpoint.topics is not None else []
        most = endpoint.topics.per_connection if endpoint.topics is not None else 1
        for start in range(0, max(len(topics), 1), most):
            session, answers = subscribed(scene, endpoint, topics[start : start + most])
            assert session.routed
            assert session.streams
            known = reference.of(endpoint.market)
            for answer in answers:
                decoded = one.decode(answer, START_MS * 1000, known)
                assert not isinstance(decoded, Notice) or decoded.kind != "error", answer
            connections.append((session, known))
    market = source_of(scene_options(name), scene, START_MS, Counts()).market
    ticks = {id(session): 0 for session, _ in connections}

    def told(publication: Publication) -> list[Liquidation]:
        """The events of a publication, over all connections."""
        events: list[Liquidation] = []
        for session, known in connections:
            for frame in session.encode(publication):
                decoded = one.decode(frame, (START_MS + 120_000) * 1000, known)
                if isinstance(decoded, tuple):
                    events += decoded
                if isinstance(decoded, Tick):
                    ticks[id(session)] += 1
                    known.tick(decoded)
            events += one.due((START_MS + 240_000) * 1000, known)  # what is told a little later
        return events

    forced = 0
    for second in range(13):
        now_ms = START_MS + second * 1000
        streams = {stream for session, _ in connections for stream in session.streams}
        for other in scene.canary(streams, now_ms, market.price):
            assert told(other) == []
        for order in market.orders(now_ms):
            publication = scene.liquidation(order, now_ms)
            assert publication is not None
            assert publication.kind is Kind.LIQUIDATION
            (event,) = told(publication)
            assert (event.symbol, event.order_side) == (order.instrument.symbol, order.side)
            assert (event.notional is not None) == (order.instrument.quote in DOLLARS | BITCOIN)
            forced += 1
    assert forced > 300
    assert min(ticks.values()) >= 10


def scene_options(name: str) -> Options:
    """A lively market that holds nothing back."""
    return Options(venue=name, rate=40.0, scene="busy", seed=3, throttle=False, hold_ms=0)


@pytest.mark.parametrize("name", VENUES)
def test_a_scene_plays_recorded_frames(name: str) -> None:
    """A frame of a forced order is published as it is; what is none is refused."""
    scene = load_scene(scene_options(name))
    source = source_of(scene_options(name), scene, START_MS, Counts())
    published = source.due(START_MS + 2000, 1, paused=False)
    assert published
    for publication in published:
        again = scene.frame(publication.payload)
        assert again is not None
        assert (again.kind, again.channels, again.payload) == (
            publication.kind, publication.channels, publication.payload,
        )  # fmt: skip
    for noise in (b"", b"{", b"[]", b"\xff", b"null", b"{}"):
        assert scene.frame(noise) is None


@pytest.mark.parametrize("name", VENUES)
def test_a_scene_refuses_nonsense(name: str) -> None:
    """Whatever a client says, a session answers or ends, and says nothing that its venue takes for an event."""
    one, settings = venue(name)
    scene = load_scene(Options(venue=name))
    for endpoint in one.endpoints(settings):
        session, _ = subscribed(scene, endpoint, [])
        for nonsense in (
            b"",
            b"{",
            b"[]",
            b"\xff",
            b"null",
            b"7",
            b"{}",
            b'{"op":7}',
            b'{"event":"x","type":"y"}',
        ):
            for answer in session.receive(nonsense):
                decoded = one.decode(answer, time.time_ns() // 1000, Reference().of(endpoint.market))
                assert isinstance(decoded, Notice), answer
    quiet = scene.session(scene.retired_path)
    assert not isinstance(quiet, str)
    assert not quiet.routed


@pytest.mark.parametrize("name", VENUES)
def test_a_recorder_keeps_to_the_limits_that_a_scene_enforces(name: str) -> None:
    """It speaks in time where silence ends a connection, and opens no more of them than are let in."""
    (one, settings), limits = venue(name), load_scene(Options(venue=name)).limits
    if limits.silence_s is not None:
        for endpoint in one.endpoints(settings):
            assert endpoint.heartbeat is not None
            assert endpoint.heartbeat.every_s < limits.silence_s * 0.8
    if limits.openings is not None:
        most, seconds = limits.openings
        bound = one.openings or (1 + seconds // one.apart_s, seconds)
        assert bound[0] <= most
        assert bound[1] >= seconds
