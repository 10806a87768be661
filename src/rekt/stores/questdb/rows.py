"""An event as a row of QuestDB, and back, with every digit."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rekt.model import MICRO, Feed, Liquidation

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


def lost(digits: str | None, number: float | None) -> str | None:
    """The digits, where they can't be told from the double alone.

    >>> lost("0.190", 0.19), lost("0.19", 0.19)
    ('0.190', None)
    """
    return None if digits is None or number is None or spelled(number) == digits else digits


def digits(number: float | None, text: str | None) -> str | None:
    """The venue's own digits of a double and the text beside it."""
    if text is not None:
        return text
    return None if number is None else spelled(float(number))


def double(text: str | None) -> float | None:
    """A decimal as a double; None for an unknown one."""
    return None if text is None else float(text)


def symbols(event: Liquidation) -> dict[str, str]:
    """The columns that are symbols, those that have a value."""
    found = {
        "PAIR": event.symbol,
        "venue": event.feed.venue,
        "market": event.feed.market,
        "side": event.side,
        "order_side": event.order_side,
        "price_kind": event.feed.price_kind,
        "sampling": event.feed.sampling,
    }
    if event.status is not None:
        found["status"] = event.status
    if event.basis is not None:
        found["basis"] = event.basis
    return found


def numbers(event: Liquidation) -> dict[str, Any]:
    """The other columns but the times, those that have a value."""
    price, quantity = double(event.average_price), double(event.filled_quantity)
    order_price, order_quantity = double(event.price), double(event.quantity)
    found = {
        "PRICE": price,
        "QUANTITY": quantity,
        "USDVALUE": None if event.notional is None else event.notional / MICRO,
        "order_price": order_price,
        "order_quantity": order_quantity,
        "price_text": lost(event.average_price, price),
        "quantity_text": lost(event.filled_quantity, quantity),
        "order_price_text": lost(event.price, order_price),
        "order_quantity_text": lost(event.quantity, order_quantity),
        "micros": event.notional,
        "uid": str(UUID(bytes=event.uid)),
    }
    return {name: value for name, value in found.items() if value is not None}


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
    return event.counts and event.notional is not None
