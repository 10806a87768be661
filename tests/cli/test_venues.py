from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rekt import app, registry
from rekt.cli import _trial
from rekt.cli._check import Check
from rekt.config import Section
from rekt.model import Connection, Quarantined, Suspicion
from rekt.pipeline.committer import Change
from rekt.pipeline.suspicion import THIN, Figures
from rekt.pipeline.trial import Canary, Collected, Seen, Subscribed
from rekt.simulator import SimulatorThread, simulated
from rekt.store import Settled
from rekt.venue import Venue
from tests.cli.book import Result, event
from tests.venues.test_recorded import VENUES
from tests.venues.test_recorded import pointed as environ

Rekt = Callable[..., Result]


def found(checks: Sequence[Any]) -> dict[str, str]:
    """The state of each check by its name."""
    return {one["name"]: one["state"] for one in checks}


def section(one: Venue) -> Section:
    """A venue's own defaults."""
    return Section(one.name.upper(), {key: spec.default for key, spec in one.keys.items()})


def pointed(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    exchange: SimulatorThread,
    ledger: Path,
    canary_s: float = 10.0,
    **changes: str,
) -> None:
    """Have this exchange in the configuration."""
    for key, value in {**environ({name: exchange}, ledger, canary_s), **changes}.items():
        monkeypatch.setenv(key, value)


# -- the list ----------------------------------------------------------------------------------------------------------


