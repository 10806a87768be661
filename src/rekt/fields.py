"""Text to numbers and times, exactly; the only place where it is done.

Decimals stay text (the venue's own digits); money becomes an integer of micro-dollars by exact arithmetic.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from hashlib import blake2b

from .errors import UsageError
from .model import Window

MAX_DIGITS = 40  # characters of a price or quantity
MAX_NUMBER = 10**15
MAX_NOTIONAL = 10**10 * 1_000_000  # micro-dollars
MIN_TIME = 1_546_300_800_000  # 2019-01-01, ms: older than any liquidation stream
DAY = 86_400_000
HOUR = 3_600_000

_EXACT = Context(
    prec=200, rounding=ROUND_HALF_EVEN
)  # wide enough that nothing is rounded before the last step
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)


def is_decimal(text: str) -> bool:
    """Whether text is a plain unsigned decimal within the bounds (no sign, exponent, space or underscore)."""
    return len(text) <= MAX_DIGITS and _DECIMAL.fullmatch(text) is not None and Decimal(text) <= MAX_NUMBER


def canonical(text: str) -> str:
    """The one spelling of a plain decimal: no zeros at either end beyond the units ("0.190" → "0.19").

    >>> canonical("00100.500"), canonical("0.000"), canonical("7")
    ('100.5', '0', '7')
    """
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text[:1] == "0" and len(text) > 1 and text[1] != ".":
        text = text.lstrip("0")
        if not text or text[0] == ".":
            text = "0" + text
    return text or "0"


def event_uid(identity: str) -> bytes:
    """The 16-byte identity of an event: BLAKE2b over its identifying fields joined by U+001F (INTERFACE, "uid").

    The caller joins them in the interface's order, decimals canonical, absent ones empty.
    """
    state = _fresh()  # a copy costs half of what making one does
    state.update(identity.encode())
    return state.digest()


_fresh = blake2b(digest_size=16).copy


def uid_text(uid: bytes) -> str:
    """A uid as people and JSON see it: a lower-case UUID."""
    digits = uid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def dollars(quantity: str, price: str, rate: str | None = None) -> int:
    """quantity × price (× rate) in micro-dollars, rounded half-even once.

    Fast path: the product of two doubles is off by less than 4 × 2⁻⁵³ of itself; below 2⁴⁰ micro-dollars that is
    under 0.0005, so unless it lies within 0.001 of a half, its rounding is the exact one. Else exact decimals.
    """
    if rate is None:
        product = float(quantity) * float(price) * 1e6
        if product < 1_099_511_627_776.0:
            whole = round(product)
            if -0.499 < product - whole < 0.499:
                return whole
    exact = _EXACT.multiply(Decimal(quantity), Decimal(price))
    if rate is not None:
        exact = _EXACT.multiply(exact, Decimal(rate))
    return int(exact.scaleb(6, _EXACT).to_integral_value(ROUND_HALF_EVEN, _EXACT))


def money(micro: int) -> str:
    """Micro-dollars as a decimal string of dollars, exactly, six decimals."""
    sign, micro = ("-", -micro) if micro < 0 else ("", micro)
    return f"{sign}{micro // 1_000_000}.{micro % 1_000_000:06d}"


def iso_ms(ms: int) -> str:
    """Milliseconds since 1970 as ISO 8601 UTC, ending in Z."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def iso_us(us: int) -> str:
    """Microseconds since 1970 as ISO 8601 UTC, ending in Z."""
    moment = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{us % 1_000_000:06d}Z"


_AGO = re.compile(r"-(\d{1,9})(s|m|h|d|w)", re.ASCII)
_UNITS = {"s": 1_000, "m": 60_000, "h": HOUR, "d": DAY, "w": 7 * DAY}
_HOUR_ONLY = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}", re.ASCII)


def parse_time(text: str, now_ms: int) -> int:
    """A time of the command line in ms: a date, an hour, a minute, full ISO, `now`, or `-24h`; UTC when bare.

    Raises UsageError with the forms that are understood.
    """
    if text == "now":
        return now_ms
    if ago := _AGO.fullmatch(text):
        return now_ms - int(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text + ":00" if _HOUR_ONLY.fullmatch(text) else text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no time",
            hint="write 2026-07-16, 2026-07-16T12, 2026-07-16T12:30, full ISO, now, or -24h",
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def parse_hour(text: str, now_ms: int) -> Window:
    """The hour that begins at this time. Raises UsageError when it is not the start of an hour."""
    start = parse_time(text, now_ms)
    if text.startswith("-") or text == "now":
        start -= start % HOUR
    if start % HOUR:
        raise UsageError(f"{text!r} is not the start of an hour", hint="write it like 2026-07-16T12")
    return Window(start, start + HOUR)


def parse_last(text: str) -> int:
    """A length such as 24h or 7d, in ms."""
    if length := _AGO.fullmatch("-" + text.removeprefix("-")):
        return int(length[1]) * _UNITS[length[2]]
    raise UsageError(f"{text!r} is no length of time", hint="write 30m, 24h or 7d")
