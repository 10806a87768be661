"""dYdX v4: trades that are no liquidations, the backlog, limits and its list."""

from __future__ import annotations

import asyncio
import json

import pytest

from rekt.errors import FrameError, RestError
from rekt.model import Instrument
from rekt.pipeline.dialogue import Dialogue
from rekt.venue import Notice, Reference, Tick
from rekt.venues.dydx import VENUE
from tests import passing
from tests.contracts.test_venue import NOW_US, settings

TRADE = (
    b'{"id":"t1","side":"SELL","size":"2","price":"100","type":"LIQUIDATED","createdAt":"2026-09-17T13:39:47.542Z",'
    b'"createdAtHeight":"1"}'
)


def frame(kind: bytes, *trades: bytes) -> bytes:
    """A frame of the trades of one market."""
    head = b'{"type":"%b","connection_id":"x","message_id":7,"id":"BTC-USD","channel":"v4_trades","contents":{"trades":['
    return head % kind + b",".join(trades) + b"]}}"


@pytest.mark.parametrize("kind", [b"LIMIT", b"TWAP_SUBORDER", b"DELEVERAGED"])
def test_other_trades_are_no_events(kind: bytes) -> None:
    """Ordinary trades and automatic deleveraging are no liquidations, and no fault."""
    assert VENUE.decode(frame(b"channel_data", TRADE.replace(b"LIQUIDATED", kind)), NOW_US, Reference()) == ()


def test_a_side_is_never_guessed() -> None:
    """A liquidation without its side does not fit."""
    with pytest.raises(FrameError, match="side"):
        VENUE.decode(frame(b"channel_data", TRADE.replace(b'"side":"SELL",', b"")), NOW_US, Reference())


def test_the_backlog_says_what_was_told_already() -> None:
    """The answer to each subscription holds the same ids as the trades did, so the same uids."""
    told = VENUE.decode(frame(b"channel_data", TRADE), NOW_US, Reference())
    again = VENUE.decode(frame(b"subscribed", TRADE), NOW_US + 86_400_000_000, Reference())
    assert isinstance(told, tuple)
    assert isinstance(again, tuple)
    assert [event.uid for event in again] == [event.uid for event in told]
    assert VENUE.decode(frame(b"subscribed"), NOW_US, Reference()) == Notice("ack", about="BTC-USD")


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("2026-09-17T13:39:47.542Z", 1_789_652_387_542),
        ("2026-09-17T13:39:47Z", 1_789_652_387_000),
        ("2026-09-17T15:39:47.542999+02:00", 1_789_652_387_542),
    ],
)
def test_times_are_exact(written: str, ms: int) -> None:
    """Milliseconds without a float's rounding, in UTC."""
    text = TRADE.replace(b"2026-09-17T13:39:47.542Z", written.encode())
    (event,) = VENUE.decode(frame(b"channel_data", text), NOW_US, Reference())  # type: ignore[misc]
    assert event.trade_time == ms


@pytest.mark.parametrize(
    "text",
    [
        TRADE.replace(b"47.542Z", b"47.542"),  # no zone
        TRADE.replace(b'"2026-09-17T13:39:47.542Z"', b"null"),
        TRADE.replace(b"2026", b"2016"),
        TRADE.replace(b'"t1"', b'""'),
        TRADE.replace(b'"2"', b"2"),
        TRADE.replace(b'"2"', b'"2e3"'),
        TRADE.replace(b"SELL", b"sell"),
    ],
)
def test_what_does_not_fit_is_refused(text: bytes) -> None:
    """A trade without a time in a zone, an id, or plain digits is quarantined, not guessed at."""
    with pytest.raises(FrameError):
        VENUE.decode(frame(b"channel_data", text), NOW_US, Reference())


def test_blocks_are_the_canary() -> None:
    """Each block tells the venue's time."""
    block = (
        b'{"type":"channel_data","connection_id":"x","message_id":9,"channel":"v4_block_height",'
        b'"contents":{"blockHeight":"1","time":"2026-09-17T13:39:48.611Z"}}'
    )
    assert VENUE.decode(block, NOW_US, Reference()) == Tick(1_789_652_388_611)


def test_subscriptions_keep_the_limits() -> None:
    """One market a message, 32 a connection, fewer than two messages a second."""
    (endpoint,) = VENUE.endpoints(settings("dydx"))
    assert endpoint.messages == (b'{"type":"subscribe","channel":"v4_block_height"}',)
    assert endpoint.pause_s > 0.5
    topics = endpoint.topics
    assert topics is not None
    assert (topics.per_connection, topics.per_message) == (32, 1)
    assert topics.subscribe(["BTC-USD"], "1") == b'{"type":"subscribe","channel":"v4_trades","id":"BTC-USD"}'
    assert (
        topics.unsubscribe(["BTC-USD"], "2") == b'{"type":"unsubscribe","channel":"v4_trades","id":"BTC-USD"}'
    )
    assert topics.wanted([Instrument("dydx", "BTC-USD", "linear", "BTC", "USD", None, 0)]) == ["BTC-USD"]


def test_the_list_tells_what_is_open() -> None:
    """A market that is paused or does not fit is left out; a base may hold commas and dashes."""
    (document,) = VENUE.documents(settings("dydx"))
    markets = {
        "BTC-USD": {"ticker": "BTC-USD", "status": "ACTIVE", "oraclePrice": "76000"},
        "A,RAYDIUM,X-USD": {"ticker": "A,RAYDIUM,X-USD", "status": "ACTIVE"},
        "OLD-USD": {"ticker": "OLD-USD", "status": "FINAL_SETTLEMENT"},
        "7": 7,
        "NODASH": {"ticker": "NODASH", "status": "ACTIVE"},
    }
    assert document.parse(json.dumps({"markets": markets}).encode(), 5) == [
        Instrument("dydx", "BTC-USD", "linear", "BTC", "USD", None, 5),
        Instrument("dydx", "A,RAYDIUM,X-USD", "linear", "A,RAYDIUM,X", "USD", None, 5),
    ]
    with pytest.raises(RestError):
        document.parse(b'{"markets":[]}', 5)


def test_a_backlog_answers_its_subscription() -> None:
    """A market whose answer holds liquidations is waited for no longer, though it was no notice."""

    async def play() -> None:
        (endpoint,) = VENUE.endpoints(settings("dydx"))
        sent: list[bytes | None] = []
        dialogue = Dialogue("dydx", endpoint._replace(pause_s=0), sent.append, lambda: ["BTC-USD", "ETH-USD"])
        task = asyncio.create_task(dialogue.run())
        await asyncio.sleep(0.01)
        assert len(sent) == 3
        events = VENUE.decode(frame(b"subscribed", TRADE), NOW_US, Reference())
        assert isinstance(events, tuple)
        dialogue.heard(events)
        assert not dialogue.answer(Notice("ack", about="BTC-USD"))
        assert dialogue.answer(Notice("ack", about="ETH-USD"))
        task.cancel()

    passing.run(play())