def test_every_venue_is_listed(rekt: Rekt, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them with what they are, in words of at most 80 columns, those recorded marked; as objects, too."""
    monkeypatch.setenv("REKT_VENUES_ENABLED", "bybit,okx")
    monkeypatch.setenv("REKT_OKX_CANARY_TIMEOUT", "17")
    told = rekt("venues")
    assert told.code == 0
    assert max(len(line) for line in told.out.splitlines()) <= 80
    marked = [line.split()[1] for line in told.out.splitlines() if line.startswith("●") and ":" not in line]
    assert marked == ["bybit", "okx"]
    words = " ".join(told.out.split())
    objects = rekt("venues", "--json").objects
    assert [one["venue"] for one in objects] == registry.names("rekt.venues")
    assert [one["venue"] for one in objects if one["enabled"]] == ["bybit", "okx"]
    for one in objects:
        venue = app.venue(one["venue"])
        assert one["feeds"] == [
            {"market": feed.market, "price_kind": feed.price_kind, "sampling": feed.sampling}
            for feed in venue.feeds
        ]
        for text in (venue.canary, venue.limits, *venue.unconfirmed):
            assert text in words
        assert (one["canary"], one["limits"], one["unconfirmed"]) == (
            venue.canary,
            venue.limits,
            list(venue.unconfirmed),
        )
        assert one["settle_seconds"] == venue.settle_s
    assert {one["venue"]: one["canary_timeout_seconds"] for one in objects}["okx"] == 17
    assert "dead after 17 s" in words


def test_listing_needs_no_ledger(rekt: Rekt, path: Path) -> None:
    """Neither the list nor a wrong name makes anything."""
    assert rekt("venues").code == 0
    wrong = rekt("venues", "check", "bibyt")
    assert wrong.code == 2
    assert "bybit" in wrong.err
    assert rekt("venues", "check", "all").code == 2
    assert not path.exists()
    assert not path.parent.exists()


# What a venue leaves open: a contract in euros, whose dollars nobody tells; Bitfinex lists no steps.
UNTOLD = {"bitmex": {"values"}, "bitfinex": {"values", "units"}}

# -- a real check ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[int, str]]]:
    """What `venues check` says of each venue's scene, and with which exit code: all at once, so that they wait together."""
    ledger = tmp_path_factory.mktemp("checked") / "data" / "l.db"
    told: dict[str, tuple[int, str]] = {}
    with ExitStack() as stack:
        processes = {}
        for name in VENUES:
            one = app.venue(name)
            thin = any(feed.sampling in THIN for feed in one.feeds)
            slow = any(endpoint.pause_s > 0.2 for endpoint in one.endpoints(section(one)))
            exchange = stack.enter_context(
                simulated(
                    venue=name, scene="none", rate=20.0, throttle=thin, canary_period_s=1.0, late_share=0.0
                )
            )
            command = ["venues", "check", name, "--seconds", "30" if slow else "15", "--json"]
            processes[name] = subprocess.Popen(
                [sys.executable, "-m", "rekt", *command],
                env={**os.environ, **environ({name: exchange}, ledger, 10.0)},
                stdout=subprocess.PIPE,
                text=True,
            )
        for name, process in processes.items():
            out, _ = process.communicate(timeout=150)
            told[name] = process.returncode, out
    return ledger, told


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", VENUES)
def test_a_venue_that_is_well(name: str, checked: tuple[Path, dict[str, tuple[int, str]]]) -> None:
    """At each venue's scene everything that can be told in seconds is well; nothing is written."""
    ledger, told = checked
    code, out = told[name]
    assert code == 0, out
    states = found([json.loads(line) for line in out.splitlines()])
    known = {"reachable", "contracts", "acknowledged", "canary", "events", "values", "units"}
    for check in known - UNTOLD.get(name, set()):
        assert states[check] == "ok", out
    assert states["lateness"] in ("ok", "warn"), (
        out
    )  # a machine that stood still is late; `test_judged` has the bound
    assert states["sides"] == "warn"  # half an hour at least is needed
    assert "fail" not in states.values()
    assert not ledger.parent.exists()


def test_in_words(rekt: Rekt, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People read a line each, and what the figures are."""
    with simulated(scene="none", rate=50.0, throttle=True) as exchange:
        pointed(monkeypatch, "binance", exchange, path)
        result = rekt("venues", "check", "binance", "--seconds", "5")
    assert result.code == 0
    for words in (
        "1 of 1 connection open",
        "the address names the streams",
        "ticks: the last",
        "s from trade to here by the median",
        "fit their contract's step",
    ):
        assert words in result.out, words


def test_nobody_listens(rekt: Rekt, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be reached is told with its reason, and exit 1."""
    with simulated(venue="okx", scene="none") as exchange:
        pointed(monkeypatch, "okx", exchange, path)
    result = rekt("venues", "check", "okx", "--seconds", "2", "--json")
    assert result.code == 1
    assert found(result.objects) == {"reachable": "fail"}


@pytest.mark.timeout(120)
def test_accepted_and_silent(rekt: Rekt, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retired address that acknowledges everything and sends nothing fails, with what the venue knows of it."""
    with simulated(venue="bitget", scene="busy") as exchange:
        retired = exchange.ws_url.replace("/v3/", "/v2/")
        pointed(monkeypatch, "bitget", exchange, path, 2.5, REKT_BITGET_WS_URL=retired)
        result = rekt("venues", "check", "bitget", "--seconds", "8", "--json")
    states = found(result.objects)
    assert result.code == 1
    assert "fail" in (states["reachable"], states.get("canary"))  # connecting again, or waiting for it again
    assert "mis-routed" in result.out
    assert "never sends a liquidation" in result.objects[0]["hint"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (lambda exchange: exchange.answer_documents(503), "contracts"),
        (lambda exchange: exchange.fault("garbage", "every", share=0.5), "frames"),
        (lambda exchange: exchange.fault("refuse", "every", seconds=600), "reachable"),
    ],
)
def test_what_goes_wrong_is_told(
    spoil: Callable[[SimulatorThread], object],
    check: str,
    rekt: Rekt,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No list of contracts, frames that do not fit, a venue that refuses: each fails, and so does the check."""
    with simulated(venue="gate", scene="none", rate=5.0) as exchange:
        pointed(monkeypatch, "gate", exchange, path)
        spoil(exchange)
        result = rekt("venues", "check", "gate", "--seconds", "5", "--json")
    assert result.code == 1
    assert found(result.objects)[check] == "fail"


# -- what is made of it ------------------------------------------------------------------------------------------------

BYBIT = app.venue("bybit")
SECTION = section(BYBIT)
WELL = Seen(
    parts=2,
    open=2,
    trouble=None,
    listed=800,
    acknowledged=2,
    refusals=[],
    topics=Subscribed(800, [], [], True),
    canaries=[Canary(90, 0.2, 0.1), Canary(80, 0.4, 0.3)],
    events=[event(n, "BTCUSDT", "long", 5_000_000) for n in range(20)],
    priceless=frozenset({"XBTEUR"}),
    quarantined=0,
    misfit="",
    ends={},
    figures=Figures(20, 200, 900, (40, -2e-4), (40, 3e-4), (20, 0), 0),
    suspicions={},
)
LATE = Suspicion("bybit", "late", "it is late", 1)


@pytest.mark.parametrize(
    ("changes", "check", "state", "words"),
    [
        ({}, "sides", "ok", "longs: 40 minutes, bitcoin moved -2.0 bp before"),
        ({"open": 1, "trouble": "refused"}, "reachable", "fail", "1 of 2 connections open: refused"),
        ({"open": 0, "ends": {"cut": 3}}, "reachable", "fail", "3 × cut"),
        ({"listed": 0}, "contracts", "fail", "can't be had"),
        (
            {"topics": Subscribed(798, ["allLiquidation.A", "allLiquidation.B"], [], True)},
            "acknowledged", "fail", "2 refused: allLiquidation.A, allLiquidation.B",
        ),
        ({"topics": Subscribed(800, [], ["allLiquidation.A"], True)}, "acknowledged", "fail", "1 not answered"),
        ({"topics": Subscribed(800, [], [], False)}, "acknowledged", "warn", "not all answered yet"),
        ({"topics": None, "acknowledged": 0}, "acknowledged", "fail", "no subscription was answered"),
        ({"refusals": ["10001: no"]}, "errors", "fail", "10001: no"),
        ({"canaries": [Canary(0, None, None), Canary(9, 0.1, 0.1)]}, "canary", "warn", "1 of 2 have not ticked yet"),
        ({"canaries": [Canary(9, 11.0, 0.1)]}, "canary", "fail", "dead after 10 s"),
        ({"ends": {"cut": 2, "stall": 1}}, "connections", "warn", "2 × cut, 1 × stall"),
        ({"quarantined": 3, "misfit": "no price"}, "frames", "fail", "3 do not fit, the last: no price"),
        ({"events": []}, "events", "warn", "the market is calm, or the subscription silent"),
        (
            {"events": [event(n, "ODDUSDT", "short", None) for n in range(20)]},
            "values", "fail", "20 of 20 unknown: ODDUSDT",
        ),
        (
            {"events": [*WELL.events, event(99, "ETHBTC", "short", None)]},
            "values", "warn", "1 of 21 unknown: ETHBTC",
        ),
        (
            {"events": [event(n, "XBTEUR", "short", None) for n in range(20)]},
            "values", "warn", "20 of 20 unknown: XBTEUR",
        ),
        ({"figures": WELL.figures._replace(late_p999=3001)}, "lateness", "warn", "3.0 s by the 99.9th"),
        ({"suspicions": {"late": LATE}}, "lateness", "fail", "it is late"),
        ({"suspicions": {"sides": LATE._replace(text="exchanged")}}, "sides", "fail", "exchanged"),
        ({"suspicions": {"units": LATE._replace(text="odd")}}, "units", "fail", "odd"),
        ({"figures": WELL.figures._replace(units=(20, 1))}, "units", "warn", "19 of 20"),
        ({"figures": WELL.figures._replace(units=(0, 0))}, "units", "warn", "no contract's step is known"),
        ({"figures": WELL.figures._replace(shorts=(2, 1e-4))}, "sides", "warn", "not to be told yet"),
        (
            {"figures": WELL.figures._replace(longs=(0, None), shorts=(0, None), priced=False)},
            "sides", "warn", "not to be told here: its canary tells no price",
        ),
    ],
)  # fmt: skip
def test_judged(changes: dict[str, Any], check: str, state: str, words: str) -> None:
    """Each thing that may be seen has its state and its words; what is well says nothing else."""
    checks: list[Check] = _trial.judged(BYBIT, SECTION, WELL._replace(**changes))
    (one,) = [one for one in checks if one.name == check]
    assert one.state == state
    assert words in one.text
    assert {other.name for other in checks if other.state != "ok"} <= {check}


def test_a_canary_that_never_came() -> None:
    """Not yet is no fault; after a connection was given up for it, it is."""
    mute = WELL._replace(canaries=[Canary(0, None, None)], ends={"mis-routed": 1})
    (one,) = [one for one in _trial.judged(BYBIT, SECTION, mute) if one.name == "canary"]
    assert (one.state, one.text) == ("fail", "1 of 1 have not ticked yet; one is due within 10 s")


def test_sampling_is_judged_where_it_leaves_out() -> None:
    """Of a venue that promises one per symbol and second bursts are told; one that tells all is not held to it."""
    binance = app.venue("binance")
    often = WELL._replace(topics=None, figures=WELL.figures._replace(bursts=3))
    assert {one.name: one.state for one in _trial.judged(binance, section(binance), often)}[
        "sampling"
    ] == "warn"
    told = often._replace(suspicions={"throttle": LATE})
    assert {one.name: one.state for one in _trial.judged(binance, section(binance), told)}[
        "sampling"
    ] == "fail"
    assert "sampling" not in {one.name for one in _trial.judged(BYBIT, SECTION, often)}


def test_what_is_collected() -> None:
    """Events once, values learnt later, ends of connections once each; it is never full."""
    book = Collected()
    one = event(1, "X", "long", None)
    assert book.put((one,)) is False
    book.put_all([(one,), (event(2, "X", "long", 5),)])
    assert [found.uid for found in book.unsettled()] == [one.uid]
    book.put(Change(settled=(Settled(one.trade_time, one.uid, 7, None),)))
    assert book.unsettled() == []
    assert book.events[one.uid].notional == 7
    life = Connection("c", "r", "bybit", "u", 1, closed_us=2, cause="cut")
    book.put(Change(connections=(life, life._replace(id="d", cause=None, closed_us=None))))
    book.put(Change(connections=(life,)))
    assert book.ends == {"cut": 1}
    book.put(Quarantined("bybit", "c", 1, "odd", b""))
    assert (book.quarantined, book.misfit and book.misfit.reason) == (1, "odd")
