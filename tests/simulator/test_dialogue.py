from __future__ import annotations

import json
from typing import Any

import pytest

from rekt.simulator import Options
from rekt.simulator.scene import load
from rekt.simulator.scenes import DEFAULT, names
from rekt.simulator.scenes.binance import Binance
from rekt.simulator.subscriptions import Dialogue

NOW_MS = 1_795_000_000_123


def session(path: str, **options: Any) -> Dialogue:
    """A dialogue for a path."""
    made = Binance(Options(**options)).session(path)
    assert isinstance(made, Dialogue)
    return made


def said(dialogue: Dialogue, message: object) -> Any:
    """The one reply to a message."""
    (reply,) = dialogue.receive(message if isinstance(message, bytes) else json.dumps(message).encode())
    return json.loads(reply)


def test_subscribe_list_unsubscribe() -> None:
    """Subscriptions are acknowledged with a null result and the request's id, and listed in order."""
    dialogue = session("/market/ws")
    both = ["!forceOrder@arr", "btcusdt@markPrice@1s"]
    assert said(dialogue, {"method": "SUBSCRIBE", "params": both, "id": 1}) == {"result": None, "id": 1}
    assert said(dialogue, {"method": "LIST_SUBSCRIPTIONS", "id": 2}) == {"result": both, "id": 2}
    assert said(dialogue, {"method": "UNSUBSCRIBE", "params": both[:1], "id": 3}) == {"result": None, "id": 3}
    assert said(dialogue, {"method": "LIST_SUBSCRIPTIONS", "id": 4}) == {"result": both[1:], "id": 4}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", 3),
        (b"\xff", 3),
        ([1], 2),
        ({"method": "SUBSCRIBE", "params": ["x"]}, 2),
        ({"method": "SUBSCRIBE", "params": ["x"], "id": -1}, 2),
        ({"method": "SUBSCRIBE", "params": ["x"], "id": "1"}, 2),
        ({"params": ["x"], "id": 1}, 2),
        ({"method": "subscribe", "params": ["x"], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": "x", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [5], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [str(n) for n in range(1025)], "id": 1}, 2),
        ({"method": "SET_PROPERTY", "params": ["else", True], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}, 1),
    ],
)
def test_errors(message: object, code: int) -> None:
    """A wrong request is answered with a code and a text, in either of the two forms seen."""
    plain = said(session("/market/ws"), message)
    assert plain["code"] == code
    assert plain["msg"]
    nested = said(session("/market/ws", error_form="nested"), message)
    assert nested["error"]["code"] == code


def test_paths() -> None:
    """Only paths under /market are routed; stream names come from the path, the query, or percent-encoded."""
    assert session("/market/stream?streams=a/b").routed
    assert list(session("/market/stream?streams=%21forceOrder%40arr/b").streams) == ["!forceOrder@arr", "b"]
    assert list(session("/market/ws/a/b").streams) == ["a", "b"]
    assert list(session("/market/ws").streams) == []
    for path in ("/ws", "/stream?streams=a", "/ws/!forceOrder@arr", "/public/ws/a", "/", "/market/else"):
        assert not session(path).routed, path
    assert isinstance(Binance(Options()).session("/market/ws/" + "/".join(map(str, range(1025)))), str)


def test_property_combined() -> None:
    """`combined` says whether payloads are wrapped, and can be changed."""
    dialogue = session("/market/ws/!forceOrder@arr")
    payload = b'{"e":"forceOrder","E":1,"o":{"s":"XUSDT"}}'
    publication = Binance(Options()).frame(payload)
    assert publication is not None
    assert said(dialogue, {"method": "GET_PROPERTY", "params": ["combined"], "id": 1})["result"] is False
    assert list(dialogue.encode(publication)) == [payload]
    said(dialogue, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2})
    assert list(dialogue.encode(publication)) == [b'{"stream":"!forceOrder@arr","data":' + payload + b"}"]


def test_documents() -> None:
    """Both instrument documents tell what a reader needs; a symbol can be left out and put back."""
    venue = Binance(Options(unlisted=frozenset({"ETHUSD_PERP"})))

    def symbols(path: str) -> dict[str, Any]:
        body = venue.document(path, NOW_MS)
        assert body is not None
        return {symbol["symbol"]: symbol for symbol in json.loads(body)["symbols"]}

    linear, inverse = symbols("/fapi/v1/exchangeInfo"), symbols("/dapi/v1/exchangeInfo")
    assert linear["ETHBTC"]["quoteAsset"] == "BTC"
    assert linear["BTCUSDT_261225"]["contractType"] == "CURRENT_QUARTER"
    assert linear["币安人生USDT"]["status"] == "TRADING"
    assert inverse["BTCUSD_PERP"]["contractSize"] == 100
    assert inverse["XRPUSD_PERP"]["contractSize"] == 10
    assert not linear.keys() & inverse.keys()
    assert "ETHUSD_PERP" not in inverse
    venue.unlisted.clear()
    assert "ETHUSD_PERP" in symbols("/dapi/v1/exchangeInfo")
    assert venue.document("/fapi/v1/time", NOW_MS) == b'{"serverTime":1795000000123}'
    assert venue.document("/fapi/v1/else", NOW_MS) is None
    assert venue.document("/", NOW_MS) is None


def test_canary_streams() -> None:
    """`@markPrice@1s` ticks each second, `@markPrice` every third; other streams do not."""
    venue = Binance(Options())
    streams = ["btcusdt@markPrice@1s", "ethusdt@markPrice", "nosuch@markPrice@1s", "!forceOrder@arr"]

    def ticks(now_ms: int) -> list[bytes]:
        return [
            tick.payload for tick in venue.canary(streams, now_ms, lambda instrument, _: instrument.price)
        ]

    assert len(ticks(1_562_305_380_000)) == 2
    (tick,) = ticks(1_562_305_381_000)
    assert tick == (
        b'{"e":"markPriceUpdate","E":1562305381000,"s":"BTCUSDT","p":"82000.00000000","i":"82032.80000000",'
        b'"P":"82016.40000000","r":"0.00010000","T":1562313600000}'
    )


def test_scene_by_file_name() -> None:
    """A scene is known by its file's name."""
    assert DEFAULT in names()
    assert load(Options()).ws_path.startswith("/")
