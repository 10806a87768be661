"""An event as a row of QuestDB, and back, with every digit."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from uuid import UUID

from rekt.model import MICRO, Feed, Liquidation, OrderSide

READ = (
    "venue, market, price_kind, sampling, timestamp::long, uid, PAIR, order_side, status, order_price,"
    " order_price_text, PRICE, price_text, order_quantity, order_quantity_text, QUANTITY, quantity_text, micros,"
    " basis, event_time::long, received_at::long"
)
"""The columns that `event` takes."""


def spelled(number: float) -> str:
    """The shortest spelling of a double that reads back as it, as plain digits where Python writes it so.

    >>> spelled(0.19), spelled(21.0), spelled(1e-05)
    ('0.19', '21', '1e-05')
    """
    return repr(number).removesuffix(".0")


def digits(number: float | None, text: str | None) -> str | None:
    """The venue's own digits of a double and the text beside it."""
    if text is not None:
        return text
    return None if number is None else spelled(float(number))


@lru_cache(maxsize=20_000)  # few and the same: a dictionary made for each event costs six times as much
def _symbols(
    feed: Feed, symbol: str, order_side: OrderSide, status: str | None, basis: str | None
) -> dict[str, str | None]:
    return {
        "PAIR": symbol,
        "venue": feed.venue,
        "market": feed.market,
        "side": "long" if order_side == "SELL" else "short",
        "order_side": order_side,
        "price_kind": feed.price_kind,
        "sampling": feed.sampling,
        "status": status,
        "basis": basis,
    }


def needs_text(text: str) -> bool:
    """Whether a plain decimal is another than the shortest spelling of its double, so that its digits are kept beside.

    Hot path: two decimals of at most 15 digits are never the same double, so one without a needless zero at either end
    is the shortest spelling, if Python would write it as plain digits.

    >>> needs_text("0.19"), needs_text("0.190"), needs_text("21"), needs_text("0.00001")
    (False, True, False, True)
    """
    if text[-1] == "0" and "." in text:
        return True
    if len(text) <= 15 and (text[0] != "0" or (text[:2] == "0." and text[:5] != "0.000")):
        return False
    return spelled(float(text)) != text


def symbols(event: Liquidation) -> dict[str, str | None]:
    """The columns that are symbols; shared by events, so not to be changed."""
    return _symbols(event.feed, event.symbol, event.order_side, event.status, event.basis)


def columns(event: Liquidation, moment: Callable[[int], Any]) -> dict[str, Any]:
    """The other columns but the trade time, None where there is no value; `moment` makes the client's time of µs.

    Hot path: one dictionary with all its keys, so that it is made in its final size.
    """
    (_, _, uid, _, _, _, price, average_price, quantity, filled_quantity, notional, _,
     event_time, received_us) = event  # fmt: skip
    digits = uid.hex()
    return {
        "uid": f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
        "micros": notional,
        "USDVALUE": None if notional is None else notional / MICRO,
        "PRICE": None if average_price is None else float(average_price),
        "price_text": average_price if average_price is not None and needs_text(average_price) else None,
        "QUANTITY": None if filled_quantity is None else float(filled_quantity),
        "quantity_text": filled_quantity
        if filled_quantity is not None and needs_text(filled_quantity)
        else None,
        "order_price": None if price is None else float(price),
        "order_price_text": price if price is not None and needs_text(price) else None,
        "order_quantity": None if quantity is None else float(quantity),
        "order_quantity_text": quantity if quantity is not None and needs_text(quantity) else None,
        "event_time": None if event_time is None else moment(event_time * 1000),
        "received_at": moment(received_us),
    }


def event(row: list[Any]) -> Liquidation:
    """The event of a row of READ."""
    (venue, market, price_kind, sampling, time_us, uid, symbol, order_side, status, order_price, order_price_text,
     price, price_text, order_quantity, order_quantity_text, quantity, quantity_text, micros, basis, event_us,
     received_us) = row  # fmt: skip
    return Liquidation(
        feed=Feed(venue, market, price_kind, sampling),
        trade_time=time_us // 1000,
        uid=UUID(uid).bytes,
        symbol=symbol,
        order_side=order_side,
        status=status,
        price=digits(order_price, order_price_text),
        average_price=digits(price, price_text),
        quantity=digits(order_quantity, order_quantity_text),
        filled_quantity=digits(quantity, quantity_text),
        notional=micros,
        basis=basis,
        event_time=None if event_us is None else event_us // 1000,
        received_us=received_us,
    )


def first_table(event: Liquidation) -> bool:
    """Whether it goes to the first table: it counts and has a value."""
    return event.notional is not None and event.counts
