"""One suite over every publisher: what each must tell truthfully, against a server that behaves as the real one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rekt import app, registry
from rekt.config import Section
from rekt.errors import RektError
from rekt.publisher import Absent, NotPosted, Post, Publisher, Receipt, Unknown, Unreadable
from tests.publishers.services import Bluesky, Discord, Telegram, standing_in
from tests.publishers.x_server import KEYS, PNG, x_server

PICTURE = PNG + b"picture"


@dataclass
class Bench:
    """A publisher, and what can be asked of the server behind it."""

    publisher: Publisher
    texts: Callable[[], list[str]]
    pictures: Callable[[], int]
    fail: Callable[[str], None]  # the next post goes wrong in this way
    refused: Publisher  # the same with wrong keys


def made(name: str, folder: Path, **values: str) -> Publisher:
    """A publisher with these settings, its other ones at their defaults."""
    service = app.service(name)
    known = app.settings().section(service.section)
    return service.open(Section(service.section, {**known, **values}), folder)


def gone(name: str, folder: Path) -> Publisher:
    """The same publisher where nothing listens."""
    url = "http://127.0.0.1:9"
    keys = {
        "x": {**KEYS, "api_url": url},
        "bluesky": {"handle": "a", "app_password": "b", "url": url},
        "mastodon": {"url": url, "access_token": "t"},
        "telegram": {"api_url": url, "bot_token": "1:a", "chat_id": "@b"},
        "discord": {"webhook_url": f"{url}/api/webhooks/1/a"},
    }
    return made(name, folder, **keys[name])


@contextmanager
def bench(name: str, folder: Path) -> Iterator[Bench]:
    """A server and its publisher."""
    if name == "x":
        with x_server() as x:
            state = x.state
            yield Bench(
                made("x", folder, **KEYS, api_url=x.url),
                lambda: x.texts,
                lambda: sum(len(one.media) for one in state.tweets),
                state.script.append,
                made("x", folder, **{**KEYS, "access_token_secret": "anothersecret"}, api_url=x.url),
            )
    elif name == "mastodon":
        with mastodon(folder) as url:
            yield Bench(
                made("mastodon", folder, url=url, access_token="mock_token"),
                lambda: [one["text"] for one in statuses(url)],
                lambda: sum(len(one["media_attachments"]) for one in statuses(url)),
                lambda _: None,
                made("mastodon", folder, url=url, access_token="wrong"),
            )
    else:
        kind = {"bluesky": Bluesky, "telegram": Telegram, "discord": Discord}[name]
        with standing_in(kind) as (url, seen):
            good, bad = {
                "bluesky": (
                    {"url": url, "handle": "burn.example.org", "app_password": "app-pass-word"},
                    {"url": url, "handle": "burn.example.org", "app_password": "other"},
                ),
                "telegram": (
                    {"api_url": url, "bot_token": "123:telegram-token", "chat_id": "@burn"},
                    {"api_url": url, "bot_token": "123:other", "chat_id": "@burn"},
                ),
                "discord": (
                    {"webhook_url": f"{url}/api/webhooks/77/discord-token"},
                    {"webhook_url": f"{url}/api/webhooks/77/other"},
                ),
            }[name]
            yield Bench(
                made(name, folder, **good),
                lambda: [one["text"] for one in seen.posts.values()],
                lambda: len(seen.pictures),
                lambda fault: setattr(seen, "fault", fault),
                made(name, folder, **bad),
            )


@contextmanager
def mastodon(folder: Path) -> Iterator[str]:
    """A Mastodon server."""
    command = [sys.executable, "-m", "mastodon_mock", "serve", "--in-memory", "--host", "127.0.0.1", "--port"]
    port = free_port()
    with subprocess.Popen(
        [*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(300):
                try:
                    statuses(url)
                    break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            server.kill()


def statuses(url: str) -> list[dict[str, Any]]:
    """What the account has posted, in the service's own words."""
    from rekt.publishers.mastodon import plain

    def read(route: str) -> object:
        asked = urllib.request.Request(url + route, headers={"Authorization": "Bearer mock_token"})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return json.load(answer)

    me = read("/api/v1/accounts/verify_credentials")
    assert isinstance(me, dict)
    found = read(f"/api/v1/accounts/{me['id']}/statuses?limit=40")
    assert isinstance(found, list)
    return [{**one, "text": plain(one["content"])} for one in found]


def free_port() -> int:
    """A port nobody listens on."""
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


