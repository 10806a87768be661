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
from collections.abc import Mapping
from configparser import (
    DuplicateOptionError,
    DuplicateSectionError,
    MissingSectionHeaderError,
    ParsingError,
    RawConfigParser,
)
from contextlib import suppress
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from rekt.errors import ConfigError
from rekt.settings import KINDS, SECTIONS, Key, Kind, Section, Settings, known_sections

FILE = "credentials.ini"
TEMPLATES = "tweets.txt"

INTERNAL: Mapping[str, str] = {
    "REKT_CONFIG": "the configuration file, where --config does not name one",
    "REKT_PYTHON": "the Python that the launcher makes .venv with",
}
"""Variables that begin with REKT_ and are no setting of the file."""

_PLACEHOLDER = re.compile(r"(?i:your_).*")
_NO_SECTION = "\0"  # configparser's section of defaults: nobody can write this name


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
    pattern, words = KINDS.get(kind, (None, ""))
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


__all__ = [
    "FILE", "INTERNAL", "SECTIONS", "TEMPLATES", "Folders", "Key", "Kind", "Section", "Settings",
    "known_sections", "load", "user_folders", "variable",
]  # fmt: skip
