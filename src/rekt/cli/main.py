"""The command `rekt`: finds the commands by file name, and turns what goes wrong into a line and an exit code.

A file `rekt/cli/NAME.py` with a function `command(ctx: typer.Context, ...)` is the command NAME; its docstring is
the help. It imports what it needs in its body, so that `rekt --help` stays quick. A folder `rekt/cli/NAME/` holds the
commands `rekt NAME ...` in the same way; its own `command`, if it has one, is what `rekt NAME` alone does.

Exit codes: 0 well, 1 failed, 2 wrong use or configuration, 130 interrupted. A reader that hangs up (`| head`) is well.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rekt import __version__, registry
from rekt.cli._common import Common, LogFormat
from rekt.errors import RektError
from rekt.groups import GroupError

PACKAGE = "rekt.cli"
PANEL = "For every command"

Config = Annotated[
    str | None,
    typer.Option("--config", metavar="PATH", help="The configuration file to use.", rich_help_panel=PANEL),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell every step on standard error.", rich_help_panel=PANEL)
]
Format = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format", help="How standard error is written: text (default) or json.", rich_help_panel=PANEL
    ),
]


class Folder(TyperGroup):
    """The files of a folder as commands, imported one by one when asked for; a folder in it is a group of its own."""

    package = PACKAGE

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is Click's
        """The names, sorted."""
        return [name.replace("_", "-") for name in registry.names(self.package) if name != "main"]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; a wrong one is answered with the nearest."""
        if cmd_name not in self.list_commands(ctx):
            near = get_close_matches(cmd_name, self.list_commands(ctx), 1)
            ctx.fail(f"No command is called {cmd_name!r}" + (f"; did you mean {near[0]!r}?" if near else "."))
        module = registry.load(self.package, cmd_name.replace("-", "_"))
        if hasattr(module, "__path__"):
            return _folder(cmd_name, module)
        function = module.command
        single = typer.Typer(add_completion=False, context_settings=_CONTEXT)
        single.command(cmd_name)(_everywhere(function))
        return typer.main.get_command(single)


class Commands(Folder):
    """The commands of `rekt`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the one place where errors become words and exit codes."""
        common = ctx.ensure_object(Common)
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except BrokenPipeError:
            _hush()
            raise SystemExit(0) from None
        except (RektError, GroupError) as error:
            common.fail(error, error.message, error.hint)
            raise SystemExit(error.exit_code) from None
        except OSError as error:
            common.fail(error, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
            raise SystemExit(1) from None
        else:
            return result
        finally:
            common.close()


_CONTEXT = {"help_option_names": ["-h", "--help"]}


def _folder(name: str, module: ModuleType) -> Folder:
    """A folder as a command; where it has a `command` of its own, that is what the bare name does."""
    function = getattr(module, "command", None)
    help_text = inspect.getdoc(function or module)
    bare = function is not None
    group = Folder(
        name=name,
        help=help_text,
        no_args_is_help=not bare,
        invoke_without_command=bare,
        context_settings=_CONTEXT,
    )
    group.package = module.__name__
    if function is not None:
        single = typer.Typer(add_completion=False, context_settings=_CONTEXT)
        single.command(name)(_everywhere(function))
        own = typer.main.get_command(single)
        group.params, group.callback = own.params, own.callback
    return group


def _everywhere(function: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the global options after its name too; there they win over those before it."""

    def command(ctx: typer.Context, **given: Any) -> Any:
        common = ctx.ensure_object(Common)
        common.take(given.pop("config"), given.pop("verbose"), given.pop("log_format"))
        if ctx.invoked_subcommand is not None:
            if any(given.values()):
                ctx.fail(f"Options of {ctx.info_name!r} itself don't go with {ctx.invoked_subcommand!r}.")
            return None
        common.start_log()
        return function(ctx, **given)

    own = inspect.signature(function, eval_str=True)
    extra = [
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Config),
        inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Verbose),
        inspect.Parameter("log_format", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Format),
    ]
    command.__signature__ = own.replace(parameters=[*own.parameters.values(), *extra])  # type: ignore[attr-defined]
    command.__doc__ = function.__doc__
    command.__annotations__ = {}
    return command


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rekt {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    context_settings=_CONTEXT,
    pretty_exceptions_enable=False,
)


@app.callback()
def _globals(
    ctx: typer.Context,
    config: Config = None,
    verbose: Verbose = False,
    log_format: Format = None,
    version: Annotated[  # noqa: ARG001 - its callback has acted on it
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Records the liquidations of futures markets, adds them up by the hour, posts and shows them."""
    ctx.ensure_object(Common).take(config, verbose, log_format)


def _hush() -> None:
    """Nobody reads standard output any more: what is still buffered goes nowhere, without a complaint at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def main(args: Sequence[str] | None = None) -> None:
    """Run a command line, by default the process's own; ends in SystemExit."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(
                errors="backslashreplace"
            )  # a terminal of another encoding gets an escape, not a crash
    try:
        typer.main.get_command(app).main(args, prog_name="rekt")
    except BrokenPipeError:
        _hush()
    except SystemExit as end:
        # Whatever a look-up of a name that hangs, or a service past its time, is waiting for, the interpreter would
        # wait for it too; all that matters is written.
        if args is None and any(t.name.startswith(("asyncio_", "post ")) for t in threading.enumerate()):
            os._exit(end.code if isinstance(end.code, int) else 1)
        raise
