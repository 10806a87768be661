from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.errors import ConfigError
from rekt.fields import HOUR
from rekt.model import HourSummary, Mean
from rekt.posts.compose import BUILT_IN, compose, templates
from rekt.posts.gate import Terms
from rekt.posts.length import LIMIT, weighted_length
from rekt.posts.lint import lint
from rekt.posts.mood import History, moods
from rekt.posts.template import NAMES, parse
from tests.posts.hours import COINS, NOON, hour


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
        "{counts}", "{count.real}", "{hour:>8}", "{total!r}", "[busy]", "{0.real}", "{0[0]}", "{!r}", "{0!s}", "{:{}}", "{3}", "{} {} {} {}", "{} {0}", "{", "}", "{:>99999999}",
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
    assert templates(path) == templates(None)
    assert len(templates(None)) == len([line for line in BUILT_IN if line[0] != "["])
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
        (hour(coverage=0.49), "skip", "only 49 % of"),
        (hour(coverage=0.5), "post", ""),
        (hour(0, 0, None, coverage=0.0), "skip", "nothing of the hour was recorded"),
    ],
)
def test_the_gate(summary: HourSummary, would: str, words: str) -> None:
    """An hour that is not final, or was mostly missed, is rendered all the same and not posted."""
    post = compose(summary, templates(None))
    assert post.would == would
    assert words in post.reason
    assert "2026-07-16 12:00 UTC" in post.text


HOURS = st.builds(
    hour,
    st.integers(0, 10**7),
    st.integers(0, 10**17),
    st.none() | st.integers(0, 10**16),
    start=st.integers(0, 900_000).map(lambda step: step * HOUR),
    coverage=st.floats(0, 1),
    final=st.booleans(),
    symbol=st.text(),
    long_share=st.floats(0, 1),
    mean=st.none() | st.builds(Mean, st.floats(0, 1e7), st.integers(0, 10**17), st.integers(1, 720)),
)


@given(HOURS, st.lists(st.integers(0, 10**17), max_size=300))
def test_every_hour_fits(summary: HourSummary, totals: list[int]) -> None:
    """Whatever an hour held, each built-in template's text has its hour and at most 280 weighted characters."""
    history = History(totals)
    for template in templates(None):
        post = compose(summary, [template._replace(mood="")], history=history)
        assert post.weighted_length == weighted_length(post.text) <= LIMIT
        assert f"{post.text} ".count(" UTC ") == 1
        assert ("figures cover" in post.text) == (summary.coverage < 0.98)
    chosen = compose(summary, templates(None), history=history)
    assert chosen.weighted_length <= LIMIT


def test_named_fields() -> None:
    """Every documented name is understood, writes itself for people, and takes a number's format where it is one."""
    mean = Mean(9, 9_300_000_000_000, 23)
    shown = text(" | ".join(f"{{{name}}}" for name in list(NAMES)[:11]), hour(long_share=0.79, symbols=COINS))
    assert shown.startswith(
        "1,284 | 1,284 liquidations | $12.4M | $412k | ETH | long | $9.8M | $2.6M | 79 | 21 | BTC, ETH, SOL"
    )
    assert text("{total:,.2f} {count:08d} {long_share:.1f} {vs_day}", hour(mean=mean)).startswith(
        "12,400,000.50 00001284 100.0 33 % above the mean of 23 h"
    )
    assert text("{hour}: {minutes} min", hour(coverage=0.99)) == "2026-07-16 12:00 UTC: 59 min"


def test_a_name_the_hour_can_not_answer() -> None:
    """A template that names what an hour has not is passed over: no largest in an empty hour, no mean without hours."""
    choices = parse(["{largest_symbol} {}", "{vs_day} {}", "plain {}"], "x")
    assert compose(hour(0, 0, None), choices).text.startswith("plain 0")


def test_plurals() -> None:
    """One is one, none is none."""
    assert [text("{liquidations}", hour(n, 5_000_000 * n)).split(" ·")[0] for n in (0, 1, 2)] == [
        "no liquidations", "1 liquidation", "2 liquidations",
    ]  # fmt: skip


def test_no_template_twice_in_a_row() -> None:
    """The template used last gives way where there is another, and is used again where there is none."""
    choices = parse(["{} a", "{} b"], "x")
    first = compose(hour(), choices)
    assert compose(hour(), choices, last=first.template).template != first.template
    assert compose(hour(), choices[:1], last=choices[0].text).template == choices[0].text


def test_moods() -> None:
    """An hour is judged against the hours before it; where those are too few, by itself alone."""
    usual = History([10**12] * 240)
    assert moods(hour(), usual)[0] == "record"
    assert moods(hour(5, 10**11, 10**9, long_share=0.5), usual) == ["quiet"]
    assert moods(hour(5, 10**11, 10**9, long_share=0.5), History([10**12] * 9)) == ["normal"]
    assert moods(hour(5, 10**11, 10**9, long_share=0.5), usual, partial=True) == ["normal"]
    assert moods(hour(50, 10**12, 9 * 10**11), usual) == ["whale", "longs"]
    assert moods(hour(50, 10**12, 10**9, long_share=0.0), usual) == ["shorts"]
    assert moods(hour(0, 0, None), usual) == ["empty"]
    assert moods(hour(0, 0, None), usual, partial=True) == ["normal"]
    choices = parse(["{} any", "[record]", "{} record"], "x")
    assert " record ·" in compose(hour(), choices, history=usual).text
    assert " any ·" in compose(hour(), choices).text


def test_the_terms_of_the_gate() -> None:
    """Below the first share the text says how much it covers, below the second there is no post; nothing recorded is never told."""
    terms = Terms(0.9, 0.2)
    assert "figures" not in compose(hour(coverage=0.9), templates(None), terms=terms).text
    post = compose(hour(coverage=0.6), templates(None), terms=terms)
    assert post.would == "post"
    assert post.text.endswith(" · figures cover 36 of 60 minutes · 2026-07-16 12:00 UTC")
    assert compose(hour(coverage=0.19), templates(None), terms=terms).would == "skip"
    assert compose(hour(0, 0, None, coverage=0.0), templates(None), terms=Terms(0, 0)).would == "skip"


def test_lint() -> None:
    """Every bad line is named with its number, and so is what X would make an address or refuse for its cashtags."""
    found, faults = lint(
        ["{} ok", "{nope}", "see BTC.com {}", "$BTC $ETH {}", "[heavie]", "$BTC and ${:,.0f}{}"]
    )
    assert found == 4
    assert [fault.line for fault in faults] == [2, 3, 4, 5]
    assert "did you mean [heavy]" in faults[3].message
    assert lint(BUILT_IN) == (len(templates(None)), [])
