"""`rekt init`: the two files people write in."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rekt.config import Key


def command(
    ctx: typer.Context,  # noqa: ARG001 - every command takes it
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Where; by default beside the launcher, or your configuration folder.",
        ),
    ] = None,
) -> None:
    """Write a commented credentials.ini and a tweets.txt to fill in. Overwrites nothing."""
    from rekt import app
    from rekt.config import FILE, TEMPLATES, user_folders

    target = folder or app.checkout() or user_folders(os.environ).config
    target.mkdir(parents=True, exist_ok=True, mode=0o700 if folder is None else 0o777)
    console = _common.console()
    for name, text, mode in (
        (FILE, ini_text(app.keys()), 0o600),
        (TEMPLATES, templates_text(), 0o644),
    ):
        path = target / name
        word = "wrote" if _write(path, text, mode) else "kept"
        console.print(f"{word:<5}  {path}", soft_wrap=True)
    console.print("Everything in them may stay as it is: recording and the figures need no keys.")


def _write(path: Path, text: str, mode: int) -> bool:
    """Write a new file, with its mode from the start; False where there is one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def ini_text(extra: Mapping[str, Mapping[str, Key]]) -> str:
    """A credentials.ini with every documented setting: keys to fill in, the rest commented out at its default."""
    from rekt.config import known_sections, variable

    lines = [
        "# Settings of rekt. All of it is optional.",
        "# A comment has a line of its own: all that follows = is the value, % and # too.",
        f"# Each key can also come from the environment, which wins: {variable('DATABASE', 'name')} and so on.",
    ]
    for section, keys in known_sections(extra).items():
        lines += ["", f"[{section}]"]
        for key, spec in keys.items():
            doc = spec.doc[:1].upper() + spec.doc[1:]
            lines += [f"# {part}" for part in wrap(doc if doc.endswith(".") else f"{doc}.", 98)]
            secret = spec.kind == "secret"
            lines.append(f"{key} = YOUR_{key.upper()}" if secret else f"# {key} = {spec.default}".rstrip())
    return "\n".join(lines) + "\n"


def templates_text() -> str:
    """A tweets.txt with the built-in templates."""
    from rekt.posts.compose import BUILT_IN

    head = (
        "# One post a line. The fields {} are the hour's count, its total and its largest liquidation in USD;",
        "# {0} {1} {2} name them out of order, and a format such as {:,.2f} says how a number is written.",
        "# \\U0001F340 stands for a character. The date and hour (UTC) are appended. Lines that begin with # and a",
        "# space, as these, are no posts.",
    )
    return "\n".join([*head, "", *BUILT_IN]) + "\n"
