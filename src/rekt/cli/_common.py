"""What commands share: the global options, opening the ledger for reading, windows, and how figures are shown."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from rekt import log
from rekt.errors import UsageError
from rekt.fields import HOUR, parse_hour, parse_last, parse_time
from rekt.model import MICRO, HourSummary, Window

if TYPE_CHECKING:
    from rich.console import Console

    from rekt.config import Settings
    from rekt.store import Facts
    from rekt.stores.questdb.reads import QuestDBReader
    from rekt.stores.sqlite import Reader

LONG, SHORT, WARN, GOOD = (
    "#E69F00",
    "#56B4E9",
    "#D55E00",
    "#009E73",
)  # told apart by everyone; never colour alone

_log = logging.getLogger("rekt.cli")


class LogFormat(StrEnum):
    """How standard error is written."""

    text = "text"
    json = "json"


class Common:
    """The global options of one call, and what they open: the log's output and the settings."""

    def __init__(self) -> None:
        self.config: str | None = None
        self.verbose = False
        self.log_format: LogFormat | None = None
        self._output: log.Output | None = None
        self._settings: Settings | None = None

    def take(self, config: str | None, verbose: bool, log_format: LogFormat | None) -> None:
        """Add options; those that are given win over earlier ones."""
        self.config = config if config is not None else self.config
        self.verbose = verbose or self.verbose
        self.log_format = log_format or self.log_format

    def start_log(self) -> None:
        """Begin to log as the options say."""
        self._output = log.configure(
            verbose=self.verbose, form="json" if self.log_format is LogFormat.json else "text"
        )

    def settings(self) -> Settings:
        """The configuration, read once."""
        if self._settings is None:
            from rekt import app

            self._settings = app.settings(self.config)
            if self._settings.exposed:
                _log.warning("%s holds keys that others can read: chmod 600 it", self._settings.file)
        return self._settings

    def fail(self, error: BaseException, message: str, hint: str = "") -> None:
        """Say what went wrong on standard error, with the traceback where `--verbose` asks for it."""
        if self._output is None:
            self.start_log()
        if self.log_format is LogFormat.json:
            _log.error(
                message, exc_info=error if self.verbose else None, extra={"hint": hint} if hint else {}
            )
        elif self._output is not None:
            if self.verbose:
                self._output.put("".join(traceback.format_exception(error)), end="")
            self._output.put(f"rekt: {log.clean(message)}")
            if hint:
                self._output.put(f"      {log.clean(hint)}")

    def close(self) -> None:
        """Let what was logged reach its reader, if it reads."""
        if self._output is not None:
            self._output.close()


def settings(ctx: typer.Context) -> Settings:
    """The configuration that this call uses."""
    return ctx.ensure_object(Common).settings()


def passed_on(ctx: typer.Context) -> list[str]:
    """The global options, for a command that this one starts."""
    common = ctx.ensure_object(Common)
    given = ["--config", common.config] if common.config is not None else []
    given += ["--verbose"] if common.verbose else []
    return given + (["--log-format", common.log_format.value] if common.log_format else [])


def ledger(ctx: typer.Context) -> Reader:
    """The ledger, for reading in a `with`. Raises LedgerError, saying the way out, where there is none yet."""
    from rekt import app

    return app.reader(settings(ctx))


def options(ctx: typer.Context) -> list[str]:
    """The global options of this call, for a process beside this one."""
    common = ctx.ensure_object(Common)
    verbose = ["--verbose"] if common.verbose else []
    return [*verbose, *(["--log-format", common.log_format.value] if common.log_format else [])]


class StoreName(StrEnum):
    """Where to read from."""

    ledger = "ledger"
    questdb = "questdb"


StoreOption = Annotated[
    StoreName | None,
    typer.Option(
        "--store", help="Where to read: the ledger where there is one, else QuestDB if that is configured."
    ),
]


def store(ctx: typer.Context, name: StoreName | None, since: int) -> Reader | QuestDBReader:
    """The store to read from, in a `with`. `since`: the earliest time that is wanted, ms.

    Raises LedgerError or StoreError, saying the way out, where it can't be read.
    """
    from rekt import app, shipping

    chosen = settings(ctx)
    if name is StoreName.questdb or (
        name is None and shipping.wanted(chosen) and not chosen.ledger_path.exists()
    ):
        return shipping.reader(chosen)
    found = app.reader(chosen)
    if since < (sealed := int(found.meta("sealed_before") or 0)):
        _log.warning(
            "rows before %s were pruned from the ledger (its hourly sums stay): --store questdb has them",
            moment(sealed),
        )
    return found


def summary(reader: Facts, window: Window, now: int, venues: Collection[str] | None = None) -> HourSummary:
    """The numbers of a window: the one function that also the post, the dashboard and the API call."""
    from rekt import app
    from rekt.stats.summary import summarise

    return summarise(reader, window, now, traits=app.traits(), venues=venues)


