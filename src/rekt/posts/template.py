r"""Templates of posts: one a line in `tweets.txt`, as in the original, or more telling with names. Pure.

    {} liquidations in an hour: ${:,.0f}. The largest: ${:,.0f} \U0001F525
    [heavy]
    {liquidations} took {total} in an hour, {long_share} % of it from longs \U0001F30A

Positional fields are the hour's count (an int), its total and its largest (floats, USD); they may be numbered and carry
a number's format. The names are those of `NAMES`. Nothing else is understood: no attributes, indexes or conversions.
`\U0001F340`, `\u20bf` and `\n` stand for the character. A line that begins with `# ` is a comment.

A line `[mood]` begins a section: what follows is for hours of that mood; lines before any section are for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from string import Formatter
from typing import Final, NamedTuple

from rekt.errors import ConfigError

MOODS: Final = ("empty", "record", "whale", "heavy", "longs", "shorts", "quiet", "normal")
"""The moods of an hour, the most telling first."""

NAMES: Final[Mapping[str, str]] = {
    "count": "liquidations, as 1,284",
    "liquidations": "the same with its word: 1,284 liquidations, 1 liquidation, no liquidations",
    "total": "what they add up to, as $12.4M",
    "largest": "the largest single one, as $412k",
    "largest_symbol": "its coin, as ETH",
    "largest_side": "long or short: the position that was liquidated",
    "long_total": "of the total, longs",
    "short_total": "of the total, shorts",
    "long_share": "longs in percent of the total, as 79",
    "short_share": "shorts in percent of the total",
    "top_symbols": "up to three coins with the largest totals, as ETH, BTC, SOL",
    "vs_hour": "against the hour before, as 34 % above the hour before",
    "vs_day": "against the mean of 24 h, as 34 % above the mean of 23 h",
    "vs_week": "against the mean of 7 days, as twice the mean of 160 h",
    "vs_month": "against the mean of 30 days",
    "venues": "whose they are: the venue's name, or names; of more than three how many they are",
    "hour": "the hour, as 2026-07-16 12:00 UTC",
    "minutes": "how many minutes of it were recorded",
}
"""What a template may name. One that an hour can't answer (the largest of an empty hour) passes the template over."""

NUMBERS: Final = {
    "count", "total", "largest", "long_total", "short_total", "long_share", "short_share", "minutes",
}  # fmt: skip
_ESCAPE = re.compile(r"\\(?:U([0-9A-Fa-f]{8})|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([n\\]))")
_SPEC = re.compile(
    r"(?:[^{}]?[<>=^])?[-+ ]?z?#?0?(?P<width>\d*)[,_]?(?:\.(?P<precision>\d+))?[deEfFgG%]?", re.ASCII
)
_SECTION = re.compile(r"\[([A-Za-z]+)\]")
_WIDEST, _FINEST = 40, 12
_HINT = (
    "fields are {}, {0}, or a documented name, with a number's format such as {:,.2f}; write {{ for a brace"
)


class Template(NamedTuple):
    """One line of a template file, checked."""

    text: str  # escapes decoded
    line: int
    mood: str = ""  # "": any


class Fault(NamedTuple):
    """A line that can't be a template."""

    line: int
    message: str


def templates(path: Path | None, built_in: Sequence[str]) -> list[Template]:
    """The templates of a file, or the built-in ones. Raises ConfigError, naming file and line, for a bad one."""
    if path is None:
        return parse(built_in, "built-in")
    return parse(lines_of(path), str(path)) or parse(built_in, "built-in")


def lines_of(path: Path) -> list[str]:
    """The lines of a file. Raises ConfigError."""
    try:
        return path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise ConfigError(f"the templates {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not written in UTF-8", hint="save it as UTF-8") from None


def parse(lines: Sequence[str], name: str) -> list[Template]:
    """The templates in these lines. Raises ConfigError for the first line that can't be one."""
    found, faults = check(lines)
    if faults:
        raise ConfigError(f"{name}:{faults[0].line}: {faults[0].message}", hint=_HINT)
    return found


def check(lines: Sequence[str]) -> tuple[list[Template], list[Fault]]:
    """The templates in these lines, and every line that can't be one."""
    found: list[Template] = []
    faults: list[Fault] = []
    mood = ""
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("# "):
            continue
        try:
            if section := _SECTION.fullmatch(line):
                mood = _mood(section[1].lower())
            else:
                found.append(Template(_checked(_unescaped(line)), number, mood))
        except (ValueError, IndexError, KeyError, OverflowError) as error:
            faults.append(Fault(number, str(error)))
    return found, faults


def fields(text: str) -> list[tuple[str, str | None, str]]:
    """A template in parts: words, then a field's name (positional ones numbered; None at the end) and its format."""
    parts, turn = [], 0
    for words, field, spec, _ in Formatter().parse(text):
        if field == "":
            field, turn = str(turn), turn + 1
        parts.append((words, field, spec or ""))
    return parts


def _mood(name: str) -> str:
    if name in MOODS:
        return name
    near = get_close_matches(name, MOODS, 1)
    known = f"did you mean [{near[0]}]?" if near else f"known: {', '.join(MOODS)}"
    raise ValueError(f"no mood is called [{name}]; {known}")


def _unescaped(line: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return chr(int(code, 16)) if code else {"n": "\n", "\\": "\\"}[match[4]]

    try:
        text = _ESCAPE.sub(character, line)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")  # joins \ud83d\udd25
    except ValueError:
        raise ValueError("an escape that stands for no character") from None


def _checked(text: str) -> str:
    """The text, if it is a template that any hour can be put into."""
    positions: list[str] = []
    for _, field, spec, conversion in Formatter().parse(text):
        if field is None:
            continue
        if field not in {"", "0", "1", "2"} and field not in NAMES:
            near = get_close_matches(field, NAMES, 1)
            more = f"; did you mean {{{near[0]}}}?" if near else ""
            raise ValueError(f"the field {{{field}}} is not known{more}")
        if conversion is not None:
            raise ValueError(f"a field can't be converted (!{conversion})")
        if field in NAMES and field not in NUMBERS and spec:
            raise ValueError(f"{{{field}}} is words: it takes no format {spec!r}")
        form = _SPEC.fullmatch(spec or "")
        if form is None:
            raise ValueError(f"the format of a field, {spec!r}, is not one of a number")
        if int(form["width"] or 0) > _WIDEST or int(form["precision"] or 0) > _FINEST:
            raise ValueError(
                f"the format {spec!r} is too wide: {_WIDEST} characters, {_FINEST} decimals at most"
            )
        if field not in NAMES:
            positions.append(field)
        for value in (0.0, 1e15) if field not in {"", "0", "count", "minutes"} else (0, 10_000_000):
            format(value, spec or "")
    if positions.count("") > 3:
        raise ValueError(f"{positions.count('')} fields, an hour has three: count, total, largest")
    if "" in positions and len(set(positions)) > 1:
        raise ValueError("{} and numbered fields exclude each other")
    for place, field in enumerate(positions):  # {:d} is for the count alone
        spec = next(part[2] for part in [p for p in fields(text) if p[1] in {"0", "1", "2"}][place:])
        format((0, 0.0, 0.0)[int(field or place)], spec)
    return text
