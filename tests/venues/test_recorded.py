"""Every venue recorded from its scene over real sockets, with what goes wrong in between.

All are recorded at once, by one recorder: the tests of each then look at its own part. So the waiting, which is nearly
all that these tests do, is done once; and that each venue's connections live and fail alone is tried along with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from rekt import app, registry
from rekt.config import load
from rekt.errors import LedgerError
from rekt.model import HourSummary, Window
from rekt.pipeline import link
from rekt.simulator import SimulatorThread, scenes, simulated
from rekt.stats.coverage import covered, union
from rekt.stats.summary import summarise
from rekt.store import Alive
from rekt.stores.sqlite import Reader
from rekt.venue import Reference
from tests.pipeline.service import Running
from tests.venues.pointed import environ
from tests.waiting import until

VENUES = [name for name in registry.names("rekt.venues") if name in scenes.names()]
RATE = 20.0
CANARY_S = 2.5  # of two ticks, one may be late
PATIENT_S = (
    5.0  # where nothing may be lost: a machine that is too busy must not silence both connections at once
)
NEVER_S = 60.0  # where nothing has to be found silent
ALL = Window(0, 1 << 60)
Exchanges = dict[str, SimulatorThread]


@contextmanager
def playing() -> Iterator[Exchanges]:
    """Every exchange, each with its own market, telling its canary each second."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                simulated(venue=name, scene="none", rate=RATE, hold_ms=0, canary_period_s=1.0, tick_s=0.02)
            )
            for name in VENUES
        }


def pointed(exchanges: Exchanges, ledger: Path, canary_s: float = CANARY_S) -> dict[str, str]:
    """The settings of a recorder of these, as the environment gives them."""
    given = {"REKT_VENUES_ENABLED": ",".join(exchanges), "REKT_DATABASE_PATH": str(ledger)}
    for name, exchange in exchanges.items():
        given |= environ(name, exchange.ws_url, exchange.rest_url, connections=2, canary_timeout=canary_s)
    return given


def uids(
    name: str,
    exchange: SimulatorThread,
    ledger: Path,
    *,
    since_ns: int = 0,
    window: Window | None = None,
    heard: bool = True,
) -> set[bytes]:
    """The identities of what an exchange published: wrote to somebody after a moment, or (not `heard`) all of it.

    `window`: of these the ones with a trade time in it.
    """
    one = app.venue(name)
    with Reader(ledger) as reader:
        reference = Reference(reader.instruments(name))
    found = set()
    for sent in exchange.sent:
        if heard and not any(at >= since_ns for _, at in sent.written):
            continue
        at_us = (sent.written[0][1] if sent.written else time.time_ns()) // 1000
        decoded = one.decode(sent.payload, at_us, reference)
        events = decoded if isinstance(decoded, tuple) else one.due(1 << 62, reference)
        found |= {
            event.uid for event in events if window is None or window.start <= event.trade_time < window.end
        }
    return found


def stored(name: str, ledger: Path) -> list[bytes]:
    """The identities of a venue's events in the ledger."""
    with Reader(ledger) as reader:
        return [event.uid for event in reader.liquidations() if event.feed.venue == name]


# -- faults of one connection ------------------------------------------------------------------------------------------


class Faulted(NamedTuple):
    """What came of recording through faults that leave one connection of each part alive."""

    exchanges: Exchanges
    ledger: Path
    began_ns: int
    ended_ns: int
    causes: dict[str, Counter[str]]  # why each venue's connections ended


