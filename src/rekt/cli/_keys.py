"""What `rekt doctor` finds of the services that posts go to: their keys are proved, nothing is posted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rekt import app
from rekt.cli._check import Check
from rekt.errors import RektError

if TYPE_CHECKING:
    from rekt.config import Settings

WITHIN_S = 8.0


def keys(settings: Settings) -> Iterator[Check]:
    """One check for each service whose keys are set, all at once; one sentence where none is."""
    from rekt import groups
    from rekt.cli import _posting

    try:
        services, lacking = _posting.chosen(settings, None)
    except RektError as error:
        yield Check("posting", "fail", error.message, error.hint)
        return
    found = [one for one in services if one.kept]
    some = [name for name, gone in lacking.items() if len(gone) < len(app.service(name).required)]
    for name in some:
        yield Check("posting", "warn", f"{name} still needs {', '.join(lacking[name])}")
    if not found:
        if not some:
            yield Check("posting", "ok", "no keys: posts are written to the data folder's posts/")
        return
    groups.need("post", "doctor")
    told: dict[str, Check] = {}

    def prove(one: _posting.Chosen) -> None:
        try:
            told[one.name] = Check("posting", "ok", f"{one.name}: {one.publisher.verify(WITHIN_S)}")
        except RektError as error:
            told[one.name] = Check("posting", "fail", f"{one.name}: {error.message}", error.hint)

    threads = [threading.Thread(target=prove, args=(one,), daemon=True) for one in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S + 2)
    for one in found:
        slow = Check("posting", "fail", f"{one.name}: no answer within {WITHIN_S:.0f} s")
        yield told.get(one.name, slow)
