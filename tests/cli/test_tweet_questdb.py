from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.book import Result, fill
from tests.publishers.x_server import XServer, x_server
from tests.stores.questdb import Shipped, place

Command = Callable[..., Result]
HOUR = ("--hour", "2026-07-16T12", "--no-image", "--json")


@pytest.fixture
def x(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[XServer]:
    """A stand-in for X, and a QuestDB with a recorded hour, which a machine without a ledger is led to."""
    where = place()
    fill(tmp_path / "elsewhere" / f"{where.table}.db")
    store = Shipped(tmp_path / "elsewhere", where)
    store.ship()
    store.close()
    with x_server() as server:
        for name, value in {
            **server.environment(),
            "REKT_DATABASE_URL": where.url,
            "REKT_DATABASE_USER": where.user,
            "REKT_DATABASE_PASSWORD": where.password,
            "REKT_DATABASE_NAME": where.table,
            "REKT_POST_SETTLE_SECONDS": "0.2",
        }.items():
            monkeypatch.setenv(name, value)
        yield server


def test_posts_once_without_a_ledger(rekt: Command, x: XServer, path: Path) -> None:
    """From QuestDB's numbers the hour is posted, once; the outbox is a file of its own, and no ledger is made."""
    told = [rekt("tweet", "--store", "questdb", *HOUR) for _ in range(2)]
    assert [(one.code, one.objects[0]["state"]) for one in told] == [(0, "sent")] * 2
    assert x.texts == [told[0].objects[0]["text"]]
    assert "2026-07-16 12:00 UTC" in x.texts[0]
    assert "figures cover 54 of 60 minutes" in x.texts[0]
    assert not path.exists()
    assert path.with_name("test.outbox.db").exists()


def test_a_ledger_that_comes_later_posts_nothing_again(rekt: Command, x: XServer, path: Path) -> None:
    """What was posted from QuestDB stays posted once this machine records: there is one outbox, also in `status`."""
    assert rekt("tweet", "--store", "questdb", *HOUR).code == 0
    fill(path)
    for store in ("ledger", "questdb"):
        told = rekt("tweet", "--store", store, *HOUR)
        assert (told.code, told.objects[0]["state"]) == (0, "sent")
    assert len(x.texts) == 1
    assert rekt("status", "--json").objects[0]["posts"]["latest"][0]["state"] == "sent"


def test_beside_a_ledger_both_share_its_outbox(rekt: Command, x: XServer, path: Path) -> None:
    """Where there is a ledger its outbox serves both stores."""
    fill(path)
    for store in ("questdb", "ledger"):
        assert rekt("tweet", "--store", store, *HOUR).code == 0
    assert len(x.texts) == 1
    assert not path.with_name("test.outbox.db").exists()


def test_an_unknown_outcome_is_looked_up(rekt: Command, x: XServer) -> None:
    """The rules of posting once are the same: an attempt of unknown fate is looked up, not sent again."""
    x.state.script = ["cut-accepted"]
    told = rekt("tweet", "--store", "questdb", *HOUR)
    assert (told.code, told.objects[0]["state"]) == (0, "sent")
    assert len(x.texts) == 1


def test_engine_questdb_without_a_ledger_needs_no_option(
    rekt: Command, x: XServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine than the recorder's, with the same settings: `rekt tweet` posts from QuestDB."""
    monkeypatch.setenv("REKT_DATABASE_ENGINE", "questdb")
    assert rekt("tweet", "--hour", "2026-07-16T12").code == 0
    assert len(x.texts) == 1
    assert x.state.tweets[0].media  # the picture is drawn from QuestDB too