@pytest.fixture(scope="module")
def faulted(tmp_path_factory: pytest.TempPathFactory) -> Faulted:
    """Every venue with two connections: one is cut, its successor only acknowledges; another falls silent, the rest repeat all."""
    ledger = tmp_path_factory.mktemp("faulted") / "l.db"
    with playing() as exchanges, pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "LATE_S", 3.0)  # the causes are looked at: the machine's are not
        settings = load(
            None, pointed(exchanges, ledger, PATIENT_S), extra=app.keys(), launcher_root=None, cwd=None
        )
        recorder = Running(settings)
        try:
            _wait(lambda: _broken(recorder), "not recorded whole", recorder)
            began = time.time_ns()
            for exchange in exchanges.values():
                exchange.fault("unrouted", "next")
            _hit(exchanges, "cut")
            _wait(lambda: _listening(exchanges, "unrouted"), "a silent feed was not left", recorder)
            for exchange in exchanges.values():
                exchange.clear("unrouted")
            _wait(lambda: _broken(recorder), "not whole again after a cut", recorder)
            for exchange in exchanges.values():
                exchange.fault("duplicate", "open", seconds=3.0)
            _hit(exchanges, "stall")
            _wait(lambda: _listening(exchanges, "stall"), "a stalled feed was not left", recorder)
            _wait(lambda: _broken(recorder), "not whole again after a stall", recorder)
        finally:
            ended = time.time_ns()
            time.sleep(0.5)
            recorder.stop()
        with Reader(ledger) as reader:
            assert reader.verify() == []
            causes: dict[str, Counter[str]] = {name: Counter() for name in VENUES}
            for one in reader.connections(None):
                causes[one.venue][str(one.cause)] += 1
        counters = recorder.counters()
        assert counters.quarantined == 0
        assert counters.received == sum(counters[1:])
    return Faulted(exchanges, ledger, began, ended, causes)


@pytest.mark.timeout(400)  # the first of them waits for all
@pytest.mark.parametrize("name", VENUES)
def test_faults_of_one_connection_cost_nothing(name: str, faulted: Faulted) -> None:
    """With two connections, a cut, an acknowledging silence and a stall of one after the other: nothing lost or doubled."""
    exchange, ledger = faulted.exchanges[name], faulted.ledger
    rows = stored(name, ledger)
    assert len(rows) == len(set(rows))
    # What was written in the last moments may have come after the recorder had gone.
    last = uids(name, exchange, ledger, since_ns=faulted.ended_ns - 500_000_000)
    expected = uids(name, exchange, ledger, since_ns=faulted.began_ns) - last
    assert len(expected) > 20
    assert not expected - set(rows), faulted.causes[name]
    assert set(rows) <= uids(name, exchange, ledger, heard=False)  # nothing told again became another
    assert faulted.causes[name]["cut"] >= 1
    # An answer to the subscription may hold a first tick: then the silence after it is a stall.
    assert faulted.causes[name]["mis-routed"] + faulted.causes[name]["stall"] >= 2


def _hit(exchanges: Exchanges, kind: str) -> None:
    """Do this to one connection of each; the others of it stay as they are."""
    for name, exchange in exchanges.items():
        assert until(partial(exchange.fault, kind, "one", 1)), name


def _broken(recorder: Running) -> list[str]:
    """The venues of which some part is not proved alive by two connections."""
    found = []
    for one in recorder.service.recorders:
        proved = Counter(
            found.part for found in one.links if found.proved.is_set() and not found.ended.is_set()
        )
        if not one.parts or any(proved[part] < 2 for part in one.parts):
            found.append(one.venue.name)
    return found if recorder.service.recorders else VENUES


def _listening(exchanges: Exchanges, kind: str) -> list[str]:
    """The venues of which a connection with this fault is still kept, or none has come yet."""
    found = []
    for name, exchange in exchanges.items():
        hurt = [life for life in exchange.connections if kind in life.faults]
        if not hurt or any(life.open for life in hurt):
            found.append(name)
    return found


def _wait(left: Callable[[], list[str]], what: str, recorder: Running | None = None) -> None:
    """Wait until no venue is left."""
    if not until(lambda: not left(), 90):
        raise AssertionError(f"{what}: {left()} {recorder.error if recorder is not None else ''}")


# -- holes -------------------------------------------------------------------------------------------------------------


