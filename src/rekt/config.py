"""credentials.ini and the environment, read once into frozen settings.

    settings = load(None, os.environ, extra={"TOYEX": venue.keys}, launcher_root=checkout(), cwd=Path.cwd())
    settings.section("TOYEX").text("ws_url")

Which file: `--config`, else `REKT_CONFIG`, else `credentials.ini` in the working directory, beside the launcher, in
the user's configuration folder; else none, and the defaults hold. Each key can be set by `REKT_<SECTION>_<KEY>`,
which wins over the file. A placeholder (empty, or `YOUR_…`) counts as absent, in the file and in the environment.

A value is all that follows `=` to the end of its line: `%`, `#`, `;` and quotes are part of it, so a comment has a
line of its own. Relative paths never depend on the working directory: in the file they start from its folder, in the
environment from the checkout, or from the user's data folder where there is none. `~` is the user's home.

What is wrong raises ConfigError with the place and the nearest known name, never with the value of a secret.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from configparser import (
    DuplicateOptionError,
    DuplicateSectionError,
    MissingSectionHeaderError,
    ParsingError,
    RawConfigParser,
)
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from rekt.errors import ConfigError

Kind = Literal["text", "number", "whole", "flag", "path", "name", "engine", "origin", "secret"]


class Key(NamedTuple):
    """One documented setting: its kind, its default as it would stand in the file, and a sentence on it."""

    kind: Kind
    default: str
    doc: str


FILE = "credentials.ini"
TEMPLATES = "tweets.txt"

SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "TWITTER": {
        "consumer_key": Key("secret", "", "API key of the app at X's developer portal."),
        "consumer_secret": Key("secret", "", "Its secret."),
        "access_token": Key("secret", "", "Access token of the account that posts (read and write)."),
        "access_token_secret": Key("secret", "", "Its secret."),
        "api_url": Key("text", "https://api.x.com", "Where X's API is; every call to X goes there."),
        "allow_links": Key(
            "flag", "no", "Whether posts may hold addresses; X takes $0.20 instead of $0.015."
        ),
    },
    "DATABASE": {
        "path": Key(
            "path",
            "",
            "The ledger's file. Default: data/<name>.db beside the launcher, in an installed rekt <name>.db in "
            "the user's data folder. Everything else that is kept lies in the same folder.",
        ),
        "name": Key(
            "name", "liqui", "Name of QuestDB's table, and of the ledger's file where no path is set."
        ),
        "batch_size": Key(
            "whole",
            "50",
            "Accepted for old files. Nothing waits for a batch to fill; above 1000 it caps a shipped batch.",
        ),
        "engine": Key(
            "engine",
            "sqlite",
            "sqlite: the ledger alone. questdb: `rekt run` also ships every row of it to a QuestDB server.",
        ),
        "url": Key(
            "origin",
            "http://localhost:9000",
            "Where QuestDB's HTTP port is. Unset: the server of `rekt questdb start`, else the default.",
        ),
        "user": Key("text", "", "QuestDB's HTTP user. The server of `rekt questdb start` needs none here."),
        "password": Key("secret", "", "Its password."),
        "ttl_days": Key("whole", "0", "QuestDB drops its rows after so many days; 0 keeps them."),
        "keep_days": Key(
            "whole",
            "0",
            "With engine questdb: the ledger drops the rows of days older than this, once they are proved to be in "
            "QuestDB; the hours' sums stay. At least 8; 0 keeps all.",
        ),
    },
    "VENUES": {
        "enabled": Key("text", "binance", "The venues that are recorded, with commas between them, or all."),
    },
    "POST": {
        "templates": Key(
            "path",
            "",
            "The posts' templates, one a line. Default: tweets.txt beside this file, else in the working "
            "directory, else the built-in ones.",
        ),
        "to": Key("text", "", "Services to post to, such as x, bluesky. Default: all whose keys are set."),
        "picture": Key("flag", "yes", "Whether posts have a picture."),
        "theme": Key("text", "dark", "The picture's: dark or light."),
        "min_coverage": Key(
            "number",
            "0.98",
            "Below this share of the hour recorded at a venue, the text says how many minutes it covers.",
        ),
        "skip_coverage": Key(
            "number",
            "0.5",
            "Below this share of the hour recorded, a venue is left out of the post; with none left, nothing is posted.",
        ),
        "monthly_budget_usd": Key(
            "number", "25", "What X may cost in a calendar month (UTC); then nothing more is posted there."
        ),
        "deadline_minutes": Key(
            "number", "20", "An hour that could not be posted so long after its end is left out."
        ),
        "settle_seconds": Key(
            "number", "30", "How long to wait before an unclear outcome is looked up at the service."
        ),
        "big_usd": Key("number", "0", "Post a single liquidation from this size on, at once. 0: never."),
        "big_percentile": Key(
            "number",
            "0",
            "Or from this percentile of the symbol's last 30 days on, such as 99.9; big_usd is then the least.",
        ),
        "cascade_usd": Key("number", "0", "Post a cascade: so much within cascade_minutes. 0: never."),
        "cascade_minutes": Key("number", "5", "The length of time that cascade_usd is held against."),
        "cooldown_minutes": Key(
            "number", "15", "Between two such posts; what happens meanwhile is added up."
        ),
    },
    "ALERTS": {
        "urls": Key(
            "secret",
            "",
            "Where the operator is told of trouble: Apprise addresses, separated by spaces (mailto, slack, ntfy …).",
        ),
        "feed_seconds": Key("number", "60", "Tell when the feed has shown no sign of life for so long."),
        "sink_seconds": Key("number", "300", "Tell when QuestDB has not got what was recorded so long ago."),
    },
    "DASHBOARD": {
        "host": Key("text", "127.0.0.1", "Address the dashboard listens on; any but loopback needs a token."),
        "port": Key("whole", "8765", "Its port; 0 takes a free one."),
        "token": Key("secret", "", "What a reader must know, where it is set."),
        "hosts": Key("text", "", "Further names that browsers know it by, with commas: dash.example.com."),
    },
}
"""The sections every rekt knows; venues bring one each, named after them in capitals."""

INTERNAL: Mapping[str, str] = {
    "REKT_CONFIG": "the configuration file, where --config does not name one",
    "REKT_PYTHON": "the Python that the launcher makes .venv with",
}
"""Variables that begin with REKT_ and are no setting of the file."""

_KINDS: Mapping[Kind, tuple[str, str]] = {
    "number": (r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?|\.[0-9]+", "a number, 0 or above"),
    "whole": (r"[0-9]{1,18}", "a whole number, 0 or above"),
    "flag": (r"(?i:yes|no|true|false|on|off|1|0)", "yes or no"),
    "engine": (r"sqlite|questdb", "sqlite or questdb"),
    "origin": (r"https?://[^\s/@?#]+/?", "an address such as http://localhost:9000, without a path or user"),
    "name": (r"[A-Za-z_][A-Za-z0-9_]{0,62}", "a name of letters, digits and _ (it names a table and a file)"),
}
_PLACEHOLDER = re.compile(r"(?i:your_).*")
_NO_SECTION = "\0"  # configparser's section of defaults: nobody can write this name


class Section(Mapping[str, str]):
    """The settings of one section, defaults applied; as a mapping it has the text of each, "" where there is none.

    Its repr names the keys and tells no value.
    """

    def __init__(self, name: str, values: Mapping[str, str]) -> None:
        self.name = name
        self._values = MappingProxyType(dict(values))

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Section({self.name}: {', '.join(self._values)})"

    def text(self, key: str) -> str:
        """The text, "" where nothing is set and there is no default."""
        return self._values[key]

    def optional(self, key: str) -> str | None:
        """The text, None where nothing is set and there is no default."""
        return self._values[key] or None

    def number(self, key: str) -> float:
        """A number, 0 or above."""
        return float(self._values[key])

    def whole(self, key: str) -> int:
        """A whole number, 0 or above."""
        return int(self._values[key])

    def flag(self, key: str) -> bool:
        """Yes or no."""
        return self._values[key].lower() in {"yes", "true", "on", "1"}

    def path(self, key: str) -> Path | None:
        """An absolute path, None where nothing is set."""
        return Path(self._values[key]) if self._values[key] else None


@dataclass(frozen=True)
class Settings:
    """Everything configured, checked and with defaults applied."""

    file: Path | None  # the configuration file in use
    exposed: bool  # the file holds real keys, and others than its owner can read or change it
    home: Path  # the checkout, or the user's data folder where there is none
    ledger_path: Path
    templates_path: Path | None  # None: the built-in ones
    sections: Mapping[str, Section]

    @property
    def data_folder(self) -> Path:
        """The ledger's folder: tapes, posts, archive and the rest lie beside it."""
        return self.ledger_path.parent

    def section(self, name: str) -> Section:
        """One section; a name that nothing brought is a KeyError."""
        return self.sections[name]


