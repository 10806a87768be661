"""What a check is, and how checks are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from rekt.cli import _common


class Check(NamedTuple):
    """One thing looked at."""

    name: str
    state: Literal["ok", "warn", "fail"]
    text: str
    hint: str = ""


def show(checks: Iterable[Check]) -> None:
    """One line each for people, with what to do below."""
    from rich.text import Text

    from rekt.log import clean

    console = _common.console()
    colours = {"ok": _common.GOOD, "warn": _common.WARN, "fail": f"bold {_common.WARN}"}
    for check in checks:
        line = Text.assemble(
            (f"{check.state:<5}", colours[check.state]), f"{check.name:<15}", clean(check.text)
        )
        console.print(line, soft_wrap=True)
        if check.hint:
            console.print(Text(f"{'':<20}{clean(check.hint)}", style="dim"), soft_wrap=True)
