"""`rekt questdb start`: a server on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from rekt.cli import _common


def command(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            help="Its HTTP port; 0 takes any. Without it: as last time, else that of [DATABASE] url.",
        ),
    ] = None,
    no_password: Annotated[
        bool,
        typer.Option(
            "--no-password",
            help="Ask for no password: the original's notebook and query then work as they are.",
        ),
    ] = False,
) -> None:
    """Start QuestDB 9.3.4 under the data folder, for this machine alone; comes back once it answers.

    Needs no Docker, Maven or Java: both packages are installed on first use. Starting it twice is harmless.
    """
    from rekt import groups, shipping
    from rekt.stores.questdb.server import local_port

    groups.need("questdb-server", "rekt questdb start")
    settings = _common.settings(ctx)
    server = shipping.server(settings)
    if port is None:
        last = server.last()
        port = local_port(last.url if last else settings.section("DATABASE").text("url"))
    before = server.running()
    with _common.waiting("starting QuestDB"):
        running = server.start(port, password=not no_password, say=lambda line: typer.echo(line, err=True))
    typer.echo(f"QuestDB {running.version} {'already runs' if before else 'runs'}: {running.url}")
    login = f"user {running.user}, password in {server.folder / 'server.json'}"
    typer.echo(f"  data      {server.root}")
    typer.echo(f"  log       {server.log}")
    typer.echo(f"  SQL       {running.url} in a browser, PostgreSQL protocol on port {running.pg_port}")
    typer.echo(f"  login     {login if running.password else 'none asked; PostgreSQL: admin, quest'}")
    if before and bool(before.password) == no_password:
        typer.echo("  It was started the other way: `rekt questdb stop` first changes that.")
    if not shipping.wanted(settings):
        typer.echo("  `rekt run` ships to it once [DATABASE] engine is questdb.")
