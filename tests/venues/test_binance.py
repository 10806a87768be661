from __future__ import annotations

import hashlib
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.config import Section
from rekt.errors import FrameError, RestError
from rekt.fields import uid_text
from rekt.model import Instrument, Liquidation
from rekt.venue import Notice, Reference, Tick
from rekt.venues.binance import VENUE

NOW_US = 1_791_565_603_100_000
FRAMES = Path(os.environ.get("FRAMES_DIR") or Path(__file__).parents[3] / "shared" / "frames")


def order(**changes: Any) -> dict[str, Any]:
    """A forced order as it stands in a frame, written by hand after the facts."""
    plain = {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.250", "p": "60000.00", "ap": "60210.50",
        "X": "FILLED", "l": "0.100", "z": "0.250", "T": 1_791_565_602_120, "ps": "BTCUSDT", "st": 1,
    }  # fmt: skip
    return {key: value for key, value in {**plain, **changes}.items() if value is not None}


def frame(*, wrapped: bool = False, top: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A whole frame around such an order."""
    payload = {"e": "forceOrder", "E": 1_791_565_603_055, "o": order(**changes), **(top or {})}
    value = {"stream": "!forceOrder@arr", "data": payload} if wrapped else payload
    return json.dumps(value, ensure_ascii=False).encode()


def decode(data: bytes, reference: Reference | None = None) -> Any:
    """What the decoder says of these bytes."""
    return VENUE.decode(data, NOW_US, reference or Reference())


def one(data: bytes, reference: Reference | None = None) -> Liquidation:
    """The one event of a frame."""
    decoded = decode(data, reference)
    assert type(decoded) is tuple
    (event,) = decoded
    assert isinstance(event, Liquidation)
    return event


def instrument(
    symbol: str, market: Any = "linear", quote: str = "USDT", size: str | None = None
) -> Instrument:
    """A contract, known only by what matters here."""
    return Instrument("binance", symbol, market, symbol[:3], quote, size, 0)


def knowing(*instruments: Instrument) -> Reference:
    """What is known besides the frame."""
    return Reference({known.symbol: known for known in instruments})


def test_fields_of_a_linear_order() -> None:
    """Every field is the venue's own: the fill's price and quantity, the order's side, both times."""
    event = one(frame(), knowing(instrument("BTCUSDT")))
    assert event.feed == ("binance", "linear", "average_fill", "largest_per_symbol_second")
    assert (event.symbol, event.side, event.order_side, event.status) == ("BTCUSDT", "long", "SELL", "FILLED")
    assert (event.price, event.average_price) == ("60000.00", "60210.50")
    assert (event.quantity, event.filled_quantity) == ("0.250", "0.250")
    assert (event.trade_time, event.event_time) == (1_791_565_602_120, 1_791_565_603_055)
    assert event.received_us == NOW_US
    assert event.notional == 15_052_625_000
    assert event.basis is None


def test_a_forced_buy_closes_a_short() -> None:
    """The order's side is the opposite of the position's."""
    assert one(frame(S="BUY")).side == "short"


def test_value_is_what_was_filled_at_the_average_price() -> None:
    """The value is z × ap, not the original's q × p."""
    assert one(frame(q="2", z="0.5", ap="100", p="90", X="PARTIALLY_FILLED")).notional == 50_000_000


@pytest.mark.parametrize("wrapped", [False, True])
def test_raw_and_wrapped_frames_are_the_same_event(wrapped: bool) -> None:
    """How the frame is wrapped changes nothing about the event."""
    assert one(frame(wrapped=wrapped)) == one(frame())


def test_an_array_of_events_is_read() -> None:
    """The stream's name promises an array: one would be read, equal events told apart by their ordinal."""
    same = frame()
    events = decode(b"[" + same + b"," + same + b"," + frame(S="BUY") + b"]")
    assert [event.side for event in events] == ["long", "long", "short"]
    assert len({event.uid for event in events}) == 3
    assert events[0].uid == one(same).uid


@pytest.mark.parametrize(
    ("changes", "top", "market"),
    [
        ({"st": 1}, {}, "linear"),
        ({"st": 2}, {}, "inverse"),
        ({"st": None}, {"st": 2}, "inverse"),
        ({"st": None}, {"st": 1}, "linear"),
        ({"st": None, "ps": None}, {}, "linear"),
        ({"st": None, "s": "BTCUSD_PERP"}, {}, "inverse"),
        ({"st": None, "s": "BTCUSDT_260925"}, {}, "linear"),
    ],
)
def test_market_of_an_order(changes: dict[str, Any], top: dict[str, Any], market: str) -> None:
    """`o.st` tells the market, then `st` on top, then the documents; an underscore in the name tells nothing."""
    assert one(frame(top=top, **changes)).feed.market == market


def test_the_documents_tell_the_market_where_the_frame_does_not() -> None:
    """Without `st` the exchangeInfo that lists the symbol decides."""
    known = knowing(instrument("BTCUSDT", "inverse", "USD", "100"))
    assert one(frame(st=None), known).feed.market == "inverse"


def test_an_inverse_order_counts_contracts() -> None:
    """An inverse order is worth its contracts times their size; its price plays no part."""
    known = knowing(instrument("BTCUSD_PERP", "inverse", "USD", "100"))
    event = one(frame(s="BTCUSD_PERP", ps="BTCUSD", st=2, q="23", z="23", ap="60000.1", p="59000"), known)
    assert (event.notional, event.filled_quantity) == (2_300_000_000, "23")


def test_an_unknown_size_is_not_guessed_and_settled_later() -> None:
    """While the size is unknown the notional is; once it is known, the same event gets it."""
    event = one(frame(s="ETHUSD_PERP", st=2, z="7"))
    assert event.notional is None
    assert VENUE.value(event, instrument("ETHUSD_PERP", "inverse", "USD", "10")) == 70_000_000
    assert VENUE.value(event, instrument("ETHUSD_PERP", "linear", "USDT")) is None


@pytest.mark.parametrize(
    "symbol", ["ETHUSDC", "币安人生USDT", "1000PEPEUSDT", "4USDT", "ETHUSDT_260925", "AAPLUSDT"]
)
def test_a_symbol_in_no_document_is_valued_by_its_suffix(symbol: str) -> None:
    """A dollar suffix is enough for a value, and the row says that it was inferred."""
    event = one(frame(s=symbol, z="3", ap="2.5"))
    assert (event.symbol, event.notional, event.basis) == (symbol, 7_500_000, "inferred")


@pytest.mark.parametrize("symbol", ["BTCUSD", "USDT", "ETHEUR", "X"])
def test_no_value_without_a_known_suffix(symbol: str) -> None:
    """A name that ends in no known coin, or is nothing else, has no value."""
    event = one(frame(s=symbol))
    assert (event.notional, event.basis) == (None, None)


def test_btc_quoted_orders_use_the_canary_at_or_before_the_trade() -> None:
    """A BTC-quoted value takes the last canary price with E ≤ T, which is kept with the row."""
    known = knowing(instrument("ETHBTC", quote="BTC"))
    at = 1_791_565_602_120
    assert one(frame(s="ETHBTC", ap="0.05", z="2"), known).notional is None
    for venue_ms, price in ((at + 1, "70000"), (at - 1000, "50000.5"), (at, "60000.25")):
        known.tick(Tick(venue_ms, price))
    event = one(frame(s="ETHBTC", ap="0.05", z="2"), known)
    assert (event.notional, event.basis) == (6_000_025_000, "BTC 60000.25")


def test_other_statuses_are_kept_and_not_counted() -> None:
    """Only FILLED counts."""
    event = one(frame(X="EXPIRED", z="0", ap="0"))
    assert (event.status, event.counts, event.notional) == ("EXPIRED", False, 0)
    assert one(frame()).counts


def test_uid_is_the_interface_s() -> None:
    """The identity is BLAKE2b-16 over the documented fields in canonical form."""
    text = "binance|BTCUSDT|1791565602120|SELL|60000|60210.5|0.25|0".replace("|", "\x1f")
    expected = hashlib.blake2b(text.encode(), digest_size=16).digest()
    event = one(frame())
    assert event.uid == expected
    assert one(frame(p="060000", ap="60210.500", z="00.2500")).uid == expected
    hexadecimal = expected.hex()
    assert uid_text(event.uid).replace("-", "") == hexadecimal


def test_uid_ignores_when_and_how_it_came() -> None:
    """Receive time, event time and wrapping are no part of the identity; trade time and prices are."""
    same = {
        one(frame(wrapped=True)).uid,
        one(frame(top={"E": 1_791_565_603_999})).uid,
        one(frame(l="0.2")).uid,
    }
    assert same == {one(frame()).uid}
    others = [
        frame(T=1_791_565_602_121),
        frame(p="1"),
        frame(ap="1"),
        frame(z="1"),
        frame(S="BUY"),
        frame(s="AUSDT"),
    ]
    assert len({one(other).uid for other in others} | same) == 7


def test_canary() -> None:
    """The canary gives its venue time, and its price only where it is BTCUSDT's."""
    text = b'{"e":"markPriceUpdate","E":1791565603000,"s":"BTCUSDT","p":"82000.10000000","r":"0.0001"}'
    assert decode(text) == Tick(1_791_565_603_000, "82000.10000000")
    assert decode(b'{"stream":"btcusdt@markPrice@1s","data":' + text + b"}") == Tick(
        1_791_565_603_000, "82000.10000000"
    )
    assert decode(text.replace(b"BTCUSDT", b"ETHUSDT")) == Tick(1_791_565_603_000, None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b'{"result":null,"id":1}', "ack"),
        (b'{"result":["!forceOrder@arr"],"id":2}', "ack"),
        (b'{"code":2,"msg":"Invalid request"}', "error"),
        (b'{"error":{"code":-1121,"msg":"Invalid symbol."}}', "error"),
        (b'{"e":"serverShutdown","E":1791565603055}', "reconnect"),
    ],
)
def test_answers_are_notices(text: bytes, kind: str) -> None:
    """Acknowledgements, errors and the announced shutdown are no events and no faults."""
    notice = decode(text)
    assert isinstance(notice, Notice)
    assert notice.kind == kind


