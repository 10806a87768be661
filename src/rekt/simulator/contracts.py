"""Contracts of a synthetic market in one line each; prices and weights are made up."""

from __future__ import annotations

from rekt.simulator.scene import Instrument


def linear(
    symbol: str,
    base: str,
    price: float,
    digits: int,
    lots: int,
    weight: float = 1.0,
    *,
    quote: str = "USDT",
    size: float = 1.0,
) -> Instrument:
    """A linear contract: prices of so many digits in `quote`, quantities of so many digits (`lots`).

    `size`: the coins in a unit of quantity, where the scene counts in contracts.
    """
    return Instrument(
        symbol,
        "linear",
        base,
        quote,
        quote,
        symbol,
        price,
        digits,
        1,
        lots,
        None,
        price * size,
        weight,
        0.006,
    )


def inverse(
    symbol: str, base: str, price: float, digits: int, weight: float = 1.0, *, size: int = 1
) -> Instrument:
    """An inverse contract of so many USD, margined in its coin; quantities are whole contracts."""
    return Instrument(
        symbol, "inverse", base, "USD", base, symbol, price, digits, 1, 0, size, size, weight, 0.006
    )
