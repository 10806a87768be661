from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rekt.fields import HOUR
from rekt.model import MICRO, Connection, Liquidation, Span, Window
from rekt.posts.compose import compose, templates
from rekt.posts.gate import Terms
from rekt.posts.length import LIMIT, weighted_length
from rekt.posts.subject import Subject, day, divided, history, subject
from rekt.posts.template import parse
from rekt.stats.coverage import Traits
from rekt.store import Batch
from rekt.stores.sqlite import Ledger, Reader
from tests.posts.hours import hour as made_up
from tests.stores.events import START, event

MINUTE = 60_000
LATER = START + 30 * 24 * HOUR
FIGURES = parse(["{0} {1:.6f} {2:.6f}"], "test")


def life(venue: str, start: int, end: int, *, open_: bool = False) -> Batch:
    """A venue that was recorded from start to end."""
    name = f"{venue}/{start}"
    one = Connection(name, "run", venue, "wss://x", start * 1000, start * 1000, end * 1000, end * 1000)
    closed = one if open_ else one._replace(closed_us=end * 1000, cause="cut")
    return Batch("run", connections=[closed], spans=[Span(name, start, end)])


def of(venue: str, number: int, notional: int | None, at: int = START + 5) -> Liquidation:
    """An event of a venue."""
    one = event(number, at=at, notional=notional)
    uid = number.to_bytes(15, "big") + bytes([len(venue)])
    return one._replace(feed=one.feed._replace(venue=venue), uid=uid)


def about(ledger: Ledger, now: int = LATER, terms: Terms = Terms()) -> Subject:  # noqa: B008 - frozen
    """What the post of the first hour is about."""
    traits = {"slow": Traits(settle_ms=30_000)}
    with Reader(ledger.path) as reader:
        return subject(reader, Window(START, START + HOUR), now, traits=traits, terms=terms)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path / "ledger.db")


NAMES = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=30)
VENUE = st.tuples(
    st.integers(0, 60),  # minutes of the hour in which it was recorded
    st.lists(st.none() | st.integers(0, 10**16), max_size=4),  # its events
)


@settings(max_examples=40)
@given(st.dictionaries(NAMES, VENUE, min_size=1, max_size=12), st.sampled_from([0.0, 0.5, 0.98]))
def test_whatever_venues_there_are(
    tmp_path_factory: pytest.TempPathFactory, venues: dict[str, tuple[int, list[int | None]]], least: float
) -> None:
    """For any set of venues the text fits, and its numbers are those of the venues that it contains."""
    ledger = Ledger(tmp_path_factory.mktemp("any") / "ledger.db")
    number = 0
    for name, (minutes, values) in venues.items():
        ledger.append(life(name, START - 1000, START + minutes * MINUTE))
        for value in values:
            number += 1
            ledger.append(Batch("run", frames=[(of(name, number, value),)]))
    hour = about(ledger, terms=Terms(0.98, least))
    ledger.close()
    good = {name for name, (minutes, _) in venues.items() if minutes > 0 and minutes / 60 >= least}
    inside = good or set(venues)
    assert set(hour.venues) == inside
    assert set(hour.without) == set(venues) - inside
    values = [value for name in inside for value in venues[name][1]]
    known = [value for value in values if value is not None]
    figures = f"{len(values)} {sum(known) / MICRO:.6f} {max(known, default=0) / MICRO:.6f}"
    for choices in (FIGURES, templates(None)):
        post = compose(
            hour.summary, choices, terms=Terms(0.98, least), venues=hour.venues, without=hour.without
        )
        assert post.weighted_length == weighted_length(post.text) <= LIMIT
        assert (" · without " in post.text) == bool(hour.without)
        assert post.would == ("post" if good else "skip")
        if choices is FIGURES:
            assert post.text.startswith(f"{figures} · ")


def test_one_venue_is_never_left_out() -> None:
    """Where only one is recorded nothing is left out, however little of the hour it has: the gate decides as ever."""
    for coverage in (0.0, 0.3, 0.6, 1.0):
        assert divided(made_up(coverage=coverage), Terms()) == (["binance"], [])