class Folders(NamedTuple):
    """Where this user's files are."""

    config: Path
    data: Path


def user_folders(environ: Mapping[str, str], platform: str = sys.platform) -> Folders:
    """The user's configuration and data folders of this platform (XDG, or Application Support on macOS)."""
    home = _home(environ)
    if platform == "darwin":
        both = home / "Library" / "Application Support" / "rekt"
        return Folders(both, both)

    def folder(variable: str, default: str) -> Path:
        value = environ.get(variable, "")
        return (
            Path(value) if value.startswith("/") else home / default
        ) / "rekt"  # XDG: a relative one is void

    return Folders(folder("XDG_CONFIG_HOME", ".config"), folder("XDG_DATA_HOME", ".local/share"))


def known_sections(extra: Mapping[str, Mapping[str, Key]]) -> dict[str, Mapping[str, Key]]:
    """Every section with its keys, in the order of documents: the fixed ones, then what adapters bring."""
    return {**SECTIONS, **{name: extra[name] for name in sorted(extra)}}


def variable(section: str, key: str) -> str:
    """The environment variable that sets a key."""
    return f"REKT_{section}_{key}".upper()


def load(
    path: str | None,
    environ: Mapping[str, str],
    *,
    extra: Mapping[str, Mapping[str, Key]],
    launcher_root: Path | None,
    cwd: Path | None,
    platform: str = sys.platform,
) -> Settings:
    """Read the configuration. Raises ConfigError; `cwd` is None where the working directory is gone."""
    known = known_sections(extra)
    folders = user_folders(environ, platform)
    file = _find(path, environ, [cwd, launcher_root, folders.config], cwd)
    written, places, mode = _read(file, known) if file else ({}, {}, 0)
    given = _environment(environ, known)

    home = launcher_root or folders.data
    sections: dict[str, Section] = {}
    for name, keys in known.items():
        values: dict[str, str] = {}
        for key, spec in keys.items():
            value, place, base = spec.default, "", home
            if text := _real(written.get((name, key))):
                value, place, base = text, places[name, key], file.parent if file else home
            if text := _real(given.get((name, key))):
                value, place, base = text, variable(name, key), home
            if place:
                _check(spec.kind, value, f"{place}: [{name}] {key}")
            if spec.kind == "path" and value:
                value = str(base / _expand(value, environ))
            values[key] = value
        sections[name] = Section(name, values)

    secrets = [
        (name, key) for name, keys in known.items() for key, spec in keys.items() if spec.kind == "secret"
    ]
    database = sections["DATABASE"]
    default = (home / "data" if launcher_root else home) / f"{database.text('name')}.db"
    return Settings(
        file=file,
        exposed=bool(mode & 0o066) and any(_real(written.get(secret)) for secret in secrets),
        home=home,
        ledger_path=database.path("path") or default,
        templates_path=sections["POST"].path("templates") or _templates(file, cwd),
        sections=MappingProxyType(sections),
    )


