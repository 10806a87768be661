from __future__ import annotations

import re
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rekt import app
from rekt.cli import _common
from rekt.errors import UsageError
from rekt.fields import HOUR
from rekt.model import Connection, Feed, Span, Suspicion, Window
from rekt.pipeline.presence import Presence
from rekt.store import Batch
from rekt.stores.sqlite import Ledger, Reader
from tests.cli.book import LINEAR, NOON, Result, event

Rekt = Callable[..., Result]
AT_NOON = ("--hour", "2026-07-16T12")


def test_summary_object(rekt: Rekt, ledger: Path) -> None:
    """The object hour, on one line, exactly."""
    result = rekt("summary", *AT_NOON, "--json")
    assert result.code == 0
    (hour,) = result.objects
    assert hour["hour"] == hour["from"] == "2026-07-16T12:00:00.000Z"
    assert (hour["count"], hour["unknown_count"], hour["total_usd"]) == (4, 1, "2530001.500000")
    assert hour["largest"]["symbol"] == "BTCUSDT"
    assert hour["long"] == {"count": 2, "total_usd": "2530000.500000"}
    assert (hour["coverage"], hour["final"]) == (0.9, True)
    assert [gap["cause"] for gap in hour["gaps"]] == ["cut"]


def test_summary_of_a_window(rekt: Rekt, ledger: Path) -> None:
    """Several hours are one object without `hour`; --each makes one of every hour."""
    window = ("--from", "2026-07-16T11", "--to", "2026-07-16T14", "--json")
    (whole,) = rekt("summary", *window).objects
    assert whole["hour"] is None
    assert whole["count"] == 5
    each = rekt("summary", *window, "--each").objects
    assert [one["count"] for one in each] == [1, 4, 0]


def test_summary_for_people(rekt: Rekt, ledger: Path) -> None:
    """A sentence, both sides, the symbols, what it rests on; plain off a terminal, and harmless."""
    result = rekt("summary", *AT_NOON)
    assert (
        "4 liquidations took at least $2.53 M. The largest: BTCUSDT long $2.50 M at 12:00:01." in result.out
    )
    assert "90 % of this hour was recorded." in result.out
    assert "binance: cut" in result.out
    assert "1 of unknown value" in result.out
    assert "lower bound" in result.out
    assert "币安人生USDT" in result.out
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out


def test_the_last_closed_hour_is_the_default(rekt: Rekt, ledger: Path) -> None:
    """Without a time it is the hour that ended last, and the page says so."""
    now = time.time_ns() // 1_000_000
    (hour,) = rekt("summary", "--json").objects
    assert hour["hour"] in {app_time(now - now % HOUR - HOUR), app_time(now - now % HOUR)}
    result = rekt("summary")
    assert "the hour that ended last" in result.out
    assert "nothing was listening" in result.out


def app_time(ms: int) -> str:
    """A whole hour as the objects tell it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(ms // 1000))


@pytest.mark.parametrize(
    "args",
    [
        ["--hour", "2026-07-16T12:30"],
        ["--hour", "2099-01-01"],
        ["--hour", "yesterday"],
        ["--hour", "2026-07-16", "--last", "24h"],
        ["--from", "2026-07-16", "--last", "24h"],
        ["--to", "2026-07-16"],
        ["--from", "2026-07-17", "--to", "2026-07-16"],
        ["--last", "24"],
        ["--last", "0h"],
        ["--from", "2026-07-16T12:30", "--to", "2026-07-16T14", "--each"],
    ],
)
def test_times_that_make_no_sense(rekt: Rekt, ledger: Path, args: list[str]) -> None:
    """A time that can't be meant is wrong use, exit 2."""
    assert rekt("summary", *args).code == 2


def test_windows() -> None:
    """--last ends now; --from without --to ends now; the hours of a window are those that begin in it."""
    now = NOON + 90 * 60_000
    assert _common.asked(None, "2h", None, None, now).window == Window(now - 2 * HOUR, now)
    assert _common.asked(None, None, "2026-07-16T12", None, now).window == Window(NOON, now)
    assert _common.asked(None, None, None, None, now).window == Window(NOON, NOON + HOUR)
    assert _common.hours(Window(now - 2 * HOUR, now)) == [
        Window(NOON, NOON + HOUR),
        Window(NOON + HOUR, NOON + 2 * HOUR),
    ]
    with pytest.raises(UsageError):
        _common.asked("now", "2h", None, None, now)


