from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rekt import app
from rekt.cli._keys import keys
from tests.cli.book import Result
from tests.publishers.x_server import x_server

Command = Callable[..., Result]


def test_keys_are_proved_without_posting(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good keys tell whose they are, wrong ones fail, half a set is named; nothing is posted."""
    assert [check.text for check in keys(app.settings())] == [
        "no keys: posts are written to the data folder's posts/"
    ]
    with x_server() as x:
        for name, value in x.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("REKT_BLUESKY_HANDLE", "burn.example.org")
        found = list(keys(app.settings()))
        assert [(check.state, check.text.split(" at ")[0]) for check in found] == [
            ("warn", "bluesky still needs [BLUESKY] app_password"),
            ("ok", "x: @burning_money"),
        ]
        monkeypatch.setenv("REKT_TWITTER_ACCESS_TOKEN_SECRET", "anothersecret")
        (_, wrong) = keys(app.settings())
        assert wrong.state == "fail"
        assert "anothersecret" not in str(wrong)
        assert x.texts == []
        assert {path for _, path, _ in x.state.requests} == {"/2/users/me"}
