"""HTX: packed frames, its token, offsets and its lists."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest

from rekt.decoding import MAX_INFLATED
from rekt.errors import FrameError, RestError
from rekt.model import Instrument
from rekt.venue import Notice, Reference, Tick
from rekt.venues.htx import VENUE
from tests.contracts.test_venue import NOW_US, settings
from tests.venues.samples_htx import SAMPLES

EVENT = gzip.decompress(SAMPLES[0].frame)


def decode(text: bytes, known: Reference | None = None) -> Any:
    """What a frame says, packed as it comes; of the linear market where nothing else is said."""
    return VENUE.decode(gzip.compress(text), NOW_US, known or Reference().of("linear"))


@pytest.mark.parametrize("token", [b'"1789676355591"', b"1789676355591"])
def test_a_ping_is_answered_with_its_token(token: bytes) -> None:
    """The same token in the same type: text here, a number there."""
    notice = decode(b'{"op":"ping","ts":%b}' % token)
    assert notice == Notice("other", reply=b'{"op":"pong","ts":%b}' % token)


def test_a_token_is_bounded() -> None:
    """A ping can't make us send much, and one without a token is no ping."""
    for text in (b'{"op":"ping","ts":"' + b"7" * 100 + b'"}', b'{"op":"ping"}'):
        with pytest.raises(FrameError, match="token"):
            decode(text)


def test_the_ping_is_no_canary() -> None:
    """It proves the transport alone; the funding rate proves that the connection delivers."""
    assert not isinstance(decode(b'{"op":"ping","ts":"1791565603000"}'), Tick)
    rate = b'{"op":"notify","topic":"public.BTC-USD.funding_rate","ts":1791565603000,"data":[]}'
    assert decode(rate) == Tick(1_791_565_603_000)


def test_numbers_may_be_quoted() -> None:
    """Each number of an event, its time included, in quotes says the same as without."""
    start = EVENT.index(b'"data"')
    quoted = EVENT[:start] + re.sub(rb":([0-9.]+)", rb':"\1"', EVENT[start:])
    assert b'"created_at":"' in quoted
    assert decode(quoted) == decode(EVENT)


@pytest.mark.parametrize("offset", [b"open", b"both"])
def test_another_offset_leaves_the_side_unknown(offset: bytes) -> None:
    """It is refused, so that quarantine keeps and counts it, never guessed."""
    with pytest.raises(FrameError, match="offset"):
        decode(EVENT.replace(b'"close"', b'"%b"' % offset))


def test_frames_unfolded_by_others_say_the_same() -> None:
    """A recording of plain JSON is read too, with the same identity."""
    known = Reference().of("linear")
    assert VENUE.decode(EVENT, NOW_US, known) == decode(EVENT)


def test_packed_frames_are_bounded() -> None:
    """A small frame that unfolds to much, and one that is cut off, are refused."""
    bomb = gzip.compress(b" " * (MAX_INFLATED + 10))
    assert len(bomb) < 10_000
    for data in (bomb, gzip.compress(EVENT)[:-9], b"\x1f\x8b"):
        with pytest.raises(FrameError):
            VENUE.decode(data, NOW_US, Reference().of("linear"))


def test_the_list_tells_the_market_where_the_endpoint_does_not() -> None:
    """Without either the frame is refused: contracts and coins must not be mixed."""
    with pytest.raises(FrameError, match="market"):
        decode(EVENT, Reference())
    listed = Instrument("htx", "ETH-USDT", "linear", "ETH", "USDT", None, 0)
    (event,) = decode(EVENT, Reference({"ETH-USDT": listed}))
    assert (event.feed.market, event.notional) == ("linear", 12_231_300_000)


def test_a_linear_event_without_turnover_is_valued_by_its_coins() -> None:
    """5 ETH at 2446.26, where its contract is listed."""
    bare = EVENT.replace(b'"trade_turnover":12231.3,', b"")
    listed = Instrument("htx", "ETH-USDT", "linear", "ETH", "USDT", None, 0)
    (event,) = decode(bare, Reference({"ETH-USDT": listed}).of("linear"))
    assert event.notional == 12_231_300_000
    (event,) = decode(bare)
    assert event.notional is None


def test_subscriptions_are_as_the_documents_have_them() -> None:
    """A connection a market, the canary before the liquidations, on the same connection."""
    linear, coin = VENUE.endpoints(settings("htx"))
    assert (linear.market, coin.market) == ("linear", "inverse")
    assert linear.messages == (
        b'{"op":"sub","cid":"1","topic":"public.BTC-USDT.funding_rate"}',
        b'{"op":"sub","cid":"2","topic":"public.*.liquidation_orders"}',
    )
    assert b"public.BTC-USD.funding_rate" in coin.messages[0]
    assert linear.url == "wss://api.hbdm.com/linear-swap-notification"
    assert coin.url == "wss://api.hbdm.com/swap-notification"
    assert settings("htx").number("canary_timeout") > 120  # two funding rates


def test_the_lists_tell_sizes() -> None:
    """What does not trade or does not fit is left out; linear quantities are coins already."""
    linear, coin = VENUE.documents(settings("htx"))
    entries: list[object] = [
        {"contract_code": "BTC-USD", "contract_size": 100.0, "contract_status": 1},
        {"contract_code": "ETH-USD", "contract_size": "10", "contract_status": 1},
        {"contract_code": "OLD-USD", "contract_size": 10, "contract_status": 0},
        {"contract_code": "NOSIZE-USD", "contract_size": None, "contract_status": 1},
        {"contract_code": 7}, 5,
    ]  # fmt: skip
    assert coin.parse(json.dumps({"status": "ok", "data": entries}).encode(), 5) == [
        Instrument("htx", "BTC-USD", "inverse", "BTC", "USD", "100.0", 5, "1"),
        Instrument("htx", "ETH-USD", "inverse", "ETH", "USD", "10", 5, "1"),
    ]
    dated = {"contract_code": "BTC-USDT-261225", "contract_size": 0.001, "contract_status": 1}
    assert linear.parse(json.dumps({"status": "ok", "data": [dated]}).encode(), 5) == [
        Instrument("htx", "BTC-USDT-261225", "linear", "BTC", "USDT", None, 5, "0.001"),
    ]
    for body in (b'{"status":"error","err-msg":"no"}', b"<html>"):
        with pytest.raises(RestError):
            coin.parse(body, 5)