def test_liquidations_objects(rekt: Rekt, ledger: Path) -> None:
    """One object a line by trade time, those that do not count included, with the venue's own digits."""
    found = rekt("liquidations", *AT_NOON, "--json").objects
    assert [one["symbol"] for one in found] == [
        "BTCUSDT",
        "币安人生USDT",
        "EVIL\x1b[2J\u202eUSDT",
        "XUSDT_260925",
        "XRPUSDT",
    ]
    assert found[0]["price"] == "1.10"
    assert found[3]["notional_usd"] is None
    assert found[0]["trade_time"] == "2026-07-16T12:00:01.000Z"


@pytest.mark.parametrize(
    ("args", "count"),
    [
        ([], 5),
        (["--symbol", "BTCUSDT"], 1),
        (["--side", "long"], 3),
        (["--side", "short"], 2),
        (["--min-usd", "30000"], 2),
        (["--min-usd", "$2,500,000"], 1),
        (["--limit", "2"], 2),
        (["--limit", "0"], 0),
    ],
)
def test_liquidations_filters(rekt: Rekt, ledger: Path, args: list[str], count: int) -> None:
    """Filters and the limit that was asked for, and no other."""
    assert len(rekt("liquidations", *AT_NOON, "--json", *args).objects) == count
    rows = rekt("liquidations", *AT_NOON, *args).out.splitlines()
    assert len(rows) == count + 1  # the head, or the sentence that nothing fits


@pytest.mark.parametrize(
    "args", [["--side", "both"], ["--min-usd", "lots"], ["--limit", "-1"], ["--min-usd", "nan"]]
)
def test_liquidations_wrong_filters(rekt: Rekt, ledger: Path, args: list[str]) -> None:
    """A filter that can't be meant is wrong use."""
    assert rekt("liquidations", *args).code == 2


def test_liquidations_for_people(rekt: Rekt, ledger: Path) -> None:
    """Rows in columns, harmless; what does not count says so."""
    out = rekt("liquidations", *AT_NOON).out
    assert "2026-07-16 12:00:01.000  BTCUSDT            long      2,500,000" in out
    assert "NEW, not counted" in out
    assert "unknown" in out
    assert "\x1b" not in out


def test_status(rekt: Rekt, ledger: Path) -> None:
    """The object status: counters that add up, connections, whether a recorder is at work."""
    (status,) = rekt("status", "--json").objects
    assert list(status) == [
        "runs", "counters", "connections", "recording", "ledger", "sqlite_version", "sink", "posts", "alerts",
        "suspicions",
    ]  # fmt: skip
    counters = status["counters"]
    assert counters["received"] == 16 == sum(value for key, value in counters.items() if key != "received")
    assert (status["runs"], status["recording"]) == (1, False)
    assert (status["ledger"]["path"], status["ledger"]["rows"]) == (str(ledger), 6)
    assert status["connections"][0]["cause"] == "cut"
    assert "not recording" in rekt("status").out
    mark = Presence(ledger)
    try:
        assert rekt("status", "--json").objects[0]["recording"] is True
    finally:
        mark.close()


def test_what_is_suspicious_is_shown(rekt: Rekt, ledger: Path) -> None:
    """Venue, kind, sentence and since when, until it is over; control characters do nothing."""
    book = Ledger(ledger)
    book.append(Batch("r1", suspicions=[Suspicion("okx", "units", "odd: EVIL\x1b[2J", NOON * 1000)]))
    assert rekt("status", "--json").objects[0]["suspicions"] == [
        {"venue": "okx", "kind": "units", "text": "odd: EVIL\x1b[2J", "since": "2026-07-16T12:00:00.000000Z"}
    ]
    told = rekt("status").out
    assert "suspicious since 2026-07-16 12:00Z: okx: odd: EVIL" in told
    assert "\x1b" not in told
    book.append(Batch("r1", suspicions=[Suspicion("okx", "units", None, NOON * 1000)]))
    book.close()
    assert rekt("status", "--json").objects[0]["suspicions"] == []


def test_backup(rekt: Rekt, ledger: Path, tmp_path: Path) -> None:
    """A copy that can be read as the ledger itself; nothing is overwritten."""
    assert rekt("backup", "copy.db").code == 0
    with Reader(tmp_path / "copy.db") as copy:
        assert copy.rows() == 6
    again = rekt("backup", "copy.db")
    assert again.code == 2
    assert "copy.db" in again.err
    assert rekt("backup", "none/copy.db").code == 2