def test_a_venue_below_the_gate_is_left_out(ledger: Ledger) -> None:
    """Numbers, comparisons, history and picture are of the others, and the text names it; it delays nothing."""
    for name, minutes in (("binance", 60), ("bybit", 12)):
        ledger.append(life(name, START - 2 * HOUR, START + minutes * MINUTE + 9_000 * (minutes == 60)))
        frames: list[tuple[Liquidation, ...]] = [
            (of(name, at + minutes, 7_000_000, START + at * HOUR),) for at in (-1, 0)
        ]
        ledger.append(Batch("run", frames=frames))
    hour = about(
        ledger, now=START + HOUR + 5_000
    )  # 5 s after the hour: bybit is closed by the clock only after 120
    assert (hour.venues, hour.without) == (["binance"], ["bybit"])
    assert hour.summary.final
    assert (hour.summary.count, hour.summary.total, hour.summary.coverage) == (1, 7_000_000, 1.0)
    assert hour.summary.hour_before is not None
    assert hour.summary.hour_before.total == 7_000_000
    assert [gap.venue for gap in hour.summary.gaps] == []
    with Reader(ledger.path) as reader:
        assert list(history(reader, hour).totals) == [0, 7_000_000]  # of two hours that were recorded
        picture = day(reader, hour, START + HOUR + 5_000, traits={})
    assert [bar.long for bar in picture.bars[-2:]] == [7.0, 7.0]
    assert picture.venues == ["binance"]
    post = compose(hour.summary, FIGURES, venues=hour.venues, without=hour.without)
    assert post.text == "1 7.000000 7.000000 · without bybit · 2023-11-14 22:00 UTC"
    assert post.would == "post"
    ledger.close()


def test_between_the_shares_a_venue_stays(ledger: Ledger) -> None:
    """A venue recorded for 40 minutes is in, and the text says how many minutes the figures cover at least."""
    ledger.append(life("binance", START - 1000, START + HOUR + 9_000))
    ledger.append(life("bybit", START - 1000, START + 40 * MINUTE))
    hour = about(ledger)
    assert hour.without == ()
    post = compose(hour.summary, FIGURES, venues=hour.venues)
    assert post.text.endswith(" · figures cover at least 40 of 60 minutes · 2023-11-14 22:00 UTC")
    ledger.close()


def test_a_late_venue_is_waited_for_to_the_bound(ledger: Ledger) -> None:
    """A venue whose events come 30 s late holds its post back so long, and one that fell silent after the hour 120 s."""
    ledger.append(life("binance", START - 1000, START + HOUR + 200_000, open_=True))
    ledger.append(life("slow", START - 1000, START + HOUR + 10_000))
    assert not about(ledger, START + HOUR + 31_000).summary.final
    late = about(ledger, START + HOUR + 120_000)
    assert late.summary.final
    assert (late.venues, late.without) == (["binance", "slow"], ())
    ledger.append(life("slow", START + HOUR - 1000, START + HOUR + 30_000))
    assert about(ledger, START + HOUR + 31_000).summary.final
    ledger.close()


def test_where_all_were_missed_nothing_is_posted(ledger: Ledger) -> None:
    """Below the gate at every venue, the hour is skipped with the best share as the reason."""
    ledger.append(life("binance", START - 1000, START + 12 * MINUTE))
    ledger.append(life("bybit", START - 1000, START))
    hour = about(ledger)
    post = compose(hour.summary, FIGURES, venues=hour.venues, without=hour.without)
    assert (post.would, post.cause) == ("skip", "coverage")
    assert post.reason == "only 20 % of the hour was recorded at the best of 2 venues, 50 % are needed"
    ledger.close()


def test_the_text_names_whose_hour_it_is() -> None:
    """A template can name the venues, an hour without events too; many are told by their number."""
    words = parse(["Another hour on {venues} futures"], "test")

    def told(*venues: str) -> str:
        empty = made_up(0, 0, None)._replace(by_venue=[])
        return compose(empty, words, venues=venues).text.split(" · ")[0]

    assert told("binance") == "Another hour on Binance futures"
    assert told("binance", "okx") == "Another hour on Binance and OKX futures"
    assert told("a", "b", "c", "d") == "Another hour on 4 venues futures"
