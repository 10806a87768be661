"""`rekt tweet`: the hour's post, to every service whose keys are set, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common
from rekt.errors import UsageError

if TYPE_CHECKING:
    from rekt.cli._posting import Told
    from rekt.config import Settings
    from rekt.posts.compose import Draft

_WELL = ("sent", "skipped")


def command(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the post, send nothing.")] = False,
    hour: _common.HourOption = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="SERVICES", help="Where to, such as x,bluesky or console.")
    ] = None,
    no_image: Annotated[bool, typer.Option("--no-image", help="Words only.")] = False,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="PATH", help="Also write the picture to this file.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look through the templates.")] = False,
    store: _common.StoreOption = None,
    as_json: _common.Json = False,
) -> None:
    """Post the hour that ended last (or the one named) as soon as it is final; each service gets it once.

    Fit for cron at minute 0. Without keys it writes the post to the data folder's posts/ and says what is missing.
    Exit code 1 when a service failed, has to wait, or did not tell what became of the post.
    """
    settings = _common.settings(ctx)
    if check:
        _check(settings)
        return
    now = _common.now_ms()
    from rekt.posts.schedule import due

    window = _common.asked(hour, None, None, None, now).window if hour else due(now)
    if window.end > now + (0 if hour else 1_500):
        raise UsageError(f"the hour from {_common.moment(window.start)} UTC has not ended")
    if dry_run:
        _dry(ctx, window.start, image, store, as_json=as_json)
        return
    from rekt import groups
    from rekt.cli import _posting

    services, lacking = _posting.chosen(settings, to)
    if any(one.kept for one in services):
        groups.need("post", "tweet")
    picture = not no_image and settings.section("POST").flag("picture")
    reader = _common.store(ctx, store, window.start)
    told = _posting.post_hour(settings, reader, window, services, by_hand=hour is not None, picture=picture)
    if image is not None:
        _write(ctx, window.start, image, store)
    _show(
        settings, told, window.start, lacking if services[0].name == "console" and to is None else {}, as_json
    )
    if any(one.state not in _WELL for one in told):
        raise typer.Exit(1)


def _dry(
    ctx: typer.Context, start: int, image: Path | None, name: _common.StoreName | None, *, as_json: bool
) -> None:
    from rekt.cli._posting import draft
    from rekt.fields import HOUR, iso_ms
    from rekt.model import Window

    settings = _common.settings(ctx)
    with _common.store(ctx, name, start) as ledger:
        post = draft(settings, ledger, Window(start, start + HOUR))
    if image is not None:
        _write(ctx, start, image, name)
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


def _write(ctx: typer.Context, start: int, path: Path, name: _common.StoreName | None) -> None:
    """The hour's picture to a file."""
    from rekt import groups

    groups.need("post", "tweet --image")
    from rekt.cli._posting import about, picture_of
    from rekt.fields import HOUR
    from rekt.model import Window

    settings = _common.settings(ctx)
    with _common.store(ctx, name, start) as ledger:
        hour = about(settings, ledger, Window(start, start + HOUR), _common.now_ms())
        path.write_bytes(picture_of(settings, ledger, hour)[0])


def _check(settings: Settings) -> None:
    """Name every bad line of the templates, and what X would object to."""
    from rekt.errors import ConfigError
    from rekt.posts.compose import BUILT_IN
    from rekt.posts.lint import lint
    from rekt.posts.template import lines_of

    path = settings.templates_path
    lines = list(BUILT_IN) if path is None else lines_of(path)
    found, faults = lint(lines)
    console = _common.console()
    name = path or "the built-in templates"
    for fault in faults:
        console.print(f"{name}:{fault.line}: {fault.message}", soft_wrap=True)
    if faults:
        raise ConfigError(f"{len(faults)} of the lines in {name} can't be used")
    console.print(f"{name}: {found} templates, all well", soft_wrap=True)


def _show(
    settings: Settings, told: list[Told], start: int, lacking: dict[str, list[str]], as_json: bool
) -> None:
    from rekt.fields import iso_ms
    from rekt.log import clean

    if as_json:
        for one in told:
            _common.print_json(
                {
                    "service": one.service,
                    "hour": iso_ms(start),
                    "state": one.state,
                    "remote_id": one.remote_id,
                    "text": one.text,
                    "reason": one.reason or None,
                }
            )
        return
    from rich.panel import Panel
    from rich.text import Text

    console = _common.console()
    shown = set()
    for one in told:
        if one.text and one.text not in shown:
            shown.add(one.text)
            text = "\n".join(clean(line) for line in one.text.split("\n"))
            console.print(Panel(Text(text), width=min(console.width, 84)))
        words = f"{one.service}: {one.state}" + (f" as {one.remote_id}" if one.remote_id else "")
        style = _common.GOOD if one.state in _WELL else f"bold {_common.WARN}"
        console.print(
            Text(words + (f" ({clean(one.reason)})" if one.reason else ""), style=style), soft_wrap=True
        )
    if "x" in lacking:
        where = settings.file or "credentials.ini (`rekt init` writes one)"
        console.print(Text(f"To post to X, {where} still needs {', '.join(lacking['x'])}."), soft_wrap=True)


def show(post: Draft) -> None:
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
