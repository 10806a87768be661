from __future__ import annotations

from rekt.posts.alerts import changes, of_feed, of_posts
from rekt.publisher import Entry

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
