"""What the venues' decoders share: a checked `Liquidation` with its identity, values by contract, bounded gzip. Pure.

The busiest venue's decoder has the same steps written out; these are for the others, and for documents of all.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from .errors import FrameError
from .fields import DAY, MAX_NOTIONAL, MIN_TIME, canonical, dollars, event_uid, is_decimal
from .model import Feed, Instrument, Liquidation, OrderSide
from .venue import Reference
from .worth import BITCOIN, priced

INFERRED: Final = "inferred"
MAX_INFLATED: Final = 4 * 1024 * 1024  # bytes a gzipped frame may unfold to
_PLAIN = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_SCIENTIFIC = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]{1,2}")  # more would unfold without a bound


def bounded_time(ms: int, received_us: int) -> int:
    """A time of the wire in ms; given in seconds, it is told by its size. Raises FrameError out of bounds."""
    if 0 < ms < 10_000_000_000:
        ms *= 1000
    if not MIN_TIME <= ms <= received_us // 1000 + DAY:
        shown = ms if abs(ms) < 10**20 else "of more than 20 digits"  # Python writes no number of thousands
        raise FrameError(f"a time out of bounds: {shown}")
    return ms


def inflated(data: bytes) -> bytes:
    """A gzipped frame unfolded, bounded. Raises FrameError."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(data, MAX_INFLATED)
    except zlib.error as error:
        raise FrameError(f"no gzip: {error}") from None
    if not unpacker.eof:
        large = len(text) >= MAX_INFLATED
        raise FrameError(
            "a gzipped frame that unfolds to too much" if large else "a gzipped frame that is cut off"
        )
    return text


def liquidation(
    feed: Feed,
    reference: Reference,
    received_us: int,
    *,
    symbol: str,
    order_side: OrderSide,
    trade_time: int | None,
    quantity: str,
    price: str | None = None,
    average_price: str | None = None,
    event_time: int | None = None,
    status: str | None = None,
    instrument: Instrument | Literal["listed"] | None = "listed",
    basis: str | None = None,
    notional: str | None = None,
    own_id: str | None = None,
) -> Liquidation:
    """One event, its digits and times checked, valued and identified. Raises FrameError.

    `trade_time` None: the venue tells none, and the receive time stands for it (then `event_time` is unknown too).
    `instrument`: the contract that values it, by default the listed one of this symbol; None leaves it unknown.
    `notional`: dollars as the venue tells them, instead. `own_id`: the venue's own id of the event.
    """
    if not 0 < len(symbol) <= 64:
        raise FrameError(f"a symbol of {len(symbol)} characters")
    for name, text in (("quantity", quantity), ("price", price), ("average price", average_price)):
        if text is not None and not is_decimal(text):
            raise FrameError(f"{name} is no plain decimal within the bounds: {text[:60]!r}")
    at = received_us // 1000 if trade_time is None else bounded_time(trade_time, received_us)
    told = None if event_time is None else bounded_time(event_time, received_us)
    if own_id is not None and not 0 < len(own_id) <= 64:
        raise FrameError(f"an id of {len(own_id)} characters")
    worth: int | None = None
    contract = reference.instruments.get(symbol) if instrument == "listed" else instrument
    if notional is not None:
        if not is_decimal(notional):
            raise FrameError(f"turnover is no plain decimal within the bounds: {notional[:60]!r}")
        worth = dollars(notional, "1")
    elif contract is not None and contract.market == feed.market:
        bitcoin = reference.price_at(at) if contract.quote in BITCOIN else None
        worth, used = priced(
            quantity, average_price if average_price is not None else price, contract, bitcoin
        )
        basis = ", ".join(filter(None, (basis, used))) or None
    if worth is None:
        basis = None
    elif worth > MAX_NOTIONAL:
        raise FrameError(f"a notional out of bounds: {worth / 1e6:.0f} USD")
    event = Liquidation(
        feed,
        at,
        b"",
        symbol,
        order_side,
        status,
        price,
        average_price,
        quantity,
        quantity,
        worth,
        basis,
        told,
        received_us,
    )
    return event._replace(
        uid=_uid(event, 0) if own_id is None else event_uid(f"{feed.venue}\x1f{feed.market}\x1f{own_id}")
    )


def distinct(events: Iterable[Liquidation]) -> tuple[Liquidation, ...]:
    """The events of one frame, equal ones told apart by their ordinal; not for events with ids of their own."""
    seen: Counter[bytes] = Counter()
    found = []
    for event in events:
        ordinal = seen[event.uid]
        seen[event.uid] += 1
        found.append(event._replace(uid=_uid(event, ordinal)) if ordinal else event)
    return tuple(found)


def _uid(event: Liquidation, ordinal: int) -> bytes:
    numbers = (event.price, event.average_price, event.filled_quantity)
    price, average, filled = ("" if text is None else canonical(text) for text in numbers)
    return event_uid(
        f"{event.feed.venue}\x1f{event.symbol}\x1f{event.trade_time}\x1f{event.order_side}\x1f{price}\x1f{average}"
        f"\x1f{filled}\x1f{ordinal}"
    )


def step_of(told: object) -> str | None:
    """What a document tells as a contract's step: a plain decimal above zero, or None."""
    text = str(told) if isinstance(told, str | int) and not isinstance(told, bool) else ""
    return text if is_decimal(text) and text.strip("0.") else None


def lot_step(filters: object) -> str | None:
    """The same among a contract's filters: stepSize of LOT_SIZE."""
    found = filters if isinstance(filters, list) else []
    return next(
        (
            step_of(one.get("stepSize"))
            for one in found
            if isinstance(one, dict) and one.get("filterType") == "LOT_SIZE"
        ),
        None,
    )


def digits(number: msgspec.Raw) -> str:
    """A JSON number's own digits, bare or quoted, its minus kept; an exponent is written out, exactly.

    Raises FrameError where it is none.
    """
    text = bytes(number).strip(b'"')
    if _PLAIN.fullmatch(text):
        return text.decode()
    if _SCIENTIFIC.fullmatch(text):
        from decimal import Decimal  # noqa: PLC0415 - rare

        return format(Decimal(text.decode()), "f")
    raise FrameError(f"no number: {text[:60]!r}")
