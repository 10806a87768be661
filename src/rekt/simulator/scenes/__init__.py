"""One file a venue; the file name is the registration. Each has a function `scene(options)`."""

from __future__ import annotations

import pkgutil

DEFAULT = "binance"


def names() -> list[str]:
    """The venues that have a scene, without importing one."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
