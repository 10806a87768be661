"""Bitfinex: one position is one liquidation, held for some seconds; rows known by their form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rekt import app
from rekt.config import load
from rekt.errors import FrameError, RestError
from rekt.fields import MAX_NUMBER
from rekt.model import Instrument, Window
from rekt.simulator import simulated
from rekt.stores.sqlite import Reader
from rekt.venue import Notice, Reference, Tick
from rekt.venues.bitfinex import HOLD_S, VENUE
from tests.contracts.test_venue import NOW_US, settings
from tests.pipeline.service import Running
from tests.venues.pointed import environ
from tests.waiting import until

ALL = Window(0, 1 << 60)

ETH = "tETHF0:USTF0"
HOLD_US = round(HOLD_S * 1e6)


def row(
    amount: str, price: str = "null", *, key: int = 7, time: int | str = 1_791_565_602_120, symbol: str = ETH
) -> bytes:
    """A frame of one row of a position."""
    return f'[907,[["pos",{key},{time},null,"{symbol}",{amount},2222.2,null,1,1,null,{price}]]]'.encode()


def test_a_position_is_told_once_after_a_few_seconds() -> None:
    """Held, not told, by `decode`; then once, by whichever connection it came, and nothing is left behind."""
    known = Reference()
    assert VENUE.decode(row("-8.6"), NOW_US, known) == Notice("other")
    assert VENUE.decode(row("-8.6"), NOW_US + 10, known) == Notice("other")  # the other connection's
    assert VENUE.due(NOW_US + HOLD_US - 1, known) == ()
    (event,) = VENUE.due(NOW_US + HOLD_US, known)
    assert (event.filled_quantity, event.received_us) == ("8.6", NOW_US)
    assert VENUE.due(1 << 62, known) == ()


def test_a_time_of_any_length_is_refused() -> None:
    """Thousands of digits, more than Python writes out of a number, are a frame that does not fit, not a fault."""
    with pytest.raises(FrameError, match="out of bounds"):
        VENUE.decode(row("-8.6", time=f"1{'0' * 5000}"), NOW_US, Reference())


def test_what_comes_meanwhile_is_joined_in_any_order() -> None:
    """The largest amount, the first price, the earliest time, whichever frame comes first."""
    frames = [row("-8.60"), row("-4.5", "2340.5", time=1_791_565_602_900), row("0", "2341")]
    for order in (frames, [frames[1], frames[0], frames[2]]):
        known = Reference()
        for number, frame in enumerate(order):
            VENUE.decode(frame, NOW_US + number, known)
        (event,) = VENUE.due(1 << 62, known)
        assert (event.order_side, event.filled_quantity, event.average_price, event.trade_time) == (
            "BUY", "8.60", "2340.5", 1_791_565_602_120,
        )  # fmt: skip
        assert event.notional == 20_128_300_000  # 8.6 × 2340.5 USDT


def test_a_later_telling_has_the_same_identity_and_no_time_of_its_own() -> None:
    """A snapshot tells a position again with another time and price: the ledger keeps the first one."""
    known = Reference()
    VENUE.decode(row("-8.6", "2340"), NOW_US, known)
    (first,) = VENUE.due(1 << 62, known)
    VENUE.decode(row("-2", "2350", time=1_791_565_659_000), NOW_US + 60_000_000, known)
    (again,) = VENUE.due(1 << 62, known)
    assert first.uid == again.uid
    assert first.event_time is again.event_time is None


def test_a_clock_set_back_does_not_hold_for_ever() -> None:
    """An hour back by our clock is long enough too."""
    known = Reference()
    VENUE.decode(row("1", "2"), NOW_US, known)
    assert len(VENUE.due(NOW_US - 3_600_000_000, known)) == 1


def test_one_bad_row_holds_nothing_of_its_frame() -> None:
    """The frame goes to quarantine whole, so that replaying it adds what it says."""
    known = Reference()
    good = row("1", "2")[6:-2]
    for bad in (
        b'["pos",8]',
        b'["x",8,1,2,3,4,5,6,7,8,9,10]',
        good.replace(b'"pos",7,1791', b'"pos",8,9791'),
    ):
        with pytest.raises(FrameError):
            VENUE.decode(b"[907,[" + good + b"," + bad + b"]]", NOW_US, known)
        assert not known.held


def test_joining_never_makes_an_event_that_would_not_fit() -> None:
    """An amount and a price that are worth too much together are refused with the frame that brings the second."""
    known = Reference()
    VENUE.decode(row(str(MAX_NUMBER)), NOW_US, known)
    with pytest.raises(FrameError, match="notional"):
        VENUE.decode(row("1", "99999"), NOW_US, known)
    (event,) = VENUE.due(1 << 62, known)
    assert event.notional is None


def test_a_position_has_one_symbol() -> None:
    """The same id under another symbol is refused."""
    known = Reference()
    VENUE.decode(row("1"), NOW_US, known)
    with pytest.raises(FrameError, match="two symbols"):
        VENUE.decode(row("1", symbol="tBTCUSD"), NOW_US, known)


def test_channels_are_known_by_their_form() -> None:
    """Channel ids are the connection's own: any will do; the ticker tells the last price, at our time."""
    ticker = b"[%d,[82000,1.5,82001,2.5,-100,-0.0012,82000.50,1234.5,83000,81000]]"
    for channel in (1, 91684):
        assert VENUE.decode(ticker % channel, NOW_US, Reference()) == Tick(NOW_US // 1000, "82000.50")
        assert VENUE.decode(b'[%d,"hb"]' % channel, NOW_US, Reference()) == Tick(NOW_US // 1000)
    for other in (b"[1,[82000,1.5]]", b"[1,7]", b"[1]", b'["x",[]]', b"[1,[null]]"):
        with pytest.raises(FrameError):
            VENUE.decode(other, NOW_US, Reference())


def test_subscriptions_are_as_the_documents_have_them() -> None:
    """The ticker, then the liquidations, on one connection; the hold is part of what an hour waits for."""
    (endpoint,) = VENUE.endpoints(settings("bitfinex"))
    assert endpoint.messages == (
        b'{"event":"subscribe","channel":"ticker","symbol":"tBTCUSD"}',
        b'{"event":"subscribe","channel":"status","key":"liq:global"}',
    )
    assert VENUE.settle_s > HOLD_S
    assert settings("bitfinex").number("canary_timeout") > 30  # two heartbeats


def test_the_lists_tell_the_pairs() -> None:
    """Both lists in one answer; paper trading and names that can't be taken apart are left out."""
    (document,) = VENUE.documents(settings("bitfinex"))
    names = [["BTCF0:USTF0", "TESTBTCF0:TESTUSDTF0", "BTCEUTX"], ["BSVUSD", "DOGE:USD", 7, "BSVUSD"]]
    assert document.parse(json.dumps(names).encode(), 5) == [
        Instrument("bitfinex", "tBTCF0:USTF0", "linear", "BTC", "USDT", None, 5),
        Instrument("bitfinex", "tBSVUSD", "linear", "BSV", "USD", None, 5),
        Instrument("bitfinex", "tDOGE:USD", "linear", "DOGE", "USD", None, 5),
    ]
    with pytest.raises(RestError):
        document.parse(b'["error",10020,"pair: invalid"]', 5)


def test_what_is_held_back_is_not_claimed_yet(tmp_path: Path) -> None:
    """While positions wait to be told, the seconds in which they came are not said to be recorded; at the end they are."""

    def claimed_ms() -> int:
        """The last canary that the ledger knows less the end of what it claims."""
        with Reader(tmp_path / "l.db") as ledger:
            last_us = max(one.last_canary_us or 0 for one in ledger.connections(None))
            return last_us // 1000 - max((one.end_ms for one in ledger.alive(ALL)), default=0)

    with simulated(venue="bitfinex", scene="none", rate=20.0, hold_ms=0, canary_period_s=1.0) as exchange:
        given = {"REKT_VENUES_ENABLED": "bitfinex", "REKT_DATABASE_PATH": str(tmp_path / "l.db")}
        given |= environ("bitfinex", exchange.ws_url, exchange.rest_url, connections=1)
        running = Running(load(None, given, extra=app.keys(), launcher_root=None, cwd=None))
        try:
            assert until(lambda: len(running.new) > 100, 40)
            assert HOLD_S * 1000 <= claimed_ms() <= HOLD_S * 1000 + 3_000
        finally:
            running.stop()
        assert claimed_ms() <= 0
