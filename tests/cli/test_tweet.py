from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rekt.fields import HOUR, iso_ms
from rekt.model import Connection, Span
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger, Reader
from tests.cli.book import NOON, Result, event
from tests.publishers.x_server import KEYS, XServer, x_server

Command = Callable[..., Result]


@pytest.fixture
def x(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[XServer]:
    """A stand-in for X that the settings lead to."""
    with x_server() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("REKT_POST_SETTLE_SECONDS", "0.2")
        yield server


def test_posted_once(rekt: Command, x: XServer) -> None:
    """The hour is posted with its picture, its words and their alternative; called again there is nothing to do."""
    results = [rekt("tweet", "--hour", "2026-07-16T12", "--json") for _ in range(2)]
    told = results[0].objects[0]
    for result in results:
        assert (result.code, result.objects) == (0, [told])
        assert list(told) == ["service", "hour", "state", "remote_id", "text", "reason"]
        assert (told["service"], told["hour"], told["state"]) == ("x", "2026-07-16T12:00:00.000Z", "sent")
        assert told["remote_id"] == x.state.tweets[0].id
    assert x.texts == [told["text"]]
    assert "2026-07-16 12:00 UTC" in told["text"]
    assert "figures cover 54 of 60 minutes" in told["text"]
    assert [alt for alt in x.state.media.values() if alt and "longs" in alt]
    assert x.state.tweets[0].media


@pytest.mark.parametrize("fault", ["cut-accepted", "500-accepted", "html-accepted", "cut", "500", "html500"])
def test_an_unknown_outcome_is_looked_up(rekt: Command, x: XServer, fault: str) -> None:
    """After an answer that tells nothing the account is read; then it is posted once, landed or sent anew."""
    x.state.script = [fault]
    result = rekt("tweet", "--hour", "2026-07-16T12", "--json", "--no-image")
    assert (result.code, result.objects[0]["state"]) == (0, "sent")
    assert len(x.texts) == 1


@pytest.mark.parametrize(
    ("fault", "words"), [("402", "credits"), ("401", "keys"), ("403", "permit"), ("453", "access level")]
)
def test_a_refusal_fails_the_hour(rekt: Command, x: XServer, fault: str, words: str) -> None:
    """A refusal is told in words, with exit code 1 and one attempt; the hour can be tried again by name."""
    x.state.script = [fault]
    result = rekt("tweet", "--hour", "2026-07-16T12", "--json", "--no-image")
    assert (result.code, result.objects[0]["state"]) == (1, "failed")
    assert words in result.objects[0]["reason"]
    assert [path for _, path, _ in x.state.requests] == ["/2/tweets"]
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 0
    assert len(x.texts) == 1


def test_unreadable_stays_unknown(rekt: Command, x: XServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the account can't be read the outcome stays unknown, exit 1, and is not sent again; it is settled later."""
    from rekt.posts import outbox

    monkeypatch.setattr(outbox, "LOOK_AGAIN_MS", 600_000)  # the next look lies beyond the call's end
    x.state.script, x.state.read_fault = ["cut-accepted"], "503"
    result = rekt("tweet", "--hour", "2026-07-16T12", "--json", "--no-image")
    assert (result.code, result.objects[0]["state"]) == (1, "unknown")
    x.state.read_fault = ""
    monkeypatch.setattr(outbox, "LOOK_AGAIN_MS", 0)
    result = rekt("tweet", "--hour", "2026-07-16T12", "--json", "--no-image")
    assert (result.code, result.objects[0]["state"]) == (0, "sent")
    assert len(x.texts) == 1


def test_a_rate_limit_is_waited_out(rekt: Command, x: XServer) -> None:
    """A 429 names its end; where that is near the call waits for it."""
    x.state.script = ["429"]
    result = rekt("tweet", "--hour", "2026-07-16T12", "--json", "--no-image")
    assert (result.code, result.objects[0]["state"]) == (0, "sent")


def test_a_picture_may_fail(rekt: Command, x: XServer) -> None:
    """Without its picture the post goes out all the same, and says so."""
    x.state.media_fault = "503"
    result = rekt("tweet", "--hour", "2026-07-16T12", "--json")
    assert (result.code, result.objects[0]["state"]) == (0, "sent")
    assert "without its picture" in result.objects[0]["reason"]
    assert x.state.tweets[0].media == []


def test_overlapping_calls_post_once(x: XServer, ledger: Path) -> None:
    """Four processes at the same moment: one posts, the others see that it is done."""
    x.state.script, x.state.slow_s = ["slow-accepted"], 1.0
    command = [sys.executable, "-m", "rekt", "tweet", "--hour", "2026-07-16T12", "--json", "--no-image"]
    calls = [subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) for _ in range(4)]
    told = [json.loads(call.communicate(timeout=50)[0]) for call in calls]
    assert [call.returncode for call in calls] == [0] * 4
    assert {one["state"] for one in told} == {"sent"}
    assert len(x.texts) == 1


def test_one_service_delays_no_other(rekt: Command, x: XServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one service does not answer, the other has its post within its own time."""
    from tests.publishers.services import Telegram, standing_in

    with standing_in(Telegram) as (url, seen):
        for name, value in {"API_URL": url, "BOT_TOKEN": "123:telegram-token", "CHAT_ID": "@burn"}.items():
            monkeypatch.setenv(f"REKT_TELEGRAM_{name}", value)
        x.state.script, x.state.slow_s = ["slow"], 3.0
        done: list[float] = []
        x.state.before_accept = lambda: done.append(len(seen.posts))
        result = rekt("tweet", "--hour", "2026-07-16T12", "--json", "--no-image")
        assert [(one["service"], one["state"]) for one in result.objects] == [
            ("telegram", "sent"),
            ("x", "sent"),
        ]
        assert done == [1]  # Telegram had it before X took it


def test_the_gate_holds(rekt: Command, x: XServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour that was mostly missed is not posted, which is well; told as skipped with the reason."""
    monkeypatch.setenv("REKT_POST_SKIP_COVERAGE", "0.95")
    result = rekt("tweet", "--hour", "2026-07-16T12", "--json")
    assert (result.code, result.objects[0]["state"]) == (0, "skipped")
    assert "only 90 %" in result.objects[0]["reason"]
    assert x.state.requests == []
    monkeypatch.setenv("REKT_POST_SKIP_COVERAGE", "0.5")
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 0
    assert len(x.texts) == 1


def test_a_venue_that_was_mostly_missed_is_left_out(rekt: Command, x: XServer, ledger: Path) -> None:
    """A post of several venues goes out without the one below the gate, says so, and has the others' numbers."""
    from tests.posts.test_subject import life, of

    before = rekt("tweet", "--dry-run", "--hour", "2026-07-16T12", "--json").objects[0]["text"]
    book = Ledger(ledger)
    book.append(life("bybit", NOON - 1000, NOON + 20 * 60_000))
    book.append(Batch("r1", frames=[(of("bybit", 1, 10**13, NOON + 7_000),)]))
    book.close()
    dry = rekt("tweet", "--dry-run", "--hour", "2026-07-16T12", "--json").objects[0]["text"]
    (told,) = rekt("tweet", "--hour", "2026-07-16T12", "--json").objects
    assert (told["state"], x.texts) == ("sent", [told["text"]])
    assert told["text"] == dry
    assert " · without bybit · 2026-07-16 12:00 UTC" in dry
    assert dry.replace(" · without bybit", "") == before


def test_an_hour_that_has_not_ended(rekt: Command, x: XServer) -> None:
    """Exit code 2, nothing asked."""
    running = iso_ms(time.time_ns() // 1_000_000 // HOUR * HOUR)
    assert rekt("tweet", "--hour", running[:13]).code == 2
    assert x.state.requests == []


def test_a_missed_hour_is_left_out(rekt: Command, x: XServer, ledger: Path) -> None:
    """Without a name only the hour that just ended is posted, and not when its time is over."""
    now = time.time_ns() // 1_000_000
    start = now // HOUR * HOUR - HOUR
    book = Ledger(ledger)
    book.begin(Run("r2", start * 1000, None, "run", "0", 1))
    life = Connection("c2", "r2", "binance", "wss://x/m", start * 1000, start * 1000, now * 1000, now * 1000)
    first = event((start - NOON) / 1000 + 5, "ETHUSDT", "long", 10**12)
    book.append(
        Batch(
            "r2",
            frames=[(first,)],
            connections=[life],
            spans=[Span("c2", start - 1000, start + HOUR + 60_000)],
        )
    )
    book.close()
    os.environ["REKT_POST_DEADLINE_MINUTES"] = "0"
    try:
        result = rekt("tweet", "--json", "--no-image")
    finally:
        del os.environ["REKT_POST_DEADLINE_MINUTES"]
    assert (result.code, result.objects[0]["state"]) == (0, "skipped")
    assert "name it with --hour" in result.objects[0]["reason"]
    assert rekt("tweet", "--json", "--no-image", "--hour", iso_ms(start)[:13]).objects[0]["state"] == "sent"
    assert len(x.texts) == 1


def test_the_budget(rekt: Command, x: XServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a post would cost beyond the month's budget is not spent; status tells what was."""
    monkeypatch.setenv("REKT_POST_MONTHLY_BUDGET_USD", "0.014")
    result = rekt("tweet", "--hour", "2026-07-16T12", "--json", "--no-image")
    assert (result.code, result.objects[0]["state"]) == (0, "skipped")
    assert "budget" in result.objects[0]["reason"]
    monkeypatch.setenv("REKT_POST_MONTHLY_BUDGET_USD", "0.015")
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 0
    (status,) = rekt("status", "--json").objects
    assert status["posts"]["spent_usd"] == {"x": "0.015000"}


def test_without_keys(rekt: Command, ledger: Path) -> None:
    """Without keys the post is written beside the ledger and shown, with what is missing."""
    result = rekt("tweet", "--hour", "2026-07-16T12")
    assert result.code == 0
    assert "consumer_key" in result.out
    folder = ledger.parent / "posts"
    assert (
        (folder / "2026-07-16T12.txt").read_text().strip().endswith("54 of 60 minutes · 2026-07-16 12:00 UTC")
    )
    assert (folder / "2026-07-16T12.png").read_bytes()[1:4] == b"PNG"
    assert rekt("tweet", "--hour", "2026-07-16T12", "--to", "x").code == 2


def test_the_picture_by_itself(rekt: Command, ledger: Path, tmp_path: Path) -> None:
    """--image writes the picture, also with --dry-run, and posts nothing."""
    assert rekt("tweet", "--dry-run", "--hour", "2026-07-16T12", "--image", str(tmp_path / "a.png")).code == 0
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    with Reader(ledger) as reader:
        assert reader.posts() == []


def test_keys_that_others_can_read(
    rekt: Command, x: XServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of keys that others can read is refused by posting, with the command that mends it."""
    file = tmp_path / "exposed.ini"
    file.write_text("[TWITTER]\n" + "".join(f"{key} = {value}\n" for key, value in KEYS.items()))
    file.chmod(0o644)
    result = rekt("tweet", "--hour", "2026-07-16T12", "--config", str(file))
    assert result.code == 2
    assert "chmod 600" in result.err
    assert x.texts == []


SECRETS = [value for key, value in KEYS.items() if key != "consumer_key"]


@pytest.mark.parametrize("fault", ["", "401", "500", "html-accepted"])
def test_no_secret_is_told(rekt: Command, x: XServer, ledger: Path, fault: str) -> None:
    """No key is in anything that is printed, logged (with --verbose too), or kept, whatever goes wrong."""
    x.state.script = [fault] if fault else []
    said = ""
    for command in (
        ("tweet", "--hour", "2026-07-16T12", "--verbose"),
        ("tweet", "--hour", "2026-07-16T11", "--json", "--log-format", "json", "--verbose"),
        ("status",),
        ("status", "--json", "--verbose"),
        ("tweet", "--hour", "2031-01-01T00", "--verbose"),
    ):
        result = rekt(*command)
        said += result.out + result.err
    kept = b"".join(file.read_bytes() for file in ledger.parent.rglob("*") if file.is_file())
    for secret in [*SECRETS, KEYS["consumer_key"]]:
        assert secret not in said
        assert secret.encode() not in kept