def _find(
    path: str | None, environ: Mapping[str, str], folders: list[Path | None], cwd: Path | None
) -> Path | None:
    named = path if path is not None else environ.get("REKT_CONFIG") or None
    if named is not None:
        expanded = _expand(named, environ)
        return cwd / expanded if cwd else expanded
    return _first(folders, FILE)


def _templates(file: Path | None, cwd: Path | None) -> Path | None:
    return _first([file.parent if file else None, cwd], TEMPLATES)


def _first(folders: list[Path | None], name: str) -> Path | None:
    """The first of these folders' files of this name; a folder that may not be entered has none for us."""
    for folder in folders:
        with suppress(OSError):
            if folder is not None and (folder / name).is_file():
                return folder / name
    return None


Setting = tuple[str, str]  # section, key


def _read(
    file: Path, known: Mapping[str, Mapping[str, Key]]
) -> tuple[dict[Setting, str], dict[Setting, str], int]:
    """What the file sets, the place of each setting, and the file's mode."""
    try:
        with file.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            data = stream.read()
    except OSError as error:
        hint = "`rekt init` writes one" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"the configuration {file} can't be read: {error.strerror}", hint=hint) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: not written in UTF-8", hint="save it as UTF-8") from None
    parser = _parse(file, text)
    written: dict[Setting, str] = {}
    places: dict[Setting, str] = {}
    for section in parser.sections():
        start = _line(text, section)
        if section not in known:
            raise ConfigError(
                f"{file}:{start}: no section is called [{_shown(section)}]", hint=_near(section, known)
            )
        for key, value in parser.items(section):
            place = f"{file}:{_line(text, section, key)}"
            if key not in known[section]:
                raise ConfigError(
                    f"{place}: [{section}] has no key called {_shown(key)!r}",
                    hint=_near_key(section, key, known),
                )
            if "\n" in value:
                hint = "an indented line continues the one above; begin each key at the start of its line"
                raise ConfigError(f"{place}: [{section}] {key} goes over several lines", hint=hint)
            written[section, key] = value
            places[section, key] = place
    return written, places, mode


