"""What the venues' decoders share."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.decoding import digits
from rekt.errors import FrameError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0.1736", "0.1736"), (b"12000", "12000"), (b'"1.50"', "1.50"), (b"-124.50", "-124.50"), (b"1e-7", "0.0000001"),
        (b"1.25E+3", "1250"), (b"-2e2", "-200"),
    ],
)  # fmt: skip
def test_digits_are_the_venues_own(text: bytes, expected: str) -> None:
    """A number keeps its digits and trailing zeros; an exponent is written out."""
    assert digits(msgspec.Raw(text)) == expected


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"true", b"{}", b'"x"', b'""', b"1e999999999", b"1e-100", b'"NaN"', b'"1_0"', b'" 1"'],
)
def test_what_is_no_number_is_refused(text: bytes) -> None:
    """Neither words nor exponents that would unfold without a bound."""
    with pytest.raises(FrameError, match="no number"):
        digits(msgspec.Raw(text))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=9))
def test_digits_lose_nothing(number: Decimal) -> None:
    """Whatever its form on the wire, the number stays the same."""
    assert Decimal(digits(msgspec.Raw(str(number).encode()))) == number
    assert Decimal(digits(msgspec.Raw(f"{number:e}".encode()))) == number
