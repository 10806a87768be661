from __future__ import annotations

import email
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.message import Message
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from rekt import app
from rekt.config import Section
from rekt.model import Connection, Feed, Liquidation, Span, Suspicion
from rekt.publisher import Entry, Post, Receipt, Unknown
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger, Reader
from rekt.stores.sqlite.outbox import Outbox
from rekt.stores.sqlite.sinks import Marks
from tests.cli.book import Result
from tests.contracts.test_publisher import free_port
from tests.publishers.x_server import PNG, XServer, x_server
from tests.waiting import until

Command = Callable[..., Result]


class Mailbox:
    """What the mail server took."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.refuse = False

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802 - its name there
        if self.refuse:
            return "451 try later"
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))  # type: ignore[attr-defined]
        return "250 OK"

    @property
    def texts(self) -> list[str]:
        """Their words."""
        found = []
        for mail in self.mails:
            parts = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
            found.append(str(parts[0].get_content()).strip())  # type: ignore[attr-defined]
        return found


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A real mail server, and [ALERTS] pointing to it."""
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        url = f"mailto://127.0.0.1:{port}/?from=rekt@example.org&to=me@example.org&mode=insecure&format=text"
        monkeypatch.setenv("REKT_ALERTS_URLS", url)
        yield box
    finally:
        controller.stop()


