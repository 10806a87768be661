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


def digits(number: float | None, text: str | None) -> str | None:
    """The venue's own digits of a double and the text beside it."""
    if text is not None:
        return text
    return None if number is None else spelled(float(number))


def symbols(event: Liquidation) -> dict[str, str]:
    """The columns that are symbols, those that have a value."""
    venue, market, price_kind, sampling = event.feed
    found = {
        "PAIR": event.symbol,
        "venue": venue,
        "market": market,
        "side": event.side,
        "order_side": event.order_side,
        "price_kind": price_kind,
        "sampling": sampling,
    }
    if event.status is not None:
        found["status"] = event.status
    if event.basis is not None:
        found["basis"] = event.basis
    return found


def numbers(event: Liquidation) -> dict[str, Any]:
    """The other columns but the times, those that have a value (hot path: plain code, nothing called per column)."""
    uid = event.uid.hex()
    found: dict[str, Any] = {"uid": f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}"}
    if (notional := event.notional) is not None:
        found["micros"] = notional
        found["USDVALUE"] = notional / MICRO
    for text, name, text_name in (
        (event.average_price, "PRICE", "price_text"),
        (event.filled_quantity, "QUANTITY", "quantity_text"),
        (event.price, "order_price", "order_price_text"),
        (event.quantity, "order_quantity", "order_quantity_text"),
    ):
        if text is not None:
            found[name] = number = float(text)
            short = repr(number)
            if (short != text or text.endswith(".0")) and short != text + ".0":  # `spelled` is another
                found[text_name] = text
    return found


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
