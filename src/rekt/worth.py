"""What a quantity of a contract is worth in dollars, exactly; unknown where that can't be told. Pure."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

from .fields import MAX_NOTIONAL, dollars
from .model import Instrument, Liquidation

# Coins pegged to the dollar count as 1 USD.
DOLLARS: Final = frozenset(
    ["USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "USD1", "USDS", "USDE", "PYUSD", "RLUSD", "DAI"]
)
BITCOIN: Final = frozenset(["BTC", "XBT"])


def priced(
    quantity: str, price: str | None, instrument: Instrument, bitcoin: str | None = None
) -> tuple[int | None, str | None]:
    """What a quantity of a contract is worth: (micro-dollars or None, the basis where a bitcoin price was used).

    A linear contract: coins (or contracts × their size in coins) × price, in its quote. An inverse one: contracts ×
    their size in its quote. The quote is a dollar, or bitcoin where its price in USD is given.
    """
    rate = None
    if instrument.quote in BITCOIN and bitcoin is not None:
        rate = bitcoin
    elif instrument.quote not in DOLLARS:
        return None, None
    size = instrument.contract_size
    if instrument.market == "inverse":
        if size is None:
            return None, None
        worth = dollars(quantity, size, rate)
    elif price is None:
        return None, None
    elif size is None or rate is None:
        worth = dollars(quantity, price, size if size is not None else rate)
    else:
        worth = dollars(product(quantity, size), price, rate)
    return worth, None if rate is None else f"BTC {rate}"


def multiple(quantity: str, step: str) -> bool:
    """Whether a quantity is a whole number of steps, exactly; both plain decimals, the step above zero."""
    return not Context(prec=120).remainder(Decimal(quantity), Decimal(step))


def product(one: str, other: str) -> str:
    """Two plain decimals multiplied, exactly, as a plain decimal."""
    return format(Context(prec=120).multiply(Decimal(one), Decimal(other)), "f")


def value(event: Liquidation, instrument: Instrument, bitcoin: str | None = None) -> int | None:
    """The notional of an event whose contract (and bitcoin's price) is known now; None where that is not enough."""
    if event.feed.market != instrument.market or event.filled_quantity is None:
        return None
    price = event.average_price if event.average_price is not None else event.price
    worth, _ = priced(event.filled_quantity, price, instrument, bitcoin)
    return worth if worth is not None and worth <= MAX_NOTIONAL else None