@pytest.fixture
def x(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[XServer]:
    """A stand-in for X."""
    with x_server() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


def test_told_once_and_when_it_is_well(rekt: Command, x: XServer, mailbox: Mailbox) -> None:
    """Out of credits: one mail, however often it is tried; one more when the hour went out after all."""
    for _ in range(2):
        x.state.script = ["402"]
        assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 1
    assert len(mailbox.texts) == 1
    assert "credits are used up" in mailbox.texts[0]
    (status,) = rekt("status", "--json").objects
    assert [alert["name"] for alert in status["alerts"]] == ["post x credits"]
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 0
    assert len(mailbox.texts) == 2
    assert "well again" in mailbox.texts[1]
    assert rekt("status", "--json").objects[0]["alerts"] == []


def test_what_did_not_get_through_is_told_next_time(rekt: Command, x: XServer, mailbox: Mailbox) -> None:
    """A mail server that refuses does not use the alert up, and does not stop the post."""
    mailbox.refuse = True
    x.state.script = ["401"]
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 1
    mailbox.refuse, x.state.script = False, ["401"]
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 1
    assert len(mailbox.texts) == 1


def test_a_post_by_mail(path: Path, tmp_path: Path, mailbox: Mailbox) -> None:
    """Apprise as a service: the words and the picture arrive; what is not confirmed is unknown."""
    section = Section("APPRISE", {"urls": os.environ["REKT_ALERTS_URLS"]})
    publisher = app.service("apprise").open(section, tmp_path)
    assert isinstance(publisher.publish(Post("k", "hello · UTC", PNG + b"x", "alt"), 0, 20), Receipt)
    assert mailbox.texts == ["hello · UTC"]
    assert [part.get_filename() for part in mailbox.mails[0].walk() if part.get_filename()] == ["hour.png"]
    mailbox.refuse = True
    assert isinstance(publisher.publish(Post("k", "hello"), 0, 20), Unknown)
    assert "1 addresses" in publisher.verify(5)


def test_watch(x: XServer, ledger: Path, mailbox: Mailbox) -> None:
    """A dead feed is told once; a large liquidation is posted at once, and once."""
    env = {
        **os.environ,
        "REKT_POST_BIG_USD": "1000000",
        "REKT_POST_COOLDOWN_MINUTES": "15",
        "REKT_ALERTS_FEED_SECONDS": "3",
    }
    watch = subprocess.Popen([sys.executable, "-m", "rekt", "post", "--no-hours", "--seconds", "90"], env=env)
    try:
        assert until(lambda: bool(mailbox.texts))  # so it is at work
        _three(ledger)
        assert until(lambda: bool(x.texts))
        time.sleep(2)
    finally:
        watch.kill()
        watch.wait()
    assert len(x.texts) == 1
    assert "ETH long of $2.0M" in x.texts[0] or "ETH long of $3.0M" in x.texts[0]
    assert [text for text in mailbox.texts if "no sign of life" in text] == mailbox.texts
    assert len(mailbox.texts) == 1


def _three(ledger: Path) -> None:
    """Three liquidations of this moment, two of them large."""
    now = time.time_ns() // 1_000_000
    book = Ledger(ledger)
    book.begin(Run("r9", now * 1000, None, "run", "0", 1))
    feed = Feed("binance", "linear", "average_fill", "largest_per_symbol_second")
    for n, dollars in enumerate((5_000, 2_000_000, 3_000_000)):
        one = Liquidation(
            feed, now, bytes([n]) * 16, "ETHUSDT", "SELL", "FILLED", "1", "1", "1", "1", dollars * 10**6, None, now, now * 1000
        )  # fmt: skip
        book.append(Batch("r9", frames=[(one,)]))
    book.close()


def test_a_hole_in_the_posts_is_told(rekt: Command, x: XServer, ledger: Path, mailbox: Mailbox) -> None:
    """Hours that nobody tried to post, after one that was, are told in one sentence."""
    now = time.time_ns() // 1_000_000
    start = now // 3_600_000 * 3_600_000 - 3_600_000
    book = Ledger(ledger)
    book.begin(Run("r2", start * 1000, None, "run", "0", 1))
    life = Connection("c2", "r2", "binance", "wss://x/m", start * 1000, start * 1000, now * 1000, now * 1000)
    book.append(Batch("r2", connections=[life], spans=[Span("c2", start - 1000, start + 3_600_000 + 60_000)]))
    book.close()
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 0
    rekt("tweet", "--no-image")
    assert any("hours were not posted: nobody was at work" in text for text in mailbox.texts)


def test_an_hour_lost_at_a_later_call_is_told(
    rekt: Command, x: XServer, ledger: Path, mailbox: Mailbox
) -> None:
    """A post that waited in vain and whose time is over when the next hour is posted: told once, then over."""
    with Outbox(ledger) as box:
        waiting = Entry("x", "2026-07-16T10", "old", created_ms=1, deadline_ms=2, reason="no connection")
        box.add(waiting)
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 0
    assert len(mailbox.texts) == 1
    assert "x: 2026-07-16T10 was left out: its time is over: no connection" in mailbox.texts[0]
    assert rekt("tweet", "--hour", "2026-07-16T12", "--no-image").code == 0
    assert len(mailbox.texts) == 2
    assert mailbox.texts[1].startswith("rekt: well again")


def test_a_sink_that_is_behind(ledger: Path, mailbox: Mailbox) -> None:
    """QuestDB gets nothing: told once with what keeps it; once more when it has all."""
    with Reader(ledger) as reader:
        last = reader.last_seq()
    marks = Marks(ledger)
    marks.tell("questdb liqui", "can't be reached", suspended=False)
    env = {**os.environ, "REKT_DATABASE_ENGINE": "questdb", "REKT_ALERTS_SINK_SECONDS": "0.6"}
    command = [sys.executable, "-m", "rekt", "post", "--no-hours", "--no-large", "--seconds", "50"]
    watch = subprocess.Popen(command, env=env)
    try:
        assert until(lambda: bool(mailbox.texts))
        time.sleep(2)
        assert len(mailbox.texts) == 1
        assert f"QuestDB is behind for more than 1 s, {last} rows to be sent" in mailbox.texts[0]
        assert mailbox.texts[0].endswith("can't be reached")
        marks.tell("questdb liqui", None, suspended=False)
        marks.save("questdb liqui", last, time.time_ns() // 1000)
        assert until(lambda: len(mailbox.texts) == 2)
        assert "well again" in mailbox.texts[1]
    finally:
        marks.close()
        watch.kill()
        watch.wait()


def test_a_suspicious_venue(ledger: Path, mailbox: Mailbox) -> None:
    """What the recorder found suspicious is told once, and once when it is well; a venue not recorded is left out."""
    book = Ledger(ledger)
    odd = Suspicion("binance", "units", "3 of 20 quantities", 1)
    book.append(Batch("r1", suspicions=[odd, odd._replace(venue="okx")]))
    env = {**os.environ, "REKT_ALERTS_FEED_SECONDS": "1000000000", "REKT_ALERTS_SINK_SECONDS": "1"}
    command = [sys.executable, "-m", "rekt", "post", "--no-hours", "--no-large", "--seconds", "50"]
    watch = subprocess.Popen(command, env=env)
    try:
        assert until(lambda: bool(mailbox.texts))
        time.sleep(2)
        assert mailbox.texts == ["rekt: binance: suspicious: 3 of 20 quantities"]
        book.append(Batch("r1", suspicions=[odd._replace(text=None)]))
        assert until(lambda: len(mailbox.texts) == 2)
        assert mailbox.texts[1].startswith("rekt: well again")
    finally:
        book.close()
        watch.kill()
        watch.wait()


def test_run_tells_without_posting(path: Path, mailbox: Mailbox, x: XServer) -> None:
    """`rekt run` alone, with [ALERTS] set and the exchange out of reach: the operator is told; nothing is posted."""
    env = {**os.environ, "REKT_BINANCE_WS_URL": "ws://127.0.0.1:9/x", "REKT_ALERTS_FEED_SECONDS": "2"}
    run = subprocess.Popen([sys.executable, "-m", "rekt", "run"], env=env, stdout=subprocess.DEVNULL)
    try:
        assert until(lambda: bool(mailbox.texts))
    finally:
        run.terminate()
        code = run.wait(20)
    assert code == 0
    assert "binance: no sign of life" in mailbox.texts[0]
    assert x.state.requests == []