BAD = [
    b"", b"{", b"[]", b"{}", b"null", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"result":' + b"[" * 100_000,
    b'{"e":"forceOrder","E":1791565603055}', b'{"e":"forceOrder","o":{}}', b'{"e":"aggTrade","E":1791565603055}',
    frame(q="1e5"), frame(z="-1"), frame(ap="NaN"), frame(p=""), frame(p=" 1"), frame(p="1 2"), frame(ap="1 2", q="1"), frame(p="1 2", q="1", z="1"), frame(z="1 2", q="1 2"), frame(z="1_0"), frame(z="١"),
    frame(z="1."), frame(z=".5"), frame(z="+1"), frame(z="1\n"), frame(z=1), frame(T="x"), frame(S="LONG"), frame(s=""),
    frame(s="A" * 65), frame(z=None), frame(T=1_546_300_799_999), frame(T=1_791_565_603_100 + 86_400_001),
    frame(top={"E": 0}), frame(z="1000000000000001"), frame(p="0." + "0" * 39), frame(z="1000001", ap="10000"),
    b"[" + frame() + b',{"e":"markPriceUpdate","E":1791565603000,"s":"BTCUSDT","p":"1"}]',
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_does_not_fit_is_one_error(data: bytes) -> None:
    """Malformed or out of bounds: FrameError, with a reason."""
    with pytest.raises(FrameError) as caught:
        decode(data)
    assert caught.value.message


def test_the_bounds_themselves_fit() -> None:
    """A number of 10^15, forty characters, a notional of 10^10 USD and a time a day ahead are still in."""
    assert one(frame(q="1000000000000000", s="ETHBTC")).quantity == "1000000000000000"
    assert one(frame(p="0." + "0" * 38)).price == "0." + "0" * 38
    assert one(frame(z="1000000", ap="10000")).notional == 10**16
    assert one(frame(T=1_791_565_603_100 + 86_400_000)).trade_time == 1_791_652_003_100


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    """Whatever comes, the decoder answers or raises its one error."""
    try:
        decoded = decode(data)
    except FrameError:
        return
    assert isinstance(decoded, (tuple, Tick, Notice))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list("eEospqzTSX")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from([*order(), "x"]), JSON), st.dictionaries(st.sampled_from("eEost"), JSON)
)
def test_any_values_in_an_order_decode_or_are_refused(changes: dict[str, Any], top: dict[str, Any]) -> None:
    """Wrong types, huge numbers and strange texts in any field end in an event within bounds or in the one error."""
    value = {"e": "forceOrder", "E": 1_791_565_603_055, "o": {**order(), **changes}, **top}
    try:
        decoded = decode(json.dumps(value).encode("utf-8", "surrogatepass"))
    except FrameError:
        return
    if type(decoded) is tuple:
        (event,) = decoded
        assert event.notional is None or 0 <= event.notional <= 10**16
        event.symbol.encode()


