from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.errors import ConfigError
from rekt.fields import HOUR
from rekt.model import HourSummary, Largest, Tally, Window
from rekt.posts.compose import BUILT_IN, compose, parse, templates
from rekt.posts.length import LIMIT, weighted_length

NOON = 1_784_203_200_000  # 2026-07-16T12:00Z


def hour(
    count: int = 1284,
    total: int = 12_400_000_500_000,
    largest: int | None = 412_000_250_000,
    *,
    start: int = NOON,
    coverage: float = 1.0,
    final: bool = True,
    symbol: str = "ETHUSDT",
) -> HourSummary:
    """An hour with these numbers."""
    best = None if largest is None else Largest(symbol, "long", largest, "1", "1", start, "binance")
    return HourSummary(
        window=Window(start, start + HOUR),
        hour=start,
        count=count,
        unknown_count=0,
        total=total,
        largest=best,
        long=Tally(count, total),
        short=Tally(0, 0),
        by_symbol=[(symbol, Tally(count, total))],
        by_venue=[("binance", Tally(count, total))],
        coverage=coverage,
        gaps=[],
        final=final,
        hour_before=None,
        mean_24h=None,
        mean_7d=None,
    )


def text(template: str, summary: HourSummary | None = None) -> str:
    """What one template makes of an hour."""
    return compose(summary or hour(), parse([template], "tweets.txt")).text


def test_as_the_original() -> None:
    """Positional fields are an int and two floats, with any format of numbers, and escapes stand for characters."""
    shown = text(r"{} people lost ${:,.2f}, one of them ${:,.2f} \U0001F340")
    assert shown == "1284 people lost $12,400,000.50, one of them $412,000.25 🍀 · 2026-07-16 12:00 UTC"
    assert text("{} {} {}").startswith("1284 12400000.5 412000.25 ·")


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{2:,.0f} of {1:,.0f} in {0:,}", "412,000 of 12,400,000 in 1,284"),
        ("{{}} {0:>8}", "{}     1284"),
        (r"\ud83d\udd25 {} \u20bf \xa3 a\\b", "🔥 1284 ₿ £ a\\b"),
        (r"{}\n{}", "1284\n12400000.5"),
        ("清算 {}", "清算 1284"),
        ("#BTC {}", "#BTC 1284"),
        ("no figures", "no figures"),
    ],
)
def test_what_templates_may_say(template: str, shown: str) -> None:
    """Numbered fields, braces, escapes, other scripts, hashtags."""
    assert text(template) == f"{shown} · 2026-07-16 12:00 UTC"


def test_the_hour_is_not_said_twice() -> None:
    """A template that has the date and hour in it gets no second one."""
    assert text("In the hour from 2026-07-16 12:00 UTC: {}") == "In the hour from 2026-07-16 12:00 UTC: 1284"


@pytest.mark.parametrize(
    "line",
    [
        "{count}", "{0.real}", "{0[0]}", "{!r}", "{0!s}", "{:{}}", "{3}", "{} {} {} {}", "{} {0}", "{", "}", "{:>99999999}",
        "{:.999999}", "{:c}", "{:x}", "{:s}", "{1:d}", "{0:%Y}", r"\Uffffffff", r"\ud83d", "{__class__}", "{0:{1}}",
    ],
)  # fmt: skip
def test_a_bad_line_is_named(line: str) -> None:
    """Whatever else a line holds is refused, with file and line number, before anything is rendered."""
    with pytest.raises(ConfigError, match=r"^tweets\.txt:3: "):
        parse(["{}", "# a comment", line], "tweets.txt")


def test_files(tmp_path: Path) -> None:
    """Empty lines and comments are no templates; a file without any leaves the built-in ones."""
    path = tmp_path / "tweets.txt"
    path.write_text("\n# hello\n  {} a  \r\n\n{} b\n", "utf-8-sig")
    assert [(one.text, one.line) for one in templates(path)] == [("{} a", 3), ("{} b", 5)]
    path.write_text("\n")
    assert len(templates(path)) == len(BUILT_IN) == len(templates(None))
    path.write_bytes(b"{}\n\xff\n")
    with pytest.raises(ConfigError, match=r"tweets\.txt:2: not written in UTF-8"):
        templates(path)
    with pytest.raises(ConfigError, match="can't be read"):
        templates(tmp_path / "none.txt")


def test_one_after_the_other() -> None:
    """The hour alone decides which template it gets, and no two hours in a row get the same."""
    choices = parse(["{} a", "{} b", "{} c"], "x")
    texts = [compose(hour(start=NOON + step * HOUR), choices).text.split()[1] for step in range(6)]
    assert sorted(texts[:3]) == ["a", "b", "c"]
    assert texts[3:] == texts[:3]


def test_too_long_is_passed_over() -> None:
    """A template whose text would be too long gives way to the next, in the end to a built-in one."""
    long = "{} " + "清" * 140
    assert compose(hour(), parse([long, "{} short"], "x")).text.startswith("1284 short")
    assert compose(hour(), parse([long], "x")).weighted_length <= LIMIT


@pytest.mark.parametrize(
    ("summary", "would", "words"),
    [
        (hour(), "post", ""),
        (hour(final=False), "skip", "not final"),
        (hour(coverage=0.49), "skip", "49 %"),
        (hour(coverage=0.5), "post", ""),
        (hour(0, 0, None, coverage=0.0), "skip", "0 %"),
    ],
)
def test_the_gate(summary: HourSummary, would: str, words: str) -> None:
    """An hour that is not final, or was mostly missed, is rendered all the same and not posted."""
    post = compose(summary, templates(None))
    assert post.would == would
    assert words in post.reason
    assert "2026-07-16 12:00 UTC" in post.text


@given(
    st.builds(
        hour,
        st.integers(0, 10**7),
        st.integers(0, 10**17),
        st.none() | st.integers(0, 10**16),
        start=st.integers(0, 900_000).map(lambda step: step * HOUR),
        coverage=st.floats(0, 1),
        final=st.booleans(),
        symbol=st.text(),
    )
)
def test_every_hour_fits(summary: HourSummary) -> None:
    """Whatever an hour held, each built-in template's text has its hour and at most 280 weighted characters."""
    for template in templates(None):
        post = compose(summary, [template])
        literal = template.text.split("{")[0][:8]
        assert post.text.startswith(literal)
        assert post.weighted_length == weighted_length(post.text) <= LIMIT
        assert post.text.endswith(" UTC")
