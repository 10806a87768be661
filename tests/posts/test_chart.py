from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from rekt.fields import HOUR
from rekt.posts.chart import HEIGHT, THEMES, WIDTH, alt_text, draw
from tests.posts.hours import NOON, day, hour

KINDS = ("empty", "normal", "crash", "gap")


def pixels(data: bytes) -> dict[tuple[int, ...], int]:
    """How many pixels there are of each colour."""
    image = Image.open(BytesIO(data)).convert("RGB")
    assert image.size == (WIDTH, HEIGHT)
    return {colour: count for count, colour in image.getcolors(1 << 24) or []}  # type: ignore[misc]


def rgb(colour: str) -> tuple[int, ...]:
    """A colour of a theme as a pixel has it."""
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


@pytest.mark.parametrize("theme", sorted(THEMES))
@pytest.mark.parametrize("kind", KINDS)
def test_the_picture(kind: str, theme: str) -> None:
    """1200 × 675, small, of the theme's ground; the hour's bars in full colour where there is something to show."""
    data = draw(day(kind), theme)
    assert len(data) < 200_000
    found, look = pixels(data), THEMES[theme]
    assert found[rgb(look.ground)] > WIDTH * HEIGHT // 4
    bars = min(found.get(rgb(look.long), 0), found.get(rgb(look.short), 0))
    assert (bars > 1_000) == (kind != "empty")


def test_a_gap_is_not_drawn_as_zero() -> None:
    """Where nothing was recorded the picture is hatched; a picture without gaps has nothing of that colour's kind."""
    whole, missed = day("normal"), day("gap")
    hatched = draw(missed._replace(bars=whole.bars, summary=whole.summary))
    assert pixels(hatched) != pixels(draw(whole))
    assert "190 minutes of the day were not recorded" in alt_text(missed)


def test_the_words_of_the_picture() -> None:
    """They say what the picture shows, and fit every service."""
    assert alt_text(day("crash")).startswith("Bar chart of liquidations over 24 hours")
    assert "48,211, $912.4M; longs $848.5M, shorts $63.9M" in alt_text(day("crash"))
    assert alt_text(day("empty")).endswith("none.")
    assert all(len(alt_text(day(kind))) <= 1000 for kind in KINDS)


def test_the_day_of_an_hour() -> None:
    """24 bars that end with the hour itself."""
    bars = day("normal").bars
    assert [bars[0].start, bars[-1].start, len(bars)] == [NOON - 23 * HOUR, NOON, 24]
    assert bars[-1].long == hour(long_share=0.79).long.total / 1e6


def test_names_that_the_font_lacks() -> None:
    """Symbols of any script, and dollar signs, are drawn without a warning and without a formula."""
    data = day("normal")
    odd = hour(symbols=("币安人生USDT", "$A$B_USDT", "a\nb", "\u202e"), symbol="币安人生USDT")
    assert len(draw(data._replace(summary=odd))) > 10_000
