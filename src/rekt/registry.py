"""Adapters by file name: `names("rekt.venues")` lists without importing, `load("rekt.venues", "toyex")` imports one.

A new venue, store or publisher is one new file in its folder; there is no list to edit.
"""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from .errors import UsageError


def names(package: str) -> list[str]:
    """The adapters of a package, sorted; names that begin with an underscore are the package's own."""
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return []
    found = pkgutil.iter_modules(list(spec.submodule_search_locations))
    return sorted(module.name for module in found if not module.name.startswith("_"))


def load(package: str, name: str) -> ModuleType:
    """Import one adapter. Raises UsageError, naming the nearest known name, when there is none of this name."""
    known = names(package)
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"no {package.rpartition('.')[2].rstrip('s')} is called {name!r}", hint=hint)
    return import_module(f"{package}.{name}")
