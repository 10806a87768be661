from __future__ import annotations

import json
from typing import Any

from rekt.simulator import Options
from rekt.simulator.arguments import Argument, Arguments, Manners
from rekt.simulator.scenes.bitget import Bitget
from rekt.simulator.scenes.okx import Okx

LIQUIDATIONS = {"channel": "liquidation-orders", "instType": "SWAP"}
MARK = {"channel": "mark-price", "instId": "BTC-USDT-SWAP"}
LARGEST = {"instType": "usdt-futures", "topic": "liquidation"}


def okx(path: str = "/ws/v5/public") -> Arguments:
    """A dialogue with OKX."""
    session = Okx(Options(venue="okx")).session(path)
    assert isinstance(session, Arguments)
    return session


def bitget(path: str = "/v3/ws/public") -> Arguments:
    """A dialogue with Bitget."""
    session = Bitget(Options(venue="bitget")).session(path)
    assert isinstance(session, Arguments)
    return session


def said(session: Arguments, *arguments: Argument, op: str = "subscribe") -> list[Any]:
    """The replies to a request."""
    message = json.dumps({"id": "1", "op": op, "args": arguments}).encode()
    return [json.loads(reply) for reply in session.receive(message)]


def test_each_argument_is_acknowledged() -> None:
    """One reply an argument, which repeats it; unsubscribing takes the channel away."""
    session = okx()
    assert said(session, LIQUIDATIONS, MARK) == [
        {"event": "subscribe", "arg": LIQUIDATIONS, "connId": "x"},
        {"event": "subscribe", "arg": MARK, "connId": "x"},
    ]
    assert list(session.streams) == ["liquidation-orders SWAP", "mark-price BTC-USDT-SWAP"]
    assert said(session, MARK, op="unsubscribe")[0]["event"] == "unsubscribe"
    assert list(session.streams) == ["liquidation-orders SWAP"]


def test_an_instrument_beside_a_kind_is_dropped_at_okx_and_refused_at_bitget() -> None:
    """OKX subscribes the whole kind and says so; Bitget answers with an error."""
    (reply,) = said(okx(), LIQUIDATIONS | {"instId": "BTC-USDT-SWAP"})
    assert reply["arg"] == LIQUIDATIONS
    session = bitget()
    (reply,) = said(session, LARGEST | {"symbol": "BTCUSDT"})
    assert (reply["event"], reply["arg"]["symbol"]) == ("error", "BTCUSDT")
    assert not session.streams


def test_what_is_unknown_or_malformed_is_refused() -> None:
    """An unknown channel and a message that is no request are errors, and subscribe nothing."""
    session = okx()
    (reply,) = said(session, {"channel": "liquidations", "instType": "SWAP"}, op="subscribe")
    assert (reply["event"], reply["code"]) == ("error", "60018")
    for message in (b"{", b"\xff", b"7", b'{"op":"login","args":[]}', b'{"op":"subscribe","args":[7]}'):
        (answer,) = session.receive(message)
        assert json.loads(answer)["code"] == "60012"
    assert not session.streams
    assert session.closing is None


def test_silence_is_cut_at_okx_unless_something_was_pushed() -> None:
    """After 30 s without a message OKX closes; a push or a ping begins the 30 s anew."""
    scene = Okx(Options(venue="okx"))
    session = scene.session("/ws/v5/public")
    assert isinstance(session, Arguments)
    said(session, MARK)
    (tick,) = scene.canary(session.streams, 1_795_000_000_000, lambda instrument, _: instrument.price)
    for _ in range(30):
        session.beat(0)
    assert list(session.encode(tick)) == [tick.payload]
    for _ in range(30):
        session.beat(0)
    assert session.receive(b"ping") == [b"pong"]
    for _ in range(30):
        session.beat(0)
    assert session.closing is None
    session.beat(0)
    assert session.closing


def test_only_pings_count_at_bitget() -> None:
    """Bitget closes 30 s after the last text ping, however much it told in between."""
    scene = Bitget(Options(venue="bitget"))
    session = scene.session("/v3/ws/public")
    assert isinstance(session, Arguments)
    said(session, LARGEST | {"topic": "ticker", "symbol": "BTCUSDT"})
    (tick,) = scene.canary(session.streams, 1_795_000_000_000, lambda instrument, _: instrument.price)
    assert session.receive(b"ping") == [b"pong"]
    for _ in range(31):
        assert session.closing is None
        assert list(session.encode(tick)) == [tick.payload]
        session.beat(0)
    assert session.closing


def test_too_many_requests_or_channels_close() -> None:
    """The venue's limits are kept by closing."""
    manners = Manners(patience_s=30, pushes_count=True, requests=2, channels=1, request_bytes=100)
    session = Arguments(lambda asked: asked, b"bad", manners)
    assert session.receive(b'{"op":"subscribe","args":[]}' + b" " * 100) == [b"bad"]
    said(session, {"a": "1"}, {"a": "2"})
    assert session.closing == "too many channels"
    session = Arguments(lambda asked: asked, b"bad", manners)
    for _ in range(2):
        said(session, {"a": "1"})
    assert session.closing is None
    said(session, {"a": "1"})
    assert session.closing == "too many requests"


def test_a_silent_path_acknowledges_everything() -> None:
    """Bitget's second version, and OKX's made-up one, acknowledge and are not routed."""
    for session, argument in (
        (bitget("/v2/ws/public"), {"instType": "USDT-FUTURES", "channel": "x"}),
        (okx("/silent"), MARK),
    ):
        (reply,) = said(session, argument)
        assert reply["event"] == "subscribe"
        assert not session.routed
    assert isinstance(Bitget(Options(venue="bitget")).session("/v1/stream"), str)
    assert isinstance(Okx(Options(venue="okx")).session("/"), str)
