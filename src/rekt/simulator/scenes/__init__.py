"""One file a venue; the file name is the registration. Each has a function `scene(options)`."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rekt.simulator.options import Options
    from rekt.simulator.scene import Scene

DEFAULT = "binance"


def names() -> list[str]:
    """The venues that have a scene, without importing one."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(options: Options) -> Scene:
    """The scene of the venue that the options name."""
    if options.venue not in names():
        raise ValueError(f"no scene for venue {options.venue!r}; there are {', '.join(names())}")
    scene: Scene = import_module(f"{__name__}.{options.venue}").scene(options)
    return scene