DIGITS = st.from_regex(r"(0|[1-9][0-9]{0,6})(\.[0-9]{1,8})?", fullmatch=True)


@given(DIGITS, DIGITS)
def test_value_is_exact(quantity: str, price: str) -> None:
    """The value is the exact product, rounded half-even once to a micro-dollar."""
    exact = Decimal(quantity) * Decimal(price) * 1_000_000
    if exact <= 10**16:
        assert one(frame(z=quantity, ap=price)).notional == int(exact.to_integral_value())


def test_documents_list_instruments() -> None:
    """Both documents are read with their own market; an entry that does not fit is left out."""
    settings = section()
    linear, inverse = VENUE.documents(settings)
    assert linear.url == "https://fapi.binance.com/fapi/v1/exchangeInfo"
    assert inverse.url == "https://dapi.binance.com/dapi/v1/exchangeInfo"
    body = b'{"symbols":[{"symbol":"BTCUSDT","baseAsset":"BTC","quoteAsset":"USDT"},{"symbol":7},{}]}'
    assert linear.parse(body, 5) == [Instrument("binance", "BTCUSDT", "linear", "BTC", "USDT", None, 5)]
    body = b'{"symbols":[{"symbol":"BTCUSD_PERP","baseAsset":"BTC","quoteAsset":"USD","contractSize":100}]}'
    assert inverse.parse(body, 6) == [Instrument("binance", "BTCUSD_PERP", "inverse", "BTC", "USD", "100", 6)]
    with pytest.raises(RestError):
        linear.parse(b"<html>", 0)


