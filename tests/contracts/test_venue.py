"""What every venue keeps to; a venue brings its samples in tests/venues/samples_NAME.py."""

from __future__ import annotations

import gzip
import importlib
import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt import registry
from rekt.config import Section
from rekt.errors import FrameError, RestError
from rekt.fields import DAY, MAX_NOTIONAL, MIN_TIME, is_decimal
from rekt.model import Instrument, Liquidation, Market
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger, Reader
from rekt.venue import Notice, Reference, Tick, Venue

VENUES = registry.names("rekt.venues")
NOW_US = 1_791_565_603_100_000
HOSTILE = [
    b"null",
    b"1e999",
    b'"x"',
    b"[]",
    b"{}",
    b"-1",
    b'""',
    b"\xff\xfe",
    b"NaN",
    b"[" * 2000,
    b"9" * 60,
    b"1e-99",
]
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


BITCOIN_USD = "82000.5"
QUOTE_AMOUNTS = {"bitget"}  # whose quantities are the value itself, in the quote


def worth(event: Liquidation, instrument: Instrument) -> int:
    """Micro-dollars of an event by the formula of the venues' page, in fractions: nothing of the program's own."""
    value = Fraction(event.filled_quantity or "")
    if event.feed.venue not in QUOTE_AMOUNTS:
        value *= Fraction(instrument.contract_size or 1)
        if event.feed.market == "linear":
            value *= Fraction(event.average_price or event.price or "")
    if instrument.quote in ("BTC", "XBT"):
        value *= Fraction(BITCOIN_USD)
    return round(value * 1_000_000)


def priced(sample: Sample) -> Reference:
    """What decoding a sample needs to know, bitcoin's price included."""
    known = reference(sample)
    known.tick(Tick(MIN_TIME, BITCOIN_USD))
    return known


@pytest.mark.parametrize("name", VENUES)
def test_values_are_those_of_the_formula(name: str) -> None:
    """Each event of a listed contract is worth what the formula says, to the micro-dollar."""
    valued = set()
    for sample in samples(name):
        listed = {instrument.symbol: instrument for instrument in sample.instruments}
        events = told(name, sample.frame, NOW_US, priced(sample))
        for event in events if isinstance(events, tuple) else ():
            if event.notional is not None and event.symbol in listed:
                assert event.notional == worth(event, listed[event.symbol]), sample.frame
                valued.add(event.feed)
    assert valued == set(venue(name).feeds)


def number(text: str) -> re.Pattern[bytes]:
    """This number in a frame, quoted or bare, with a sign or not."""
    return re.compile(rb"(?<![0-9.])" + re.escape(text.encode()) + rb"(?![0-9.eE])")


def rewritten(name: str) -> list[tuple[Sample, str, str]]:
    """Samples whose events share a quantity and a price that can be exchanged in the frame: with these two."""
    found = []
    for sample in samples(name):
        events = told(name, sample.frame, NOW_US, priced(sample))
        if not isinstance(events, tuple) or not sample.instruments or not all(e.notional for e in events):
            continue
        numbers = {(e.quantity, e.filled_quantity, e.average_price or e.price) for e in events}
        if len(numbers) == 1:
            ((quantity, filled, price),) = numbers
            text = unpacked(sample.frame)
            rows = text.count(b'"pos"')  # several may tell one event: then no number stands for it alone
            if (
                rows <= 1
                and quantity == filled
                and all(n and number(n).search(text) for n in (quantity, price))
            ):
                found.append((sample, str(quantity), str(price)))
    return found


@pytest.mark.parametrize("name", VENUES)
def test_samples_have_numbers_to_exchange(name: str) -> None:
    """The test below has a frame of every market of the venue."""
    feeds = set()
    for sample, _, _ in rewritten(name):
        feeds |= {event.feed for event in told(name, sample.frame, NOW_US, priced(sample))}
    assert feeds == set(venue(name).feeds)


def unpacked(frame: bytes) -> bytes:
    """A frame's text."""
    return gzip.decompress(frame) if frame.startswith(GZIP) else frame


OWN_VALUE = re.compile(
    rb',"trade_turnover":"?[0-9.]+"?'
)  # a value that a venue tells itself: then nothing is computed
DIGITS = st.builds(
    lambda whole, part: f"{whole}.{part}" if part else f"{whole}",
    st.integers(1, 10**6),
    st.text("0123456789", max_size=9),
)


@pytest.mark.parametrize("name", VENUES)
@given(data=st.data())
def test_any_numbers_are_valued_exactly(name: str, data: st.DataObject) -> None:
    """Whatever price and quantity a frame has, its value is the formula's, rounded once; above the bound it is refused."""
    sample, quantity, price = data.draw(st.sampled_from(rewritten(name)))
    new_quantity, new_price = data.draw(DIGITS), data.draw(DIGITS)
    text = number(quantity).sub(b"QUANTITY", OWN_VALUE.sub(b"", unpacked(sample.frame)))
    text = number(price).sub(new_price.encode(), text).replace(b"QUANTITY", new_quantity.encode())
    frame = gzip.compress(text) if sample.frame.startswith(GZIP) else text
    listed = {instrument.symbol: instrument for instrument in sample.instruments}
    (old, *_) = told(name, sample.frame, NOW_US, priced(sample))
    expected = worth(_with(old, new_quantity, new_price), listed[old.symbol])
    if expected > MAX_NOTIONAL:
        with pytest.raises(FrameError, match="bounds"):
            told(name, frame, NOW_US, priced(sample))
        return
    for event in told(name, frame, NOW_US, priced(sample)):
        assert (event.quantity, event.filled_quantity) == (new_quantity, new_quantity)
        assert (event.average_price or event.price) == new_price
        assert event.notional == expected


