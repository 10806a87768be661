"""Three venues with manners of their own: HTX packs and wants its token back, BitMEX has tables, Bitfinex channel ids."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from typing import Any

import pytest

from rekt.simulator import Options
from rekt.simulator.scene import Order, Publication, Scene, Session, load
from rekt.simulator.scenes.bitfinex import MOST_CHANNELS, Channels
from rekt.simulator.scenes.bitmex import STANDS_MS
from rekt.simulator.scenes.htx import PATIENCE_S, PING_S

NOW_MS = 1_795_000_000_000  # 40 s past a minute


def begun(name: str, path: str | None = None) -> tuple[Scene, Session]:
    """A scene and a connection to it, by default to where it delivers."""
    scene = load(Options(venue=name))
    session = scene.session(path or scene.ws_path)
    assert not isinstance(session, str)
    return scene, session


def read(messages: Iterable[bytes]) -> list[Any]:
    """What a session says, unfolded."""
    return [json.loads(gzip.decompress(one) if one[:2] == b"\x1f\x8b" else one) for one in messages]


def said(session: Session, message: object) -> list[Any]:
    """The answers to a message."""
    return read(session.receive(json.dumps(message).encode()))


def forced(scene: Scene, symbol: str, time_ms: int = NOW_MS) -> Publication:
    """A forced sale of 2.50 units, or of 5 where quantities are whole."""
    (i,) = [i for i in scene.instruments if i.symbol == symbol]
    filled = 25 * 10 ** (i.quantity_digits - 1) if i.quantity_digits else 5
    price = 100 * 10**i.price_digits
    publication = scene.liquidation(
        Order(i, "SELL", "FILLED", price, price, filled, filled, filled, time_ms), time_ms
    )
    assert publication is not None
    return publication


def test_htx_packs_what_it_says_and_keeps_its_markets_apart() -> None:
    """Everything is gzip in binary frames; the form for all contracts is for those of its address."""
    scene, session = begun("htx")
    assert session.binary
    (raw,) = session.receive(b'{"op":"sub","cid":"7","topic":"public.*.liquidation_orders"}')
    assert raw[:2] == b"\x1f\x8b"
    (answer,) = read([raw])
    assert (answer["op"], answer["cid"], answer["err-code"]) == ("sub", "7", 0)
    (again,) = said(session, {"op": "sub", "cid": "8", "topic": "public.*.liquidation_orders"})
    assert again["err-code"] == 2014
    for bad in ("public.BTC-USD.funding_rate", "public.*.funding_rate", "public.BTC-USDT.trade"):
        (refusal,) = said(session, {"op": "sub", "topic": bad})
        assert refusal["err-code"] == 2011, bad
    (told,) = read(session.encode(forced(scene, "ETH-USDT")))
    (event,) = told["data"]
    assert told["topic"] == "public.ETH-USDT.liquidation_orders"
    assert (event["direction"], event["offset"], event["volume"]) == ("sell", "close", 5)
    assert (event["amount"], event["trade_turnover"]) == (0.05, 5.0)
    assert list(session.encode(forced(scene, "BTC-USD"))) == []


def test_htx_wants_its_token_back() -> None:
    """A ping each 5 s; without the very token it closes after 30 s, with it never."""
    _, patient = begun("htx")
    _, forgotten = begun("htx")
    for second in range(1, 60):
        for ping in read(patient.beat(NOW_MS + second * 1000)):
            assert ping["op"] == "ping"
            assert patient.receive(json.dumps({"op": "pong", "ts": ping["ts"]}).encode()) == ()
        forgotten.beat(NOW_MS + second * 1000)
        forgotten.receive(b'{"op":"pong","ts":"7"}')
        assert (forgotten.closing is not None) == (second > PING_S + PATIENCE_S)
    assert patient.closing is None


def test_htx_tells_its_funding_rate_each_minute() -> None:
    """No canary in between, unless the options ask for it."""
    scene, session = begun("htx")
    said(session, {"op": "sub", "topic": "public.BTC-USDT.funding_rate"})
    told = [
        second
        for second in range(130)
        if scene.canary(session.streams, NOW_MS + second * 1000, lambda _, __: 1.0)
    ]
    assert told == [20, 80]
    often = load(Options(venue="htx", canary_period_s=2.0))
    assert [s for s in range(5) if often.canary(session.streams, NOW_MS + s * 1000, lambda _, __: 1.0)] == [
        0, 2, 4,
    ]  # fmt: skip


def test_htx_lists_dated_contracts_when_asked_for_all() -> None:
    """By default its linear list has swaps alone."""
    scene, _ = begun("htx")
    path = "/linear-swap-api/v1/swap_contract_info"
    codes = [
        {one["contract_code"] for one in json.loads(scene.document(asked, NOW_MS) or b"{}")["data"]}
        for asked in (path, path + "?business_type=all")
    ]
    assert codes[1] - codes[0] == {"BTC-USDT-261225"}


def test_bitmex_orders_stand_and_go() -> None:
    """A new connection gets what stands under the ids it had; once filled, it is deleted, and no longer there."""
    scene, session = begun("bitmex")
    (welcome,) = read(session.greeting(NOW_MS))
    assert welcome["limit"]["remaining"] > 0
    assert list(session.encode(forced(scene, "XBTUSD"))) == []  # nobody asked yet
    ack, partial = said(session, {"op": "subscribe", "args": ["liquidation"]})
    assert (ack["success"], ack["subscribe"]) == (True, "liquidation")
    assert partial["action"] == "partial"
    (row,) = partial["data"]
    assert (row["symbol"], row["side"], row["leavesQty"]) == ("XBTUSD", "Sell", 5)
    assert scene.canary(session.streams, NOW_MS + STANDS_MS - 1000, lambda _, __: 1.0) == []
    (gone,) = scene.canary(session.streams, NOW_MS + STANDS_MS, lambda _, __: 1.0)
    (deleted,) = read(session.encode(gone))
    assert (deleted["action"], deleted["data"]) == (
        "delete",
        [{"orderID": row["orderID"], "symbol": "XBTUSD"}],
    )
    _, later = begun("bitmex")
    assert said(later, {"op": "subscribe", "args": ["liquidation"]})[1]["data"] == []


def test_bitmex_answers_each_argument() -> None:
    """A bad one is refused with status 400 and costs the others nothing; its heartbeat is text."""
    _, session = begun("bitmex")
    assert session.receive(b"ping") == [b"pong"]
    answers = said(session, {"op": "subscribe", "args": ["instrument:NONE", "instrument:XBTUSD"]})
    assert [(one.get("status"), one.get("success")) for one in answers] == [
        (400, None), (None, True), (None, None),
    ]  # fmt: skip
    assert set(session.streams) == {"instrument:XBTUSD"}


def test_bitfinex_numbers_the_channels_of_each_connection() -> None:
    """What is published goes out under the connection's own id; a snapshot begins with what was told before."""
    scene, session = begun("bitfinex")
    earlier = forced(scene, "tETHF0:USTF0")
    (ticker,) = said(session, {"event": "subscribe", "channel": "ticker", "symbol": "tBTCUSD"})
    answer, snapshot = said(session, {"event": "subscribe", "channel": "status", "key": "liq:global"})
    assert answer["key"] == "liq:global"
    assert answer["chanId"] != ticker["chanId"]
    first = {row[1]: row for row in json.loads(earlier.payload)[1]}
    number, (again,) = snapshot
    assert number == answer["chanId"]
    assert again[2] > first[again[1]][2]  # the same position, at another time
    (told,) = read(session.encode(forced(scene, "tBTCUSD")))
    number, rows = told
    assert number == answer["chanId"]
    assert len(rows) == 2
    assert rows[0][1] == rows[1][1]  # one position, told twice
    assert {row[8] for row in rows} == {0, 1}
    assert max(abs(row[5]) for row in rows) == 2.5


