from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from rekt.config import Section
from rekt.errors import FrameError, RestError
from rekt.model import Instrument
from rekt.venue import Notice, Reference, Tick
from rekt.venues.bitget import VENUE
from tests.venues.samples_bitget import frame, row

NOW_US = 1_791_565_603_100_000


def section(**changes: str) -> Section:
    """The venue's settings: the defaults, but for these."""
    return Section("BITGET", {**{name: key.default for name, key in VENUE.keys.items()}, **changes})


def decode(data: bytes, *known: Instrument) -> Any:
    """What the decoder says of these bytes."""
    return VENUE.decode(data, NOW_US, Reference({one.symbol: one for one in known}))


@pytest.mark.parametrize(("told", "side", "order"), [("buy", "long", "SELL"), ("sell", "short", "BUY")])
def test_the_side_is_the_position_s(told: str, side: str, order: str) -> None:
    """Buy means that a long was liquidated: the forced order sold."""
    (event,) = decode(frame("usdt-futures", row("BTCUSDT", told, "60000", "120")))
    assert (event.side, event.order_side) == (side, order)


def test_the_amount_is_quote_currency() -> None:
    """A value is the amount itself, not amount × price; in the captured event it is a whole number of lots of coins."""
    (event,) = decode(frame("usdt-futures", row("APEUSDT", "buy", "0.1649", "13.70319")))
    assert event.notional == 13_703_190
    assert Decimal("13.70319") / Decimal("0.1649") == Decimal("83.1")


def test_the_market_is_the_frame_s_not_the_name_s() -> None:
    """`instType` tells the market; an ending of the symbol does not."""
    (event,) = decode(frame("usdt-futures", row("ODDUSD_CM", "buy", "2", "10")))
    assert (event.feed.market, event.basis) == ("linear", None)
    (event,) = decode(frame("coin-futures", row("ODDUSDT", "buy", "2", "10")))
    assert (event.feed.market, event.basis) == ("inverse", "inferred")


def test_a_listed_contract_changes_no_value() -> None:
    """The contract has no size to add: what comes later is worth what was told."""
    (event,) = decode(frame("usdt-futures", row("APEUSDT", "buy", "0.1649", "13.70319")))
    listed = Instrument("bitget", "APEUSDT", "linear", "APE", "USDT", None, 0)
    assert VENUE.value(event, listed) == event.notional
    assert VENUE.value(event, listed._replace(market="inverse")) is None


def test_equal_events_of_a_frame_are_two() -> None:
    """They are told apart by their ordinal, and stay the same when told again."""
    text = frame("usdt-futures", row("A", "buy", "2", "7"), row("A", "buy", "2", "7"))
    uids = [event.uid for event in decode(text)]
    assert len(set(uids)) == 2
    assert [event.uid for event in decode(text)] == uids


def test_an_event_may_be_older_than_the_margin_of_others() -> None:
    """In the capture an event came 20.3 s after its trade time: an hour waits longer than that."""
    (event,) = decode(frame("usdt-futures", row("A", "buy", "2", "7", "1777358876867"), told="1777358897167"))
    assert event.event_time is not None
    assert event.event_time - event.trade_time < VENUE.settle_s * 1000


def test_the_canary_tells_bitcoins_price() -> None:
    """The ticker's mark price at the frame's time, quoted or not; of another symbol only the time."""
    text = (
        b'{"action":"snapshot","arg":{"instType":"usdt-futures","topic":"ticker","symbol":"BTCUSDT"},'
        b'"data":[{"markPrice":"60210.50"}],"ts":1791565603000}'
    )
    assert decode(text) == Tick(1_791_565_603_000, "60210.50")
    assert decode(text.replace(b"1791565603000", b'"1791565603000"')) == Tick(1_791_565_603_000, "60210.50")
    assert decode(text.replace(b"BTCUSDT", b"ETHUSDT")) == Tick(1_791_565_603_000, None)
    assert decode(text.replace(b"markPrice", b"other")) == Tick(1_791_565_603_000, None)


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (b"pong", Notice("other", "pong")),
        (
            b'{"event":"subscribe","arg":{"instType":"coin-futures","topic":"liquidation"},"connId":"x"}',
            Notice("ack", about="liquidation coin-futures"),
        ),
        (
            b'{"event":"error","arg":{"instType":"usdt-futures","topic":"x","symbol":"A"},"code":"30001","msg":"no"}',
            Notice("error", "30001: no", about="x usdt-futures A"),
        ),
        (b'{"event":"error","code":30006,"msg":"too many"}', Notice("error", "30006: too many")),
    ],
)
def test_answers_are_notices(text: bytes, notice: Notice) -> None:
    """The text pong, acknowledgements and errors are told for what they are and what they are about."""
    assert decode(text) == notice