def _with(event: Liquidation, quantity: str, price: str) -> Liquidation:
    """The event with another quantity and price."""
    if event.average_price is not None:
        return event._replace(filled_quantity=quantity, average_price=price)
    return event._replace(filled_quantity=quantity, price=price)


@pytest.mark.parametrize("name", VENUES)
def test_what_is_told_again_is_nothing_new(name: str, tmp_path: Path) -> None:
    """After a restart a day later the same frames, in another order, add no row and change none."""
    frames = [sample for sample in samples(name) if isinstance(sample.says, list) and sample.says]
    first = [told(name, sample.frame, NOW_US, reference(sample)) for sample in frames]
    later_us = NOW_US + 86_400_000_000
    again = [told(name, sample.frame, later_us, reference(sample)) for sample in reversed(frames)]
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    try:
        ledger.begin(Run("r1", NOW_US, None, "run", "0", 1))
        ledger.append(Batch("r1", frames=first))
    finally:
        ledger.close()
    with Reader(path) as reader:
        rows = list(reader.liquidations())
    assert {row.uid for row in rows} == {event.uid for events in first for event in events}
    assert len({row.uid for row in rows}) == len(rows)
    ledger = Ledger(path)
    try:
        ledger.begin(Run("r2", later_us, None, "run", "0", 1))
        appended = ledger.append(Batch("r2", frames=again))
    finally:
        ledger.close()
    assert list(appended.new) == []
    with Reader(path) as reader:
        assert list(reader.liquidations()) == rows
        assert reader.verify() == []


@pytest.mark.parametrize("name", VENUES)
@given(data=st.data())
def test_hostile_frames_raise_the_one_error(name: str, data: st.DataObject) -> None:
    """A sample with any part replaced or cut decodes or raises FrameError, and nothing else; a packed one inside too."""
    sample = data.draw(st.sampled_from(samples(name)))
    frame = sample.frame
    pack: Callable[[bytes], bytes] = bytes
    if frame.startswith(GZIP) and data.draw(st.booleans()):
        frame, pack = gzip.decompress(frame), gzip.compress
    start = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(start, min(start + 40, len(frame))))
    middle = data.draw(st.binary(max_size=12) | st.sampled_from(HOSTILE))
    known = data.draw(st.sampled_from([Reference(), reference(sample)]))
    try:
        decoded = told(name, pack(frame[:start] + middle + frame[end:]), NOW_US, known)
    except FrameError:
        return
    within_bounds(decoded)


def within_bounds(decoded: object) -> None:
    """What was decoded has no number, time or text beyond the bounds."""
    assert isinstance(decoded, (tuple, Tick, Notice))
    if isinstance(decoded, Notice):
        assert len(decoded.text) <= 1000
        assert len(decoded.reply or b"") <= 1000
    elif isinstance(decoded, Tick):
        assert decoded.price is None or is_decimal(decoded.price)
        assert decoded.venue_ms is None or MIN_TIME <= decoded.venue_ms <= NOW_US // 1000 + DAY
    else:
        for event in decoded:
            numbers = (event.price, event.average_price, event.quantity, event.filled_quantity)
            assert all(is_decimal(text) for text in numbers if text is not None)
            assert event.notional is None or 0 <= event.notional <= MAX_NOTIONAL
            assert 0 < len(event.symbol) <= 64
            for time in (event.trade_time, event.event_time):
                assert time is None or MIN_TIME <= time <= NOW_US // 1000 + DAY


TIMES = re.compile(rb"(?<![0-9.])1[0-9]{9}(?:[0-9]{3})?(?![0-9])")
NUMBERS = re.compile(rb"(?<![0-9A-Za-z_.])-?[0-9]+(?:\.[0-9]+)?(?![0-9A-Za-z_])")


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize(
    "wrong", [b"0", b"-1", b"99999999999999", b"1e400", b"1e15", b"9" * 60, b"null", b"NaN"]
)
def test_wrong_numbers_raise_the_one_error(name: str, wrong: bytes) -> None:
    """Each number of each sample replaced by what is none, or out of bounds: refused, or within the bounds all the same."""
    for sample in samples(name):
        text = unpacked(sample.frame)
        for pattern in (TIMES, NUMBERS):
            for place in pattern.finditer(text):
                frame = text[: place.start()] + wrong + text[place.end() :]
                frame = gzip.compress(frame) if sample.frame.startswith(GZIP) else frame
                try:
                    decoded = told(name, frame, NOW_US, reference(sample))
                except FrameError:
                    continue
                within_bounds(decoded)


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
