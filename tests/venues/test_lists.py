"""Lists of contracts that change while a venue is recorded symbol by symbol: followed on the connections that are open."""

from __future__ import annotations

from pathlib import Path

import pytest

from rekt import app
from rekt.config import load
from rekt.errors import RestError
from rekt.pipeline import instruments
from rekt.simulator import SimulatorThread, simulated
from tests.pipeline.service import Running
from tests.venues.pointed import environ
from tests.waiting import until

TOPICS = {"bybit": "allLiquidation.", "kraken": "trade ", "dydx": "v4_trades "}
COINS = {
    "bybit": ("ETHUSDT", "SOLUSDT"),
    "kraken": ("PF_ETHUSD", "PF_SOLUSD"),
    "dydx": ("ETH-USD", "SOL-USD"),
}


@pytest.fixture(params=sorted(TOPICS))
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A venue that is subscribed symbol by symbol, its lists read again each moment."""
    monkeypatch.setattr(instruments, "REFRESH_S", 0.2)
    monkeypatch.setattr(instruments, "UNKNOWN_S", 0.1)
    return str(request.param)


def started(name: str, exchange: SimulatorThread, ledger: Path) -> Running:
    """A recorder of it, on one connection a part."""
    given = {"REKT_VENUES_ENABLED": name, "REKT_DATABASE_PATH": str(ledger)}
    given |= environ(name, exchange.ws_url, exchange.rest_url, connections=1)
    return Running(load(None, given, extra=app.keys(), launcher_root=None, cwd=None))


def heard(name: str, exchange: SimulatorThread) -> set[str]:
    """The contracts whose liquidations are subscribed now."""
    start = TOPICS[name]
    asked = [topic for life in exchange.connections if life.open for topic in life.streams]
    return {topic.removeprefix(start) for topic in asked if topic.startswith(start)}


@pytest.mark.timeout(120)
def test_new_contracts_are_heard_and_old_ones_left(name: str, tmp_path: Path) -> None:
    """What a list has anew is subscribed, what it has no more is left, and no connection is opened or ended for it."""
    later, gone = COINS[name]
    with simulated(venue=name, scene="none", canary_period_s=1.0, unlisted=frozenset({later})) as exchange:
        everything = {one.symbol for one in exchange.simulator.scene.instruments}
        running = started(name, exchange, tmp_path / "l.db")
        try:
            assert until(lambda: heard(name, exchange) == everything - {later}, 60)
            count = len(exchange.connections)
            exchange.unlist(gone)
            exchange.relist(later)
            assert until(lambda: heard(name, exchange) == everything - {gone}, 30)
            assert [life.open for life in exchange.connections] == [True] * count
        finally:
            running.stop()


@pytest.mark.timeout(120)
def test_a_list_of_nothing_ends_no_subscription(name: str, tmp_path: Path) -> None:
    """A document that suddenly lists nothing that can be read is no word on what trades: all stays subscribed."""
    with simulated(venue=name, scene="none", canary_period_s=1.0) as exchange:
        everything = {one.symbol for one in exchange.simulator.scene.instruments}
        running = started(name, exchange, tmp_path / "l.db")
        try:
            assert until(lambda: heard(name, exchange) == everything, 60)
            exchange.unlist(*everything)
            assert not until(lambda: heard(name, exchange) != everything, 4)
        finally:
            running.stop()


@pytest.mark.timeout(120)
def test_a_list_that_cannot_be_had_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one market's list away, a contract that is new in the other's is subscribed all the same."""
    fetch, (later, _) = app.fetch, COINS["bybit"]

    async def one_away(url: str) -> bytes:
        if "category=inverse" in url:
            raise RestError("away")
        return await fetch(url)

    monkeypatch.setattr(app, "fetch", one_away)
    with simulated(venue="bybit", scene="none", canary_period_s=1.0, unlisted=frozenset({later})) as exchange:
        linear = {one.symbol for one in exchange.simulator.scene.instruments if one.market == "linear"}
        running = started("bybit", exchange, tmp_path / "l.db")
        try:
            assert until(lambda: heard("bybit", exchange) == linear - {later}, 30)
            exchange.relist(later)
            assert until(lambda: heard("bybit", exchange) == linear, 30)
        finally:
            running.stop()