GOOD = row("BTCUSDT", "buy", "60000", "120")
BAD = [
    b"", b"ping", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"data":' + b"[" * 100_000, b'{"event":"login"}',
    b'{"arg":{"instType":"usdt-futures","topic":"liquidation"},"data":[]}', frame("usdt-futures"),
    b'{"arg":{"instType":"usdt-futures","topic":"ticker"},"data":[],"ts":1791565603000}',
    b'{"arg":{"instType":"usdt-futures","channel":"liquidation"},"data":[],"ts":1791565603000}',
    frame("spot", GOOD), frame("", GOOD), frame("usdt-futures", GOOD, told="-1"), frame("usdt-futures", GOOD, "{}"),
    frame("usdt-futures", GOOD, told="1e12"), frame("usdt-futures", GOOD.replace("buy", "long")),
    frame("usdt-futures", GOOD.replace("120", "-120")), frame("usdt-futures", GOOD.replace('"120"', "120")),
    frame("usdt-futures", GOOD.replace("120", "1e3")), frame("usdt-futures", GOOD.replace("60000", "")),
    frame("usdt-futures", GOOD.replace("120", "10000000001")), frame("usdt-futures", GOOD.replace("BTCUSDT", "")),
    frame("usdt-futures", row("A", "buy", "1", "1", "yesterday")), frame("usdt-futures", row("A", "buy", "1", "1", "9" * 16)),
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_does_not_fit_is_one_error(data: bytes) -> None:
    """Malformed, out of bounds or not asked for: FrameError, with a reason."""
    with pytest.raises(FrameError) as caught:
        decode(data)
    assert caught.value.message


def test_documents_list_contracts() -> None:
    """Three lists, two markets; what is not online, or does not fit, is left out."""
    usdt, coin, usdc = VENUE.documents(section())
    assert [document.url.rpartition("/")[2] for document in (usdt, coin, usdc)] == [
        "instruments?category=USDT-FUTURES",
        "instruments?category=COIN-FUTURES",
        "instruments?category=USDC-FUTURES",
    ]
    entry = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "online"}
    entries = [entry, entry | {"symbol": "A", "status": "offline"}, entry | {"baseCoin": ""}, {}, 7]
    body = json.dumps({"code": "00000", "msg": "success", "data": entries}).encode()
    for document, market in ((usdt, "linear"), (coin, "inverse"), (usdc, "linear")):
        assert document.url.startswith("https://api.bitget.com/api/v3/market/")
        (found,) = document.parse(body, 5)
        assert found[:6] == ("bitget", "BTCUSDT", market, "BTC", "USDT", None)
        with pytest.raises(RestError):
            document.parse(b'{"code":"40017","data":null}', 0)


def test_what_is_said_after_connecting() -> None:
    """The three kinds without a symbol, the canary with one, and a text ping within the venue's patience of 30 s."""
    (endpoint,) = VENUE.endpoints(section())
    assert endpoint.url == "wss://ws.bitget.com/v3/ws/public"
    (message,) = endpoint.messages
    assert json.loads(message) == {
        "op": "subscribe",
        "args": [
            {"instType": "usdt-futures", "topic": "liquidation"},
            {"instType": "coin-futures", "topic": "liquidation"},
            {"instType": "usdc-futures", "topic": "liquidation"},
            {"instType": "usdt-futures", "topic": "ticker", "symbol": "BTCUSDT"},
        ],
    }
    assert endpoint.heartbeat is not None
    assert endpoint.heartbeat.message == b"ping"
    assert endpoint.heartbeat.every_s < 30


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("wss://ws.bitget.com/v2/ws/public", True),
        ("wss://ws.bitget.com/v3/ws/public", False),
    ],
)
def test_the_version_that_stays_silent_is_warned_about(url: str, warned: bool) -> None:
    """790 subscriptions were accepted on the second version, and nothing came in 22 minutes."""
    assert (VENUE.warning(section(ws_url=url)) is not None) == warned
