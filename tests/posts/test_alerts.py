from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rekt.model import Suspicion
from rekt.posts.alerts import Lag, changes, of_feed, of_posts, of_sink, of_suspicions
from rekt.publisher import Entry
from rekt.sink import SinkState

NOW = 1_784_203_200_000


def test_each_once_and_when_it_is_over() -> None:
    """A trouble that lasts is not told again; what is no longer wrong is over; other watches' troubles are theirs."""
    told = {"feed binance": "dead", "post x keys": "401"}
    found = changes("post", {"post x keys": "401 again", "post x credits": "402"}, told)
    assert (found.new, found.over) == ({"post x credits": "402"}, {})
    assert changes("feed", {}, told).over == {"feed binance": "dead"}
    assert changes("post", {}, told).over == {"post x keys": "401"}


def test_of_posts() -> None:
    """Keys, credits, budget, coverage, missed hours and unknown outcomes are troubles; a sent post is none."""
    one = Entry("x", "2026-07-16T12", "text")
    found = of_posts(
        [
            one._replace(state="failed", cause="keys", reason="401"),
            one._replace(service="bluesky", state="sent"),
            one._replace(service="discord", state="unknown", reason="cut"),
            one._replace(service="mastodon", state="skipped", cause="missed", reason="late"),
            one._replace(service="telegram", state="skipped", cause="coverage", reason="3%"),
        ],
        missed=2,
    )
    assert sorted(found) == [
        "post coverage", "post discord unknown", "post hours", "post mastodon missed", "post x keys",
    ]  # fmt: skip
    assert found["post hours"] == "2 hours were not posted: nobody was at work"
    budget = of_posts([one._replace(state="skipped", cause="budget", reason="spent")])
    assert list(budget) == ["post x budget"]


def test_of_the_feed() -> None:
    """A feed that is silent for too long is told with what is known of why; a lively one is not."""
    ticks: dict[str, int | None] = {"a": NOW - 59_000, "b": NOW - 61_000, "c": None}
    found = of_feed(ticks, {"b": "mis-routed"}, recording=True, now_ms=NOW, limit_s=60)
    assert sorted(found) == ["feed b", "feed c"]
    assert found["feed b"] == "b: no sign of life for 61 s; the last connection: mis-routed"
    down = of_feed(ticks, {}, recording=False, now_ms=NOW, limit_s=60)
    assert down["feed b"].endswith("no recorder is at work")


def test_what_was_not_looked_at_is_not_well() -> None:
    """A call for one service does not call another's trouble over, nor one for a named hour that of the hours."""
    told = {"post x keys": "401", "post bluesky keys": "401", "post coverage": "thin"}
    assert changes("post", {}, told, {"bluesky", "coverage"}).over == {"post x keys": "401"}
    assert changes("post", {"post bluesky keys": "401"}, told, {"bluesky"}).new == {}


def test_a_post_that_waits_and_an_hour_that_is_thin() -> None:
    """What is pending at a call's end is told, and so is coverage below the wanted; once where the hour is skipped too."""
    one = Entry("x", "2026-07-16T12", "text", state="pending", reason="no connection")
    assert of_posts([one]) == {"post x pending": "x: 2026-07-16T12 is not posted yet: no connection"}
    assert of_posts([one._replace(state="sent")], thin="only 90 %") == {"post coverage": "only 90 %"}
    skipped = of_posts([one._replace(state="skipped", cause="coverage", reason="3 %")], thin="only 3 %")
    assert skipped == {"post coverage": "2026-07-16T12 was not posted: 3 %"}


def test_a_sink_is_behind_when_what_was_there_long_ago_is_not_sent() -> None:
    """Rows of just now are no trouble, a sink that keeps up is none, one that stands still or is too slow is."""
    lag = Lag(60)
    looks = [(n * 15.0, n * 100) for n in range(20)]  # (seconds, the ledger's highest row)
    assert not any(lag.behind(last - 100, last, now, told=False) for now, last in looks)
    still = Lag(60)
    assert [still.behind(50, last, now, told=False) for now, last in looks[:7]] == [False] * 5 + [True] * 2
    assert still.behind(599, 700, 105.0, told=True)
    assert not still.behind(700, 800, 120.0, told=True)
    late = Lag(60)
    assert any(late.behind(last // 3, last, now, told=False) for now, last in looks)


def test_who_comes_later_does_not_call_it_over() -> None:
    """A new process that finds the trouble told needs a look of its own before and after to call it over."""
    lag = Lag(60)
    assert lag.behind(5, 900, 0.0, told=True)
    assert lag.behind(899, 950, 15.0, told=True)
    assert not lag.behind(950, 1000, 30.0, told=True)
    assert not Lag(60).behind(900, 900, 0.0, told=True)


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(0, 50), st.integers(0, 60)), max_size=60))
def test_behind_by_the_plain_definition(steps: list[tuple[float, int, int]]) -> None:
    """Behind exactly where some look at least so long ago saw a row that is not sent yet."""
    lag, seen, now, last, seq = Lag(60), [], 0.0, 0, 0
    for seconds, came, sent in steps:
        now, last = now + seconds, last + came
        seq = min(last, seq + sent)
        seen.append((now, last))
        owed = max((row for at, row in seen if at <= now - 60), default=0)
        assert lag.behind(seq, last, now, told=False) == (seq < owed)


def test_of_the_sink() -> None:
    """Behind with what keeps it, or taking rows that can't be read; else nothing."""
    down = SinkState(5, None, "can't be reached")
    (text,) = of_sink("QuestDB", down, behind=True, waiting=1, limit_s=300).values()
    assert text == "QuestDB is behind for more than 300 s, 1 row to be sent: can't be reached"
    assert of_sink("QuestDB", down, behind=False, waiting=9, limit_s=300) == {}
    stuck = of_sink("QuestDB", SinkState(5, 1, "table busy", True), behind=False, waiting=0, limit_s=300)
    assert stuck == {"sink QuestDB": "QuestDB takes rows and does not show them: table busy"}


def test_of_suspicions() -> None:
    """Each kind at each venue that is recorded is a trouble of its own; its name does not hold its figures."""
    found = of_suspicions(
        [
            Suspicion("okx", "units", "3 of 20", 1),
            Suspicion("okx", "late", "5 s", 1),
            Suspicion("gone", "late", "5 s", 1),
        ],
        ["okx", "gate"],
    )
    assert found == {
        "suspicion okx units": "okx: suspicious: 3 of 20",
        "suspicion okx late": "okx: suspicious: 5 s",
    }