class Holed(NamedTuple):
    """What came of cutting all connections at once, and of killing the process."""

    exchanges: Exchanges
    ledger: Path
    began: int
    cut: dict[str, int]  # when each venue's were cut, ms
    refused: Window  # from when all were, until they were let in again
    back: dict[str, int]
    killed: int
    again: dict[str, int]
    alive: dict[str, list[Alive]]


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> Holed:
    """Every venue, recorded by `rekt run`: all cut and refused for two seconds; later kill -9, and two seconds nothing."""
    ledger = tmp_path_factory.mktemp("holed") / "l.db"
    with playing() as exchanges:
        given = {**os.environ, **pointed(exchanges, ledger, NEVER_S)}
        process = _start(given)
        try:
            began = min(_proved(ledger, dict.fromkeys(VENUES, 0)).values())
            time.sleep(2)
            cut = {}
            for name, exchange in exchanges.items():
                exchange.fault("refuse", "every")
                cut[name] = int(time.time() * 1000)
                exchange.cut("open")
            gone = int(time.time() * 1000)
            time.sleep(2)
            cleared = int(time.time() * 1000)
            for exchange in exchanges.values():
                exchange.clear("refuse")
            back = _proved(ledger, {name: at + 1000 for name, at in cut.items()})
            time.sleep(2)
            process.kill()
            killed = int(time.time() * 1000)
            process.wait()
            time.sleep(2)
            process = _start(given)
            again = _proved(ledger, dict.fromkeys(VENUES, killed))
            time.sleep(2)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        with Reader(ledger) as reader:
            assert reader.verify() == []
            alive: dict[str, list[Alive]] = {name: [] for name in VENUES}
            for span in reader.alive(ALL):
                alive[span.venue].append(span)
    return Holed(exchanges, ledger, began, cut, Window(gone, cleared), back, killed, again, alive)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", VENUES)
def test_holes_are_recorded(name: str, holed: Holed) -> None:
    """All cut at once, and the process killed: nothing doubled, all of covered time there, both holes with their cause."""
    exchange, ledger, cut, killed = holed.exchanges[name], holed.ledger, holed.cut[name], holed.killed
    proved = union(holed.alive[name])
    sent = {
        event
        for start, end in proved
        # at its edges a span is proved, but what was under way there need not have been heard whole
        for event in uids(name, exchange, ledger, window=Window(start + 1, end - 1000))
    }
    rows = stored(name, ledger)
    assert len(rows) == len(set(rows))
    assert set(rows) <= uids(name, exchange, ledger, heard=False)
    assert len(sent) > 20
    assert not sent - set(rows)
    causes = [
        (gap.cause, gap.start, gap.end) for gap in _summary(ledger, name, holed.began, holed.again[name]).gaps
    ]
    assert any(
        cause == "cut" and abs(start - cut) < 2500 and end <= holed.back[name] for cause, start, end in causes
    ), causes
    held = app.venue(name).hold_s * 1000  # what was held back was lost, so nothing is claimed of that time
    assert any(
        cause == "process down" and abs(start - killed) < 3500 + held for cause, start, end in causes
    ), causes
    assert covered(proved, holed.refused) == 0
    assert covered(proved, Window(killed + 200, killed + 1900)) == 0


def _start(given: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "rekt", "run"], env=given, stdout=subprocess.DEVNULL)


def _proved(ledger: Path, since_ms: dict[str, int]) -> dict[str, int]:
    """Wait until something of each venue is proved after a moment; when, for each (venue time, ms)."""
    found: dict[str, int] = {}

    def left() -> list[str]:
        try:
            with Reader(ledger) as reader:
                for one in reader.alive(ALL):
                    if one.start_ms >= since_ms[one.venue]:
                        found[one.venue] = min(found.get(one.venue, one.start_ms), one.start_ms)
        except LedgerError:  # being made
            pass
        return [name for name in since_ms if name not in found]

    _wait(left, "not proved")
    return found


def _summary(ledger: Path, name: str, start: int, end: int) -> HourSummary:
    with Reader(ledger) as reader:
        now_ms = int(time.time() * 1000)
        return summarise(reader, Window(start, end), now_ms, traits=app.traits(), venues=[name])


def test_a_refused_subscription_is_no_coverage(tmp_path: Path) -> None:
    """An error answer on a connection that subscribes ends it as refused, though its canary goes on; another is opened."""
    with simulated(venue="okx", scene="none", rate=RATE, hold_ms=0) as exchange:
        given = pointed({"okx": exchange}, tmp_path / "l.db", NEVER_S)
        recorder = Running(load(None, given, extra=app.keys(), launcher_root=None, cwd=None))
        try:
            _wait(lambda: _broken(recorder), "not recorded whole", recorder)
            exchange.send(b'{"event":"error","code":"60018","msg":"channel does not exist","connId":"x"}')
            assert until(lambda: len(exchange.connections) >= 4, 30)
        finally:
            recorder.stop()
        assert [connection.cause for connection in recorder.connections()][:2] == ["refused", "refused"]
