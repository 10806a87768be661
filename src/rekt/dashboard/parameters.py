"""The query parameters: each is declared once, and both read from a request and described in the document by that."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from rekt.errors import UsageError
from rekt.fields import DAY, HOUR, parse_time
from rekt.model import Window
from rekt.stats.series import STEPS

WINDOWS: Final = {"1h": HOUR, "4h": 4 * HOUR, "12h": 12 * HOUR, "24h": DAY}
LENGTHS: Final = {**WINDOWS, "7d": 7 * DAY, "30d": 30 * DAY}
MOST_ITEMS: Final = 1_000
LONGEST: Final = 100  # characters of a name

_DATE = (
    r"(20[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    r"|20([02468][048]|[13579][26])-02-29)"
)
_HOUR = r"T([01][0-9]|2[0-3])"
_TIME = rf"(now|-[0-9]{{1,4}}[smhdw]|{_DATE}({_HOUR}(:[0-5][0-9](:[0-5][0-9](\.[0-9]{{3}})?)?Z?)?)?)"


class Parameter(NamedTuple):
    """One query parameter: its name, JSON schema, a sentence, and what its text becomes."""

    name: str
    schema: Mapping[str, Any]
    doc: str
    read: Callable[[str, int], Any]  # text, now (ms)
    default: Any = None


def _choice(name: str, values: Mapping[str, Any], doc: str, default: str | None = None) -> Parameter:
    def read(text: str, _now: int) -> Any:
        if text not in values:
            raise UsageError(f"{name} must be one of {', '.join(values)}, not {text[:40]!r}")
        return values[text]

    schema: dict[str, Any] = {"type": "string", "enum": list(values)}
    if default is not None:
        schema["default"] = default
    return Parameter(name, schema, doc, read, None if default is None else values[default])


def _pattern(name: str, pattern: str, doc: str, read: Callable[[str, int], Any], words: str) -> Parameter:
    matcher = re.compile(pattern, re.ASCII)

    def checked(text: str, now: int) -> Any:
        if not matcher.fullmatch(text):
            raise UsageError(f"{name} must be {words}, not {text[:40]!r}")
        return read(text, now)

    return Parameter(name, {"type": "string", "pattern": f"^{pattern}$"}, doc, checked)


def _name(name: str, doc: str) -> Parameter:
    def read(text: str, _now: int) -> str:
        if not 1 <= len(text) <= LONGEST:
            raise UsageError(f"{name} must have 1 to {LONGEST} characters")
        return text

    return Parameter(name, {"type": "string", "minLength": 1, "maxLength": LONGEST}, doc, read)


def _whole(text: str, _now: int) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= MOST_ITEMS:
        raise UsageError(f"limit must be a whole number from 1 to {MOST_ITEMS}, not {text[:40]!r}")
    return int(text)


_DOLLARS = r"[0-9]{1,12}(\.[0-9]{1,6})?"


def _dollars(text: str, _now: int) -> Decimal:
    if not re.fullmatch(_DOLLARS, text, re.ASCII):
        raise UsageError(f"min_usd must be an amount of dollars, not {text[:40]!r}")
    return Decimal(text)


def cursor_text(place: tuple[int, bytes]) -> str:
    """A place in a listing as a token of 32 characters."""
    time, uid = place
    return urlsafe_b64encode(time.to_bytes(8, "big", signed=True) + uid.ljust(16, b"\0")[:16]).decode()


def _cursor(text: str, _now: int) -> tuple[int, bytes]:
    data = urlsafe_b64decode(text)
    return int.from_bytes(data[:8], "big", signed=True), data[8:]


_TIME_WORDS = "a time such as 2026-07-16, 2026-07-16T12, 2026-07-16T12:30:00Z, now or -24h"
FROM = _pattern(
    "from", _TIME, "Trade time from which on; everything where it is left out.", parse_time, _TIME_WORDS
)
TO = _pattern(
    "to",
    _TIME,
    "Trade time up to which, itself not included; now where it is left out.",
    parse_time,
    _TIME_WORDS,
)
HOUR_START = _pattern(
    "hour", rf"{_DATE}{_HOUR}(:00(:00(\.000)?)?Z?)?", "The hour that begins then; goes before `window`.", parse_time,
    "the start of an hour such as 2026-07-16T12",
)  # fmt: skip
ROLLING = _choice("window", WINDOWS, "The time up to now, of this length.")
LENGTH = _choice(
    "window", LENGTHS, "The time up to now, of this length; `from` and `to` go before it.", "24h"
)
SYMBOL_WINDOW = _choice("window", WINDOWS, "The time up to now, of this length.", "24h")
QUALITY = _choice(
    "quality", {"yes": True, "no": False}, "Whether to say how well it was recorded, too (looks at each event).", "yes"
)  # fmt: skip
STEP = _choice("step", STEPS, "Length of a bucket.", "1h")
VENUE = _name("venue", "Only this venue.")
SYMBOL = _name("symbol", "Only this symbol, as the venue spells it.")
SIDE = _choice("side", {"long": "long", "short": "short"}, "Only positions of this side.")
MIN_USD = Parameter(
    "min_usd", {"type": "string", "pattern": f"^{_DOLLARS}$"},
    "Only from this notional on; leaves out unknown ones.", _dollars,
)  # fmt: skip
LIMIT = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": MOST_ITEMS, "default": 100}, "At most so many.", _whole, 100
)  # fmt: skip
CURSOR = _pattern(
    "cursor", r"[A-Za-z0-9_-]{31}[A-Za-z0-9_-]", "`next` of the page before; the filters must be the same.", _cursor,
    "what `next` of a page said",
)  # fmt: skip
AT = _pattern(
    "at",
    r"[0-9]{1,15}",
    "Which one, as the post's `picture` says; the newest where that is gone.",
    lambda text, _: int(text),
    "a whole number",
)
FORMAT = _choice(
    "format", {name: name for name in ("json", "ndjson", "csv", "parquet")}, "Form of the answer; goes before Accept."
)  # fmt: skip


def read(given: Iterable[tuple[str, str]], known: Sequence[Parameter], now_ms: int) -> dict[str, Any]:
    """What a query asks for, defaults applied. Raises UsageError for an unknown, repeated or wrong parameter."""
    by_name = {parameter.name: parameter for parameter in known}
    found: dict[str, Any] = {}
    for name, text in given:
        if name not in by_name:
            names = ", ".join(by_name) or "none"
            raise UsageError(f"no parameter is called {name[:40]!r}", hint=f"known: {names}")
        if name in found:
            raise UsageError(f"{name} is given twice")
        found[name] = by_name[name].read(text, now_ms)
    return {name: found.get(name, parameter.default) for name, parameter in by_name.items()}


def window_of(asked: Mapping[str, Any], now_ms: int) -> Window:
    """The window of `from`, `to` and `window`; an inverted one is empty."""
    end = now_ms if asked["to"] is None else asked["to"]
    start = end - asked["window"] if asked["from"] is None else asked["from"]
    return Window(start, max(start, end))