def venue_of(name: str | None, reader: Facts | None) -> str | None:
    """The venue of `--venue`; None where it was not given.

    Raises UsageError for one that neither this program nor what is read (where it is here) knows.
    """
    if name is None:
        return None
    from difflib import get_close_matches

    from rekt import registry

    known = sorted({*(reader.venues() if reader else ()), *registry.names("rekt.venues")})
    if name.lower() in known:
        return name.lower()
    if name in known:
        return name
    near = get_close_matches(name.lower(), known, 1)
    raise UsageError(
        f"no venue is called {name!r}",
        hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}",
    )


def now_ms() -> int:
    """The time, ms."""
    return time.time_ns() // 1_000_000


Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, as documented.")]
VenueOption = Annotated[
    str | None, typer.Option("--venue", metavar="NAME", help="Only this venue, by its name.")
]
HourOption = Annotated[
    str | None,
    typer.Option("--hour", metavar="TIME", help="The hour that begins then, such as 2026-07-16T12 (UTC)."),
]
LastOption = Annotated[
    str | None, typer.Option("--last", metavar="LENGTH", help="The time up to now: 30m, 24h, 7d.")
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Begin: a date, hour, ISO time, now or -24h (UTC)."),
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="End, not included; now where it is left out.")
]


class Asked(NamedTuple):
    """The window a command line asks for."""

    window: Window
    hour: bool  # whether it was asked for as one hour
    chosen: bool  # False: nothing was said, it is the last closed hour


def asked(hour: str | None, last: str | None, start: str | None, end: str | None, now: int) -> Asked:
    """The window of `--hour`, `--last`, or `--from` and `--to`; the hour that ended last where none is given."""
    ways = [
        name for name, value in (("--hour", hour), ("--last", last), ("--from/--to", start or end)) if value
    ]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} exclude each other", hint="say the time in one way")
    if hour:
        window = parse_hour(hour, now)
        if window.start > now:
            raise UsageError(f"the hour {hour} has not begun")
        return Asked(window, hour=True, chosen=True)
    if last:
        length = parse_last(last)
        if not length:
            raise UsageError("--last is empty", hint="write 30m, 24h or 7d")
        return Asked(Window(now - length, now), hour=False, chosen=True)
    if start or end:
        if not start:
            raise UsageError("--to needs --from")
        window = Window(parse_time(start, now), parse_time(end, now) if end else now)
        if window.start >= window.end:
            raise UsageError("the window is empty", hint="--from must be before --to, which is not included")
        return Asked(window, hour=False, chosen=True)
    return Asked(last_hour(now), hour=True, chosen=False)


def last_hour(now: int) -> Window:
    """The hour that ended last."""
    end = now - now % HOUR
    return Window(end - HOUR, end)


def hours(window: Window) -> list[Window]:
    """The hours that begin in a window, in order."""
    first = window.start + -window.start % HOUR
    return [Window(start, start + HOUR) for start in range(first, window.end, HOUR)]


def print_json(value: object) -> None:
    """One object as one line on standard output."""
    sys.stdout.write(log.json_line(value) + "\n")


def console() -> Console:
    """Standard output for people: colours on a terminal (NO_COLOR is heeded), plain and wide enough elsewhere."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 110)


def usd(micro: int) -> str:
    """Micro-dollars for people, short: `$12.4 M`, `$412 k`, `$87`.

    >>> usd(12_400_000_000_000), usd(412_300_000_000), usd(87_400_000), usd(0)
    ('$12.40 M', '$412.3 k', '$87', '$0')
    """
    dollars = micro / MICRO
    for size, unit, digits in ((1e9, " B", 2), (1e6, " M", 2), (1e3, " k", 1)):
        if round(dollars, -2 if size > 1e3 else 0) >= size:
            return f"${dollars / size:,.{digits}f}{unit}"
    return f"${dollars:,.0f}"


def percent(share: float) -> str:
    """A share from 0 to 1 for people; what is not all never rounds to it.

    >>> percent(1.0), percent(0.99996), percent(0.0847), percent(0.0)
    ('100 %', '99.9 %', '8.5 %', '0 %')
    """
    tenths = 1000 if share >= 1 else min(999, round(share * 1000))
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10} %"


def bar(share: float, width: int) -> str:
    """A bar of a share from 0 to 1, in eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def moment(ms: int) -> str:
    """A time for people, to the minute where it is one: `2026-07-16 12:00`, else to the second."""
    shown = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ms // 1000))
    return shown.removesuffix(":00")


def length(ms: int) -> str:
    """A length of time for people: `1 h 5 min`, `12 s`.

    >>> length(3_900_000), length(12_400), length(90_000_000)
    ('1 h 5 min', '12 s', '1 d 1 h')
    """
    seconds = round(ms / 1000)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if count := seconds // size:
            parts.append(f"{count} {unit}")
            seconds -= count * size
    return " ".join(parts[:2]) or "0 s"


def size(count: int) -> str:
    """Bytes for people: `4.2 MB`.

    >>> size(4_200_000), size(812)
    ('4.2 MB', '812 B')
    """
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on standard error, on a terminal: a function that takes how far it is, of how much, and words."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done, _whole, _words: None
        return
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.fields[words]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("", total=None, words="")

        def tell(done: int, whole: int, words: str) -> None:
            shown.update(task, completed=done, total=whole, words=words)

        yield tell


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on standard error that something is at work, on a terminal; it may take longer than a second."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        yield