def _parse(file: Path, text: str) -> RawConfigParser:
    """The file's sections and keys. Its own error messages quote lines, which may hold keys: they are not passed on."""
    parser = RawConfigParser(default_section=_NO_SECTION, empty_lines_in_values=False)
    try:
        parser.read_string(text)
    except DuplicateSectionError as error:
        raise ConfigError(
            f"{file}:{error.lineno}: the section [{_shown(error.section)}] is there twice"
        ) from None
    except DuplicateOptionError as error:
        section, key = _shown(error.section), _shown(error.option)
        raise ConfigError(f"{file}:{error.lineno}: [{section}] {key} is set twice") from None
    except MissingSectionHeaderError as error:
        hint = "begin with a section such as [TWITTER]"
        raise ConfigError(f"{file}:{error.lineno}: a line before any section", hint=hint) from None
    except ParsingError as error:
        lines = [number for number, _ in error.errors]
        place = f"{file}:{lines[0]}" if lines else str(file)
        hint = "write key = value, [SECTION], or # comment"
        raise ConfigError(f"{place}: this line is not understood", hint=hint) from None
    return parser


def _line(text: str, section: str, key: str | None = None) -> int:
    """The line of a section, or of a key in it (configparser does not tell)."""
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if header := RawConfigParser.SECTCRE.match(line.strip()):
            inside = header["header"] == section
            if inside and key is None:
                return number
        elif inside and key is not None and re.split("[=:]", line, maxsplit=1)[0].strip().lower() == key:
            return number
    return 1


def _environment(environ: Mapping[str, str], known: Mapping[str, Mapping[str, Key]]) -> dict[Setting, str]:
    variables = {variable(section, key): (section, key) for section, keys in known.items() for key in keys}
    given: dict[Setting, str] = {}
    for name, value in environ.items():
        if name in variables:
            given[variables[name]] = value.strip()
        elif name.startswith("REKT_") and name not in INTERNAL:
            near = _near(name, [*variables, *INTERNAL])
            raise ConfigError(f"environment: no setting is called {_shown(name)}", hint=near)
    return given


def _real(value: str | None) -> str | None:
    """The value, None where it is absent or a placeholder."""
    return None if not value or _PLACEHOLDER.fullmatch(value) else value


def _check(kind: Kind, value: str, place: str) -> None:
    pattern, words = _KINDS.get(kind, (None, ""))
    if pattern is None:
        if not value.isprintable():
            raise ConfigError(f"{place} holds a character that can't be seen", hint="write it anew, by hand")
    elif not re.fullmatch(pattern, value, re.ASCII) or (kind == "number" and not isfinite(float(value))):
        hint = "a comment has a line of its own" if re.search(r"\s[#;]", value) else ""
        raise ConfigError(f"{place} must be {words}, not {_shown(value)!r}", hint=hint)


def _near(name: str, known: Mapping[str, object] | list[str]) -> str:
    names = list(known)
    folded = {known_name.lower(): known_name for known_name in names}
    near = get_close_matches(name.lower(), folded, 1)
    if near:
        return f"did you mean {folded[near[0]]}?"
    return f"known: {', '.join(names)}" if len(names) <= 12 else ""


def _near_key(section: str, key: str, known: Mapping[str, Mapping[str, Key]]) -> str:
    elsewhere = [name for name, keys in known.items() if key in keys]
    return f"it belongs in [{elsewhere[0]}]" if elsewhere else _near(key, known[section])


def _shown(name: str) -> str:
    """A name from the file as it may be shown: short and printable (a key pasted as a line by itself is neither)."""
    return name if name.isprintable() and len(name) <= 48 else f"{name[:8]!r}…"


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else _expand("~", environ)


def _expand(text: str, environ: Mapping[str, str]) -> Path:
    if environ.get("HOME") and (text == "~" or text.startswith("~/")):
        return Path(environ["HOME"]) / text[2:]
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{_shown(text)} begins with the home folder of nobody known here") from None
