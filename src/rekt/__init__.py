"""Records the liquidations of futures markets, adds them up by the hour, posts and shows them.

For data frames: `rekt.liquidations("2026-07-16")` and `rekt.hours("-7d")`; see `rekt.frames`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "hours", "liquidations"]

if TYPE_CHECKING:
    from rekt.frames import hours, liquidations


def __getattr__(name: str) -> Any:
    """The frames' functions, imported when they are asked for."""
    if name in ("hours", "liquidations"):
        return getattr(import_module("rekt.frames"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
