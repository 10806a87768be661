r"""The hour's post from a template: one a line in `tweets.txt`, as in the original.

A template's positional fields are given the hour's count (an int), its total and its largest (floats, USD):

    {} liquidations in an hour: ${:,.0f}. The largest: ${:,.0f} \U0001F525

Fields may be numbered (`{0}`, `{1:,.2f}`, `{2}`) and carry a format specification of numbers; nothing else is
understood: no names, attributes, indexes or conversions. `\U0001F340`, `\u20bf` and `\n` stand for the character.
A line that begins with `# ` is a comment. Every text carries its UTC date and hour: it is appended where it is absent.

Which template an hour gets depends on the hour alone, one after the other; one whose text would be too long is passed
over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Literal, NamedTuple

from rekt.errors import ConfigError
from rekt.fields import HOUR
from rekt.model import MICRO, HourSummary
from rekt.posts.length import LIMIT, weighted_length

SKIP_COVERAGE = 0.5  # below it the figures say too little to be told

BUILT_IN = (
    r"Liquidations in the last hour: {}. Burned: ${:,.0f}. The largest single one: ${:,.0f} \U0001F525",
    r"Forced exits this hour: {}. Gone: ${:,.0f}, ${:,.0f} of it in a single order \U0001F4A5",
    r"${1:,.0f} of leveraged positions closed by force within an hour, ${2:,.0f} of it in one go. Liquidations: {0} \U0001F4C9",
    r"Margin calls answered by the exchange: {}. Bill for the hour: ${:,.0f}. Most expensive position: ${:,.0f} \U0001F9FE",
    r"Another hour on Binance futures. Liquidations: {}. Total: at least ${:,.0f}. Largest: ${:,.0f} \U0001F56F\uFE0F",
    r"The hour in three numbers \u2013 liquidations: {}, total: ${:,.0f}, largest: ${:,.0f} \U0001F340",
    r"Leverage cuts both ways: at least ${1:,.0f} liquidated in an hour, ${2:,.0f} of it from one position. Liquidations: {0} \u2694\uFE0F",
    r"Liquidations seen: {}. Money burned: ${:,.0f}. Saddest position: ${:,.0f} \U0001F4B8",
)
"""The templates that `rekt init` writes and that hold where there is no file; they read well for any count."""


class Template(NamedTuple):
    """One line of a template file, checked."""

    text: str  # escapes decoded
    line: int


class Post(NamedTuple):
    """A rendered post, and whether the hour deserves one."""

    hour: int  # ms
    text: str
    weighted_length: int
    would: Literal["post", "skip"]
    reason: str


def templates(path: Path | None) -> list[Template]:
    """The templates of a file, or the built-in ones. Raises ConfigError, naming file and line, for a bad one."""
    if path is None:
        return parse(BUILT_IN, "built-in")
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"the templates {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not written in UTF-8", hint="save it as UTF-8") from None
    return parse(text.split("\n"), str(path)) or parse(BUILT_IN, "built-in")


def parse(lines: Sequence[str], name: str) -> list[Template]:
    """The templates in these lines. Raises ConfigError for a line that can't be one."""
    found = []
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if line and not line.startswith("# "):
            try:
                found.append(Template(_checked(_unescaped(line)), number))
            except (ValueError, IndexError, KeyError, OverflowError) as error:
                hint = "fields are {} or {0} with a number's format, such as {:,.2f}; write {{ for a brace"
                raise ConfigError(f"{name}:{number}: {error}", hint=hint) from None
    return found


def compose(summary: HourSummary, choices: Sequence[Template]) -> Post:
    """The post of an hour. Pure: the same summary and templates give the same text."""
    start = summary.window.start
    label = f"{datetime.fromtimestamp(start // 1000, UTC):%Y-%m-%d %H:%M} UTC"
    largest = summary.largest.notional if summary.largest else 0
    values = (summary.count, summary.total / MICRO, largest / MICRO)
    turn = start // HOUR
    own = [choices[(turn + step) % len(choices)] for step in range(len(choices))]
    for template in [*own, *parse(BUILT_IN[:1], "built-in")]:
        text = template.text.format(*values).strip()
        if label not in text:
            text = f"{text} · {label}"
        if (size := weighted_length(text)) <= LIMIT:
            would, reason = gate(summary)
            return Post(start, text, size, would, reason)
    raise AssertionError("the built-in template fits any hour")  # pragma: no cover - its figures are bounded


def gate(summary: HourSummary) -> tuple[Literal["post", "skip"], str]:
    """Whether an hour deserves a post, and the reason where it does not (or is worth knowing)."""
    if not summary.final:
        return "skip", "the hour is not final yet: events of it may still come"
    if summary.coverage < SKIP_COVERAGE:
        return (
            "skip",
            f"only {summary.coverage * 100:.4g} % of the hour was recorded, {SKIP_COVERAGE * 100:.4g} % are needed",
        )
    return "post", ""


_ESCAPE = re.compile(r"\\(?:U([0-9A-Fa-f]{8})|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([n\\]))")
_SPEC = re.compile(
    r"(?:[^{}]?[<>=^])?[-+ ]?z?#?0?(?P<width>\d*)[,_]?(?:\.(?P<precision>\d+))?[deEfFgG%]?", re.ASCII
)
_WIDEST, _FINEST = 40, 12


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
    named: list[str] = []
    for _, field, spec, conversion in Formatter().parse(text):
        if field is None:
            continue
        if field not in {"", "0", "1", "2"}:
            raise ValueError(f"the field {{{field}}} is not known: an hour has three, {{0}} to {{2}}")
        form = _SPEC.fullmatch(spec or "")
        if conversion is not None or form is None:
            raise ValueError(
                f"the format of a field, {'!' + conversion if conversion else spec!r}, is not one of a number"
            )
        if int(form["width"] or 0) > _WIDEST or int(form["precision"] or 0) > _FINEST:
            raise ValueError(
                f"the format {spec!r} is too wide: {_WIDEST} characters, {_FINEST} decimals at most"
            )
        named.append(field)
    if named.count("") > 3:
        raise ValueError(f"{named.count('')} fields, an hour has three: count, total, largest")
    for values in ((0, 0.0, 0.0), (10_000_000, 1e15, 1e10)):
        text.format(*values)
    return text