ALL = ("bluesky", "discord", "mastodon", "telegram", "x")
SCRIPTED = ("bluesky", "discord", "telegram", "x")


@pytest.fixture
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """The publisher that the test is about."""
    with bench(request.param, tmp_path) as found:
        yield found


def post(text: str = "a < b & c 🔥 · 2026-07-16 12:00 UTC") -> Post:
    """A post of now."""
    return Post("2026-07-16T12", text, PICTURE, "a picture of bars", now())


def now() -> int:
    """The time, ms."""
    return time.time_ns() // 1_000_000


def test_every_publisher_is_tried() -> None:
    """A new file in publishers/ has to come into this suite; console and Apprise have tests of their own."""
    assert {*ALL, "console", "apprise"} == set(registry.names("rekt.publishers"))


@pytest.mark.parametrize("tried", ALL, indirect=True)
def test_a_post_arrives_whole(tried: Bench) -> None:
    """The text arrives as it was rendered, with its picture, and is found again where a service can be read."""
    sent = post()
    before = tried.publisher.find(sent, now(), 20)
    outcome = tried.publisher.publish(sent, now(), 60)
    assert isinstance(outcome, Receipt)
    assert outcome.remote_id
    assert outcome.note == ""
    assert tried.texts() == [sent.text]
    assert tried.pictures() == 1
    found = tried.publisher.find(sent, now(), 20)
    if tried.publisher.can_find:
        assert isinstance(before, Absent)
        assert isinstance(found, Receipt)
        assert found.remote_id == outcome.remote_id
        assert not isinstance(
            tried.publisher.find(sent._replace(key="2026-07-16T13", text="other"), now(), 20), Receipt
        )
    else:
        assert isinstance(found, Unreadable)


@pytest.mark.parametrize("tried", ["bluesky", "mastodon"], indirect=True)
def test_sending_twice_is_harmless_where_the_service_helps(tried: Bench) -> None:
    """The same post given again is the same post there."""
    first = tried.publisher.publish(post(), now(), 60)
    again = tried.publisher.publish(post(), now(), 60)
    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert again.remote_id == first.remote_id
    assert len(tried.texts()) == 1


@pytest.mark.parametrize("tried", SCRIPTED, indirect=True)
@pytest.mark.parametrize("fault", ["cut", "500", "cut-accepted", "500-accepted", "html-accepted"])
def test_what_may_have_been_carried_out_is_unknown(tried: Bench, fault: str) -> None:
    """A cut connection, a server's error, an answer that can't be read: never called posted, never called refused."""
    tried.fail(fault)
    outcome = tried.publisher.publish(post(), now(), 60)
    assert isinstance(outcome, Unknown)
    found = tried.publisher.find(post(), now(), 20)
    if tried.publisher.can_find:
        assert isinstance(found, Receipt) == fault.endswith("-accepted")
        assert isinstance(found, Receipt | Absent)


@pytest.mark.parametrize("tried", SCRIPTED, indirect=True)
def test_a_rate_limit_says_when(tried: Bench) -> None:
    """Too many requests: certainly not posted, and the time to come back is the service's."""
    tried.fail("429")
    began = now()
    outcome = tried.publisher.publish(post(), began, 60)
    assert isinstance(outcome, NotPosted)
    assert outcome.cause == "rate"
    assert outcome.retry_ms is not None
    assert 0 < outcome.retry_ms - began <= 61_000
    assert tried.texts() == []


@pytest.mark.parametrize("tried", ALL, indirect=True)
def test_wrong_keys(tried: Bench) -> None:
    """Wrong keys are told as such, once, by posting and by proving them; nothing is posted."""
    outcome = tried.refused.publish(post(), now(), 60)
    assert isinstance(outcome, NotPosted)
    assert (outcome.cause, outcome.retry_ms) == ("keys", None)
    with pytest.raises(RektError):
        tried.refused.verify(10)
    assert tried.publisher.verify(10)
    assert tried.texts() == []


@pytest.mark.parametrize("name", ALL)
def test_a_server_that_is_not_there(name: str, tmp_path: Path) -> None:
    """Where nothing listens nothing was sent, and trying again may help."""
    outcome = gone(name, tmp_path).publish(post(), now(), 60)
    assert isinstance(outcome, NotPosted)
    assert (outcome.cause, outcome.retry_ms is not None) == ("unreachable", True)
    assert isinstance(gone(name, tmp_path).find(post(), now(), 10), Unreadable)
