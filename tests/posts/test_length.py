from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.posts.length import weighted_length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("1,284 liquidations · $12.4M", 27),
        ("清算", 4),
        ("€ ₿ … → ▓", 14),
        ("“quoted” – dashes — and ‘more’", 30),
        ("e\u0301", 1),
        ("a\r\nb", 3),
        ("🔥", 2),
        ("❤\ufe0f ⚔\ufe0f ❤", 8),
        ("👍🏽", 2),
        ("👩\u200d🚀 👩🏽\u200d🚀", 5),
        ("👨\u200d👩\u200d👧\u200d👦", 2),
        ("🏴\u200d☠\ufe0f 🏳\ufe0f\u200d🌈", 5),
        ("🇺🇸🇯🇵", 4),
        ("1\ufe0f\u20e3", 2),
        ("©", 2),
        ("https://example.com/a/very/long/path/indeed", 23),
        ("12.3M USD, e.g. 3.14", 20),
    ],
)
def test_known_lengths(text: str, length: int) -> None:
    """Lengths as X's own library gives them."""
    assert weighted_length(text) == length


@pytest.mark.parametrize(
    "text", ["BTC.com", "x.io", "12.3M.at", "https://t.co/abc,", "foo.bar.baz", "example.com中国"]
)
def test_whatever_may_be_an_address_is_not_counted_short(text: str) -> None:
    """What X may take for an address counts as one at least."""
    assert weighted_length(text) >= 23


ALPHABET = st.sampled_from(
    ["a", "1", " ", "清", "·", "–", "…", "→", "🔥", "👍", "🏽", "❤", "⚔", "\ufe0f", "🇺", "🇸", "💸", "€"]
)


@given(st.lists(ALPHABET, max_size=12).map("".join))
def test_as_the_library_that_x_agrees_with(text: str) -> None:
    """Where twitter-text is installed, it gives the same length."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports a deprecated part of setuptools
        library = pytest.importorskip("twitter_text", exc_type=ImportError)
    assert weighted_length(text) == library.parse_tweet(text).weightedLength
