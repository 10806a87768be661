"""What every venue keeps to; a venue brings its samples in tests/venues/samples_NAME.py."""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt import registry
from rekt.config import Section
from rekt.errors import FrameError, RestError
from rekt.fields import is_decimal
from rekt.model import Instrument, Liquidation, Market
from rekt.venue import Notice, Reference, Tick, Venue

VENUES = registry.names("rekt.venues")
NOW_US = 1_791_565_603_100_000
GZIP = b"\x1f\x8b"


class Sample(NamedTuple):
    """A frame and what it says: fields of the events, or None for a canary, or the kind of a notice."""

    frame: bytes
    says: list[dict[str, Any]] | str | None
    instruments: tuple[Instrument, ...] = ()
    market: Market | None = None  # of the endpoint, where the frame does not tell it


def venue(name: str) -> Venue:
    """The venue of this name."""
    found: Venue = registry.load("rekt.venues", name).VENUE
    return found


def samples(name: str) -> list[Sample]:
    """A venue's samples: each venue has some of events and its canary."""
    found: list[Sample] = importlib.import_module(f"tests.venues.samples_{name}").SAMPLES
    assert any(isinstance(sample.says, list) for sample in found)
    assert any(sample.says is None for sample in found)
    return found


def settings(name: str) -> Section:
    """The venue's own defaults."""
    return Section(name.upper(), {key: spec.default for key, spec in venue(name).keys.items()})


def decode(name: str, sample: Sample) -> Any:
    """What the venue says of a sample."""
    return told(name, sample.frame, NOW_US, reference(sample))


def told(name: str, frame: bytes, now_us: int, known: Reference) -> Any:
    """What a frame says, at once or (where the venue holds events for some seconds) a little later."""
    decoded = venue(name).decode(frame, now_us, known)
    return venue(name).due(1 << 62, known) or decoded


def reference(sample: Sample) -> Reference:
    """What decoding a sample needs to know."""
    return Reference({instrument.symbol: instrument for instrument in sample.instruments}).of(sample.market)


@pytest.mark.parametrize("name", VENUES)
def test_it_says_what_it_is(name: str) -> None:
    """A venue is named as its file, connects over TLS, and bounds its canary, settling and life."""
    one = venue(name)
    assert one.name == name
    assert all(endpoint.url.startswith("wss://") for endpoint in one.endpoints(settings(name)))
    assert all(document.url.startswith("https://") for document in one.documents(settings(name)))
    assert one.warning(settings(name)) is None
    assert one.feeds
    assert one.canary
    assert one.limits
    assert 0 < one.settle_s < 120
    assert settings(name).number("canary_timeout") > 0
    assert one.life_s > 60


@pytest.mark.parametrize("name", VENUES)
def test_samples_say_what_they_say(name: str) -> None:
    """Each sample decodes to the expected fields, to a canary tick, or to a notice of its kind."""
    for sample in samples(name):
        decoded = decode(name, sample)
        if sample.says is None:
            assert isinstance(decoded, Tick), sample.frame
        elif isinstance(sample.says, str):
            assert isinstance(decoded, Notice), sample.frame
            assert decoded.kind == sample.says
        else:
            assert [
                {field: getattr(event, field) for field in expected}
                for event, expected in zip(decoded, sample.says, strict=True)
            ] == sample.says


@pytest.mark.parametrize("name", VENUES)
def test_events_are_whole(name: str) -> None:
    """Every event has the venue's name, digits that are plain decimals, times in ms, and a value or a reason."""
    for sample in samples(name):
        decoded = decode(name, sample)
        for event in decoded if isinstance(decoded, tuple) else ():
            assert isinstance(event, Liquidation)
            assert event.feed in venue(name).feeds
            assert event.feed.venue == name
            assert event.feed.market in ("linear", "inverse")
            assert event.feed.price_kind in ("average_fill", "order", "bankruptcy", "mark", "trade")
            assert event.order_side in ("SELL", "BUY")
            assert len(event.uid) == 16
            assert event.received_us == NOW_US
            digits = (event.price, event.average_price, event.quantity, event.filled_quantity)
            assert all(is_decimal(text) for text in digits if text is not None)
            assert event.notional is None or event.notional >= 0


@pytest.mark.parametrize("name", VENUES)
def test_decoding_is_pure(name: str) -> None:
    """The same bytes say the same, and their identity does not depend on when they came."""
    for sample in samples(name):
        first, again = decode(name, sample), decode(name, sample)
        assert first == again
        later = told(name, sample.frame, NOW_US + 1_000_000, reference(sample))
        if isinstance(first, tuple) and isinstance(later, tuple):
            assert [event.uid for event in first] == [event.uid for event in later]


@pytest.mark.parametrize("name", VENUES)
def test_an_unknown_instrument_is_settled_later(name: str) -> None:
    """An event whose instrument is unknown has no value or an inferred one; known, it gets the sample's."""
    for sample in samples(name):
        if not isinstance(sample.says, list) or not sample.instruments:
            continue
        known = {instrument.symbol: instrument for instrument in sample.instruments}
        bare = told(name, sample.frame, NOW_US, Reference().of(sample.market))
        full = told(name, sample.frame, NOW_US, Reference(known).of(sample.market))
        assert type(bare) is tuple
        assert type(full) is tuple
        for before, after in zip(bare, full, strict=True):
            assert before.uid == after.uid
            if before.notional is None and after.basis is None:
                assert venue(name).value(before, known[before.symbol]) == after.notional


@pytest.mark.parametrize("name", VENUES)
@given(data=st.data())
def test_hostile_frames_raise_the_one_error(name: str, data: st.DataObject) -> None:
    """A sample with any part replaced or cut decodes or raises FrameError, and nothing else; a packed one inside too."""
    frame = data.draw(st.sampled_from(samples(name))).frame
    pack: Callable[[bytes], bytes] = bytes
    if frame.startswith(GZIP) and data.draw(st.booleans()):
        frame, pack = gzip.decompress(frame), gzip.compress
    start = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(start, min(start + 40, len(frame))))
    middle = data.draw(
        st.binary(max_size=12) | st.sampled_from([b"null", b"1e999", b'"x"', b"[]", b"{}", b"-1", b'""'])
    )
    try:
        decoded = told(name, pack(frame[:start] + middle + frame[end:]), NOW_US, Reference())
    except FrameError:
        return
    assert isinstance(decoded, (tuple, Tick, Notice))


@pytest.mark.parametrize("name", VENUES)
@given(
    body=st.binary(max_size=200)
    | st.sampled_from([b"{}", b"[]", b"null", b'{"symbols":7}', b'{"symbols":[null]}'])
)
def test_hostile_documents_raise_the_one_error(name: str, body: bytes) -> None:
    """A document that is not the venue's gives what fits, or RestError."""
    for document in venue(name).documents(settings(name)):
        try:
            found = document.parse(body, NOW_US)
        except RestError:
            continue
        assert all(isinstance(instrument, Instrument) for instrument in found)


def test_samples_are_frames() -> None:
    """Samples are written as the venue sends them: JSON text, packed where it packs it."""
    for name in VENUES:
        for sample in samples(name):
            packed = sample.frame.startswith(GZIP)
            json.loads(gzip.decompress(sample.frame) if packed else sample.frame)
