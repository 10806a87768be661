"""The venues that subscribe symbol by symbol: their answers, limits and backlogs."""

from __future__ import annotations

import json
from typing import Any

from rekt.simulator import Options
from rekt.simulator.scene import Order, Publication, Scene, Session, load

NOW_MS = 1_795_000_000_123


def begun(name: str) -> tuple[Scene, Session]:
    """A scene and a connection to where it delivers."""
    scene = load(Options(venue=name))
    session = scene.session(scene.ws_path)
    assert not isinstance(session, str)
    return scene, session


def said(session: Session, message: object) -> list[Any]:
    """The answers to a message."""
    return [json.loads(reply) for reply in session.receive(json.dumps(message).encode())]


def forced(scene: Scene, symbol: str, time_ms: int = NOW_MS) -> Publication:
    """A forced sale of two whole units, and a half where quantities have digits."""
    (instrument,) = [i for i in scene.instruments if i.symbol == symbol]
    filled = 5 * 10**instrument.quantity_digits // 2
    order = Order(instrument, "SELL", "FILLED", 990, 1000, filled, filled, filled, time_ms)
    publication = scene.liquidation(order, time_ms + 500)
    assert publication is not None
    return publication


def test_bybit_refuses_a_group_with_a_bad_symbol_whole() -> None:
    """Topics of the other market, unknown ones and the retired stream are refused; the rest of the group with them."""
    _, session = begun("bybit")
    for bad, text in (
        ("allLiquidation.BTCUSD", "Invalid symbol"),
        ("allLiquidation.NOUSDT", "Invalid symbol"),
        ("liquidation.BTCUSDT", "error:handler not found,topic:liquidation.BTCUSDT"),
    ):
        (answer,) = said(session, {"op": "subscribe", "req_id": "7", "args": ["allLiquidation.ETHUSDT", bad]})
        assert (answer["success"], answer["ret_msg"], answer["req_id"]) == (False, text, "7")
    assert not session.streams
    (answer,) = said(session, {"op": "ping"})
    assert answer == {"success": True, "ret_msg": "pong", "conn_id": "x", "req_id": "", "op": "ping"}


def test_bybit_bounds_the_characters_of_a_connection() -> None:
    """All topics together may have 21,000 characters."""
    scene = load(Options(venue="bybit"))
    session = scene.session("/v5/public/retired")
    assert not isinstance(session, str)
    (answer,) = said(session, {"op": "subscribe", "args": [f"tickers.{n:092d}" for n in range(210)]})
    assert answer["success"]
    (answer,) = said(session, {"op": "subscribe", "args": ["tickers.BTCUSDT"]})
    assert not answer["success"]
    said(session, {"op": "unsubscribe", "args": [f"tickers.{0:092d}"]})
    (answer,) = said(session, {"op": "subscribe", "args": ["tickers.BTCUSDT"]})
    assert answer["success"]


def test_bybit_tells_the_position_and_the_bankruptcy_price() -> None:
    """A forced sale is a long, `Buy`, at the order's limit."""
    scene, _ = begun("bybit")
    publication = forced(scene, "ETHUSDT")
    assert json.loads(publication.payload) == {
        "topic": "allLiquidation.ETHUSDT", "type": "snapshot", "ts": NOW_MS + 500,
        "data": [{"T": NOW_MS, "s": "ETHUSDT", "S": "Buy", "v": "2.50", "p": "9.90"}],
    }  # fmt: skip


def test_kraken_begins_with_its_old_trades() -> None:
    """A subscription is answered, then the last trades come, newest first, with the ids they had."""
    scene, session = begun("kraken")
    assert [json.loads(text) for text in session.greeting(NOW_MS)] == [{"event": "info", "version": 1}]
    first, second = forced(scene, "PF_ETHUSD"), forced(scene, "PF_ETHUSD", NOW_MS + 1)
    answer, snapshot = said(session, {"event": "subscribe", "feed": "trade", "product_ids": ["PF_ETHUSD"]})
    assert answer == {"event": "subscribed", "feed": "trade", "product_ids": ["PF_ETHUSD"]}
    assert snapshot["trades"] == [json.loads(second.payload), json.loads(first.payload)]
    assert list(session.encode(first)) == [first.payload]
    said(session, {"event": "unsubscribe", "feed": "trade", "product_ids": ["PF_ETHUSD"]})
    assert list(session.encode(first)) == []


def test_kraken_keeps_a_hundred_trades() -> None:
    """The snapshot is bounded."""
    scene, session = begun("kraken")
    for n in range(130):
        forced(scene, "PI_XBTUSD", NOW_MS + n)
    _, snapshot = said(session, {"event": "subscribe", "feed": "trade", "product_ids": ["PI_XBTUSD"]})
    assert [trade["time"] for trade in snapshot["trades"]] == [NOW_MS + n for n in range(129, 29, -1)]


def test_kraken_refuses_an_unknown_product_alone() -> None:
    """The others of the request are subscribed."""
    _, session = begun("kraken")
    answers = said(session, {"event": "subscribe", "feed": "ticker", "product_ids": ["NO", "PF_XBTUSD"]})
    assert [answer["event"] for answer in answers] == ["error", "subscribed"]
    assert list(session.streams) == ["ticker PF_XBTUSD"]


def test_dydx_takes_32_markets_a_connection() -> None:
    """The next is refused, its text tells the limit; one that is left makes room."""
    scene, session = begun("dydx")
    markets = [i.symbol for i in scene.instruments]
    assert len(markets) > 32
    subscribe = {"type": "subscribe", "channel": "v4_trades"}
    said(session, {"type": "subscribe", "channel": "v4_block_height"})
    for market in markets[:32]:
        (answer,) = said(session, subscribe | {"id": market})
        assert (answer["type"], answer["id"], answer["contents"]) == ("subscribed", market, {"trades": []})
    (answer,) = said(session, subscribe | {"id": markets[32]})
    assert answer["type"] == "error"
    assert "limit=32" in answer["message"]
    (answer,) = said(session, {"type": "unsubscribe", "channel": "v4_trades", "id": markets[0]})
    assert (answer["type"], answer["id"]) == ("unsubscribed", markets[0])
    (answer,) = said(session, subscribe | {"id": markets[32]})
    assert answer["type"] == "subscribed"


def test_dydx_answers_with_a_backlog() -> None:
    """The answer to a subscription holds the last trades, as they were told."""
    scene, session = begun("dydx")
    publication = forced(scene, "BTC-USD")
    (answer,) = said(session, {"type": "subscribe", "channel": "v4_trades", "id": "BTC-USD"})
    (trade,) = answer["contents"]["trades"]
    assert [trade] == json.loads(publication.payload)["contents"]["trades"]
    assert (trade["type"], trade["side"], trade["size"]) == ("LIQUIDATED", "SELL", "2.5000")
    assert trade["createdAt"] == "2026-11-18T11:06:40.123Z"


def test_aster_takes_200_streams() -> None:
    """Its paths are those that Binance retired, and one more stream than allowed is refused."""
    scene = load(Options(venue="aster"))
    streams = "/".join(f"s{n}" for n in range(200))
    for url in (f"/stream?streams={streams}", f"/ws/{streams}"):
        session = scene.session(url)
        assert not isinstance(session, str)
        assert session.routed
        assert len(session.streams) == 200
        assert isinstance(scene.session(url + "/more"), str)