def section(**changes: str) -> Section:
    """The venue's settings: the defaults, but for these."""
    return Section("BINANCE", {**{name: key.default for name, key in VENUE.keys.items()}, **changes})


@pytest.mark.parametrize(
    ("configured", "url"),
    [
        ("wss://h/market/stream", "wss://h/market/stream?streams=!forceOrder@arr/btcusdt@markPrice@1s"),
        ("wss://h/market/ws", "wss://h/market/ws/!forceOrder@arr/btcusdt@markPrice@1s"),
        ("wss://h/market/stream?streams=a", "wss://h/market/stream?streams=a"),
        ("wss://h/market/stream?timeUnit=MICROSECOND", "wss://h/market/stream?timeUnit=MICROSECOND&streams="),
    ],
)
def test_streams_are_part_of_the_address(configured: str, url: str) -> None:
    """The configured address is kept as it is, the streams are added in the form its path wants."""
    (endpoint,) = VENUE.endpoints(section(ws_url=configured))
    assert endpoint.url.startswith(url)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("wss://fstream.binance.com/ws", True),
        ("wss://fstream.binance.com/stream", True),
        ("wss://fstream.binance.com/ws/!forceOrder@arr", True),
        ("wss://fstream.binance.com/market/stream", False),
        ("wss://fstream.binance.com/market/ws", False),
        ("wss://fstream.binancefuture.com/ws", False),
    ],
)
def test_retired_paths_are_warned_about(url: str, warned: bool) -> None:
    """A path that was retired is named; the ones that are in use are not."""
    assert (VENUE.warning(section(ws_url=url)) is not None) == warned


@pytest.mark.parametrize("path", sorted(FRAMES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_real_frames_keep_their_digits(path: Path) -> None:
    """Every recorded frame decodes to the digits and times that stand in it."""
    lines = path.read_bytes().splitlines()
    assert lines
    for line in lines:
        value = json.loads(line)
        raw = value["raw"].encode() if "raw" in value else line
        told = json.loads(raw)
        told = told.get("data", told)
        event = one(raw)
        sent = told["o"]
        assert (event.price, event.average_price, event.quantity, event.filled_quantity) == (
            sent["p"], sent["ap"], sent["q"], sent["z"],
        )  # fmt: skip
        assert (event.symbol, event.order_side, event.status) == (sent["s"], sent["S"], sent["X"])
        assert (event.trade_time, event.event_time) == (sent["T"], told["E"])
        if sent.get("st", 1) == 1 and sent["s"].endswith(("USDT", "USDC")):
            exact = Decimal(sent["z"]) * Decimal(sent["ap"]) * 1_000_000
            assert event.notional == int(exact.to_integral_value())
