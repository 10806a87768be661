"""A venue's settings with every address led to a simulated exchange."""

from __future__ import annotations

from rekt import app
from rekt.config import load, variable


def environ(name: str, ws_url: str, rest_url: str, **more: object) -> dict[str, str]:
    """As the environment gives them; `more` are further keys of the venue's section."""
    defaults = load(None, {}, extra=app.keys(), launcher_root=None, cwd=None).section(name.upper())
    section = app.pointed_at(defaults, ws_url, rest_url)
    given = {key: value for key, value in section.items() if key.endswith("_url")} | more
    return {variable(name, key): str(value) for key, value in given.items()}
