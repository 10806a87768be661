"""Bitfinex as of November 2026: arrays under channel ids, a snapshot of positions, heartbeats on silent channels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import count
from urllib.parse import urlsplit

import msgspec

from rekt.simulator.contracts import linear
from rekt.simulator.options import Options
from rekt.simulator.scene import Instrument, Kind, Limits, Order, Publication, Scene, decimal_text
from rekt.simulator.subscriptions import Subscriber

MOST_CHANNELS = 25
BACKLOG = 1000
"""Positions in a snapshot, at most."""
RETOLD_MS = 1000
"""What a snapshot tells of a position is so much later than what was told first, and less is left of it."""
HEARTBEAT_S = 15
LIQUIDATIONS, TICKER = "status liq:global", "ticker "

INSTRUMENTS = (
    linear("tBTCF0:USTF0", "BTC", 82000.0, 1, 4, 9),
    linear("tETHF0:USTF0", "ETH", 2450.0, 2, 3, 8),
    linear("tSOLF0:USTF0", "SOL", 118.0, 3, 2, 3),
    linear("tBTCUSD", "BTC", 82010.0, 1, 5, 3, quote="USD"),
    linear("tDOGE:USD", "DOGE", 0.124, 5, 0, 1, quote="USD"),
    linear("tBTCF0:EUTF0", "BTC", 75000.0, 1, 4, 1, quote="EUT"),
)


class Channels(Subscriber):
    """One connection: each channel has an id here, which takes the place of the one in what is published."""

    def __init__(self, symbols: Collection[str], snapshot: Callable[[], bytes], *, routed: bool) -> None:
        super().__init__(routed=routed)
        self._symbols = symbols
        self._snapshot = snapshot
        self._ids: dict[str, int] = {}
        self._spoke: set[str] = set()
        self._numbers = count(1001)

    def greeting(self, now_ms: int) -> Sequence[bytes]:  # noqa: ARG002 (the Protocol's)
        return [b'{"event":"info","version":2,"serverId":"x","platform":{"status":1}}']

    def encode(self, publication: Publication) -> Iterable[bytes]:
        if not publication.channels:
            return (publication.payload,)
        (channel,) = publication.channels
        if channel not in self._ids:
            return ()
        beats = publication.payload.endswith(b',"hb"]')
        if beats and channel in self._spoke:  # it was not silent
            self._spoke.discard(channel)
            return ()
        if not beats:
            self._spoke.add(channel)
        return (self._own(channel, publication.payload),)

    def _own(self, channel: str, frame: bytes) -> bytes:
        return b"[%d%b" % (self._ids[channel], frame[frame.index(b",") :])

    def receive(self, message: bytes) -> Sequence[bytes]:
        try:
            request = msgspec.json.decode(message, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_error(10000, "unknown event", {})]
        if request.event == "ping":
            return [msgspec.json.encode({"event": "pong", "cid": request.cid})]
        if request.event == "unsubscribe":
            for channel in [name for name, number in self._ids.items() if number == request.chan_id]:
                del self._ids[channel], self._streams[channel]
            return [msgspec.json.encode({"event": "unsubscribed", "status": "OK", "chanId": request.chan_id})]
        if request.event != "subscribe":
            return [_error(10000, "unknown event", {})]
        about = {"channel": request.channel}
        about |= {"symbol": request.symbol} if request.channel == "ticker" else {"key": request.key}
        channel = f"{request.channel} {request.symbol or request.key}"
        if channel != LIQUIDATIONS and (request.channel != "ticker" or request.symbol not in self._symbols):
            return [_error(10300, "subscribe: invalid", about)]
        if channel in self._ids:
            return [_error(10301, "already subscribed", about)]
        if len(self._ids) == MOST_CHANNELS:
            return [_error(10305, "reached limit of open channels", about)]
        self._ids[channel] = next(self._numbers)
        self._streams[channel] = None
        answer = {"event": "subscribed", "chanId": self._ids[channel], **about}
        replies = [msgspec.json.encode(answer)]
        if self.routed and channel == LIQUIDATIONS:
            replies.append(self._own(channel, self._snapshot()))
        return replies


class Bitfinex(Scene):
    """The venue: each position is told by its trigger and its execution, the execution first at times."""

    limits = Limits(20, ping_period_s=86_400.0, pong_timeout_s=60.0, life_s=86_400.0, openings=(20, 60.0))
    ws_path = "/ws/2"
    retired_path = "/ws/silent"
    instruments = INSTRUMENTS

    def __init__(self, options: Options) -> None:
        self.unlisted = set(options.unlisted)
        self._by_symbol = {i.symbol: i for i in self.instruments}
        self._positions: deque[bytes] = deque(maxlen=BACKLOG)
        self._numbers = count()

    def session(self, path: str) -> Channels | str:
        name = urlsplit(path).path
        if name not in (self.ws_path, self.retired_path):
            return "not found"
        return Channels(self._by_symbol, self._snapshot, routed=name == self.ws_path)

    def liquidation(self, order: Order, event_time_ms: int) -> Publication | None:
        i = order.instrument
        if not order.filled:
            return None
        number = next(self._numbers)
        key = order.time_ms * 1000 + number % 1000  # no id comes again in another life of this exchange
        sign = "" if order.side == "SELL" else "-"  # of the position
        amount = sign + decimal_text(order.filled, i.quantity_digits)
        left = sign + decimal_text((order.filled + 1) // 2, i.quantity_digits)
        entry = decimal_text(order.price, i.price_digits)
        price = decimal_text(order.average_price, i.price_digits)
        trigger = _position(key, order.time_ms, i.symbol, amount, entry, executed=False, price="null")
        execution = _position(
            key,
            order.time_ms + 9,
            i.symbol,
            left,
            entry,
            executed=True,
            price=price,
        )
        rows = (execution, trigger) if number % 3 == 0 else (trigger, execution)
        later = _position(key, order.time_ms + RETOLD_MS, i.symbol, left, entry, executed=True, price=price)
        self._positions.append(later)
        return Publication(Kind.LIQUIDATION, (LIQUIDATIONS,), _frame(rows), event_time_ms)

    def canary(
        self, streams: Collection[str], now_ms: int, price: Callable[[Instrument, int], float]
    ) -> list[Publication]:
        found = []
        for channel in streams:
            i = self._by_symbol.get(channel.removeprefix(TICKER))
            if i is not None:
                last = f"{price(i, now_ms):.{i.price_digits}f}"
                text = f"[0,[{last},1.5,{last},2.5,-100,-0.0012,{last},1234.5,83000,81000]]"
                found.append(Publication(Kind.CANARY, (channel,), text.encode(), now_ms))
            elif now_ms % (HEARTBEAT_S * 1000) == 0:
                found.append(Publication(Kind.CANARY, (channel,), b'[0,"hb"]', now_ms))
            elif now_ms % 60_000 == 7000:  # paper trading comes too
                paper = _position(
                    now_ms, now_ms, "tTESTBTCF0:TESTUSDTF0", "1", "82000", executed=False, price="null"
                )
                found.append(Publication(Kind.NOTICE, (channel,), _frame([paper]), now_ms))
        return found

    def shutdown_notice(self, now_ms: int) -> Publication:
        text = b'{"event":"info","code":20051,"msg":"Stopping. Please try to reconnect"}'
        return Publication(Kind.NOTICE, (), text, now_ms)

    def frame(self, frame: bytes) -> Publication | None:
        try:
            _, payload = msgspec.json.decode(frame, type=tuple[int, msgspec.Raw])
            if bytes(payload) == b'"hb"':
                return Publication(Kind.CANARY, (LIQUIDATIONS,), frame, 0)
            fields = msgspec.json.decode(payload, type=list[msgspec.Raw])
            if not fields:
                return None
            if bytes(fields[0])[:1] not in (b"[", b'"'):
                return Publication(
                    Kind.CANARY, (f"{TICKER}tBTCUSD",), frame, 0
                )  # its channel was told elsewhere
            row = (
                fields
                if bytes(fields[0]) == b'"pos"'
                else msgspec.json.decode(fields[0], type=list[msgspec.Raw])
            )
            time_ms = int(msgspec.json.decode(row[2], type=float))
        except (msgspec.MsgspecError, UnicodeDecodeError, IndexError):
            return None
        return Publication(Kind.LIQUIDATION, (LIQUIDATIONS,), frame, time_ms)

    def document(self, path: str, now_ms: int) -> bytes | None:  # noqa: ARG002 (it tells no time)
        start, _, asked = urlsplit(path).path.rpartition("/")
        if start != "/v2/conf":
            return None
        names = [i.symbol.removeprefix("t") for i in self.instruments if i.symbol not in self.unlisted]
        lists = {
            "pub:list:pair:futures": [*(n for n in names if "F0:" in n), "TESTBTCF0:TESTUSDTF0"],
            "pub:list:pair:margin": [n for n in names if "F0:" not in n],
        }
        return msgspec.json.encode([lists.get(name, []) for name in asked.split(",")])

    def _snapshot(self) -> bytes:
        return _frame(self._positions)


class _Request(msgspec.Struct, rename="camel"):
    event: str
    channel: str = ""
    key: str = ""
    symbol: str = ""
    chan_id: int | None = None
    cid: int | None = None


def _position(
    key: int, time_ms: int, symbol: str, amount: str, entry: str, *, executed: bool, price: str
) -> bytes:
    return f'["pos",{key},{time_ms},null,"{symbol}",{amount},{entry},null,{int(executed)},1,null,{price}]'.encode()


def _frame(rows: Iterable[bytes]) -> bytes:
    return b"[0,[" + b",".join(rows) + b"]]"


def _error(code: int, text: str, about: dict[str, str]) -> bytes:
    return msgspec.json.encode({"event": "error", "msg": text, "code": code, **about})


def scene(options: Options) -> Bitfinex:
    """The scene of this file (see `scenes`)."""
    return Bitfinex(options)