def test_tweet(rekt: Rekt, ledger: Path, tmp_path: Path) -> None:
    """The hour's post from tweets.txt; its object has five keys."""
    (tmp_path / "tweets.txt").write_text("{} gone, ${:,.2f}, at most ${:,.0f}\n")
    (post,) = rekt("tweet", "--dry-run", *AT_NOON, "--json").objects
    text = "4 gone, $2,530,001.50, at most $2,500,000 · figures cover 54 of 60 minutes · 2026-07-16 12:00 UTC"
    assert post == {
        "hour": "2026-07-16T12:00:00.000Z",
        "text": text,
        "weighted_length": len(text),
        "would": "post",
        "reason": None,
    }
    assert "would be posted" in rekt("tweet", "--dry-run", *AT_NOON).out


def test_tweet_of_a_missed_hour(rekt: Rekt, ledger: Path) -> None:
    """An hour that was not recorded is rendered, would be skipped, and is no failure."""
    result = rekt("tweet", "--dry-run", "--hour", "2026-07-15T12", "--json")
    assert result.code == 0
    assert result.objects[0]["would"] == "skip"
    assert result.objects[0]["text"].endswith("2026-07-15 12:00 UTC")


def test_tweet_refuses(rekt: Rekt, ledger: Path, tmp_path: Path) -> None:
    """An hour that has not ended and a bad template end with 2."""
    assert rekt("tweet", "--dry-run", "--hour", "now").code == 2
    (tmp_path / "tweets.txt").write_text("{}\n{0.real}\n")
    result = rekt("tweet", "--dry-run")
    assert result.code == 2
    assert "tweets.txt:2: " in result.err


