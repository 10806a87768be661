"""`rekt tweet`: the hour's post."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common
from rekt.errors import UsageError

if TYPE_CHECKING:
    from rekt.posts.compose import Post


def command(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the post, send nothing.")] = False,
    hour: _common.HourOption = None,
    as_json: _common.Json = False,
) -> None:
    """Render the hour's post from tweets.txt; the hour that ended last where none is named.

    Posting is not built yet: --dry-run must be given.
    """
    if not dry_run:
        raise UsageError("posting is not built yet", hint="use --dry-run")
    from rekt.fields import iso_ms
    from rekt.posts.compose import compose, templates

    now = _common.now_ms()
    window = _common.asked(hour, None, None, None, now).window
    if window.end > now:
        raise UsageError(f"the hour from {_common.moment(window.start)} UTC has not ended")
    choices = templates(_common.settings(ctx).templates_path)
    with _common.ledger(ctx) as ledger:
        post = compose(_common.summary(ledger, window, now), choices)
    if as_json:
        _common.print_json(
            {
                "hour": iso_ms(post.hour),
                "text": post.text,
                "weighted_length": post.weighted_length,
                "would": post.would,
                "reason": post.reason or None,
            }
        )
        return
    show(post)


def show(post: Post) -> None:
    """The post in a frame, with what would become of it."""
    from rich.panel import Panel
    from rich.text import Text

    from rekt.log import clean
    from rekt.posts.length import LIMIT

    console = _common.console()
    would = "would be posted" if post.would == "post" else "would be skipped"
    note = f"{would} · {post.weighted_length} of {LIMIT} characters"
    text = "\n".join(clean(line) for line in post.text.split("\n"))
    console.print(Panel(Text(text), title=Text(note), title_align="left", width=min(console.width, 84)))
    if post.reason:
        console.print(Text(post.reason, style=_common.WARN))