def test_bitfinex_beats_on_a_silent_channel_only() -> None:
    """Each 15 s, unless something was told there meanwhile; never where it does not deliver."""
    scene, session = begun("bitfinex")
    said(session, {"event": "subscribe", "channel": "status", "key": "liq:global"})

    def beats(now_ms: int) -> list[Any]:
        """The heartbeats of a second."""
        told = [read(session.encode(p)) for p in scene.canary(session.streams, now_ms, lambda _, __: 1.0)]
        return [one for frames in told for one in frames if one[1] == "hb"]

    seconds = [second for second in range(40) if beats(NOW_MS + second * 1000)]
    assert seconds == [5, 20]  # and not at 35: paper trading was told at 27
    for second in range(40, 80):
        session.encode(forced(scene, "tBTCUSD"))
        assert not beats(NOW_MS + second * 1000)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"event": "subscribe", "channel": "status", "key": "liq:none"}, 10300),
        ({"event": "subscribe", "channel": "ticker", "symbol": "tNOUSD"}, 10300),
        ({"event": "subscribe", "channel": "ticker", "symbol": "tBTCUSD"}, 10301),
    ],
)
def test_bitfinex_refuses(request_: dict[str, str], code: int) -> None:
    """An unknown key or symbol, and what is subscribed already."""
    _, session = begun("bitfinex")
    said(session, {"event": "subscribe", "channel": "ticker", "symbol": "tBTCUSD"})
    (answer,) = said(session, request_)
    assert (answer["event"], answer["code"]) == ("error", code)


def test_bitfinex_bounds_the_channels_of_a_connection() -> None:
    """At most 25; leaving one makes room."""
    symbols = [f"t{number:03}USD" for number in range(MOST_CHANNELS + 1)]
    session = Channels(symbols, lambda: b"[0,[]]", routed=True)
    asked = [{"event": "subscribe", "channel": "ticker", "symbol": symbol} for symbol in symbols]
    answers = [said(session, one)[0] for one in asked]
    assert [one["event"] for one in answers] == ["subscribed"] * MOST_CHANNELS + ["error"]
    said(session, {"event": "unsubscribe", "chanId": answers[0]["chanId"]})
    assert said(session, asked[-1])[0]["event"] == "subscribed"