def test_init(rekt: Rekt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files that only the owner reads or that hold nothing secret; they load as they are; nothing is overwritten."""
    assert rekt("init", "--dir", "conf").out.count("wrote") == 2
    ini, tweets = tmp_path / "conf" / "credentials.ini", tmp_path / "conf" / "tweets.txt"
    assert stat.S_IMODE(ini.stat().st_mode) == 0o600
    monkeypatch.setenv("REKT_CONFIG", str(ini))
    settings = app.settings()
    assert settings.exposed is False
    assert settings.templates_path == tweets
    assert settings.section("TWITTER").optional("consumer_key") is None
    ini.write_text(ini.read_text().replace("# name", "name").replace("# ws_url", "ws_url"))
    assert app.settings().section("BINANCE") == settings.section("BINANCE")
    tweets.write_text("mine {}\n")
    assert rekt("init", "--dir", "conf").out.count("kept") == 2
    assert tweets.read_text() == "mine {}\n"


def test_no_command_needs_a_configuration(rekt: Rekt, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any file, from any folder, reading works."""
    monkeypatch.delenv("REKT_CONFIG")
    assert rekt("summary", *AT_NOON).code == 0


def test_merge_tells_what_changed_in_order(rekt: Rekt, ledger: Path, tmp_path: Path) -> None:
    """A merge that brings an event and a value: both changes, each going on from where the other ended."""
    other = Ledger(tmp_path / "other.db")
    frames = [
        (event(4, "XUSDT_260925", "short", 77_000_000),),
        (event(3_300, "LATEUSDT", "long", 5_000_000),),
    ]
    other.append(Batch("r2", frames=list(frames)))
    other.close()
    assert rekt("merge", str(tmp_path / "other.db"), "--json").objects == [{"new": 1, "repeats": 1}]
    first, second = rekt("summary", *AT_NOON, "--json").objects[0]["revisions"]
    assert (first["reason"], second["reason"]) == ("merge", "late size")
    assert first["after"] == second["before"]
    shown = rekt("summary", *AT_NOON).out
    assert "(merge): 4 to 5 liquidations." in shown
    assert "(late size): its sum by $77." in shown


def test_merge_of_what_is_not_there(rekt: Rekt, ledger: Path) -> None:
    """A file that is not there is wrong use; nobody is told to make it by recording."""
    result = rekt("merge", "nope.db")
    assert result.code == 2
    assert "there is no ledger at nope.db" in result.err
    assert "rekt run" not in result.err


@pytest.fixture
def two(ledger: Path) -> Path:
    """The same ledger with another venue in it: recorded for the whole hour, two events, a price of the order only."""
    book = Ledger(ledger)
    start, end = NOON - 1000, NOON + HOUR + 60_000
    life = Connection(
        "c2",
        "r1",
        "bybit",
        "wss://x",
        start * 1000,
        start * 1000,
        end * 1000,
        end * 1000,
        end * 1000,
        "stopped",
    )
    frames = []
    for seconds in (6, 7):
        one = event(seconds, "BTCUSDT", "short", 4_000_000_000_000)
        frames.append((one._replace(feed=Feed("bybit", "linear", "bankruptcy", "all"), average_price=None),))
    book.append(Batch("r1", frames=list(frames), connections=[life], spans=[Span("c2", start, end)]))
    book.close()
    return ledger


def test_one_venue_alone(rekt: Rekt, two: Path) -> None:
    """Numbers, events and how well they were recorded are of the venue that is named; a name nobody knows is refused."""
    (whole,) = rekt("summary", *AT_NOON, "--json").objects
    (bybit,) = rekt("summary", *AT_NOON, "--json", "--venue", "bybit").objects
    (binance,) = rekt("summary", *AT_NOON, "--json", "--venue", "Binance").objects
    assert (whole["count"], bybit["count"], binance["count"]) == (6, 2, 4)
    assert (whole["coverage"], bybit["coverage"], binance["coverage"]) == (0.9, 1.0, 0.9)
    assert {gap["venue"] for gap in binance["gaps"]} == {"binance"}
    assert bybit["gaps"] == []
    assert bybit["lag_ms"]["p50"] == 100.0
    assert [
        one["count"] for one in rekt("summary", *AT_NOON, "--each", "--json", "--venue", "bybit").objects
    ] == [2]
    listed = rekt("liquidations", *AT_NOON, "--json", "--venue", "bybit").objects
    assert {one["venue"] for one in listed} == {"bybit"}
    for command in ("summary", "liquidations", "watch"):
        result = rekt(command, "--venue", "bybitt")
        assert result.code == 2
        assert "did you mean bybit?" in result.err


def test_several_venues_for_people(rekt: Rekt, two: Path) -> None:
    """Each has a line with what it rests on, and the page says what is mixed in the totals; rows name their venue."""
    told = rekt("summary", *AT_NOON).out
    assert "The largest: BTCUSDT (bybit) short $4.00 M" in told
    assert re.search(
        r"^bybit +2 +\$8\.00 M +100 % +every liquidation +the bankruptcy price", told, re.MULTILINE
    )
    assert re.search(r"^binance +4 +\$2\.53 M +90 % +the largest per symbol and second", told, re.MULTILINE)
    assert "90 % of this hour was recorded at the venue that has least of it." in told
    flat = " ".join(told.split())
    assert "of mixed sampling. Bybit: every liquidation; Binance: the largest per symbol and second." in flat
    assert "Prices of mixed kinds. Bybit: the bankruptcy price; Binance: the average fill price." in flat
    alone = rekt("summary", *AT_NOON, "--venue", "bybit").out
    assert "Bybit tells every liquidation, at the bankruptcy price." in alone
    assert "mixed" not in alone
    rows = rekt("liquidations", *AT_NOON).out.splitlines()
    assert rows[0].split()[3] == "venue"
    assert [row.split()[2] for row in rows[1:]] == ["binance"] * 5 + ["bybit"] * 2
    assert "venue" not in rekt("liquidations", *AT_NOON, "--venue", "bybit").out


def test_a_venue_that_tells_all_is_never_at_a_limit(rekt: Rekt, two: Path) -> None:
    """Seconds in a row are a sign of a limit only where the venue has one."""
    book = Ledger(two)
    for name, feed in (("ALL", Feed("bybit", "linear", "bankruptcy", "all")), ("SOME", LINEAR)):
        many = [event(20 + n, name, "long", 1_000_000)._replace(feed=feed) for n in range(6)]
        book.append(Batch("r1", frames=[(one,) for one in many]))
    book.close()
    (hour,) = rekt("summary", *AT_NOON, "--json").objects
    assert [one["symbol"] for one in hour["saturated"]][:1] == ["SOME"]
    assert {one["venue"] for one in hour["saturated"]} == {"binance"}
