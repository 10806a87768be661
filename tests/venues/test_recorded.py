"""Every venue recorded from its scene over real sockets, with what goes wrong in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rekt import app, registry
from rekt.config import Settings, load
from rekt.model import Window
from rekt.simulator import SimulatorThread, scenes, simulated
from rekt.stats.coverage import covered, union
from rekt.stores.sqlite import Reader
from rekt.venue import Reference, Venue
from tests.pipeline.service import Running, until
from tests.venues.pointed import environ as environ_of

VENUES = [name for name in registry.names("rekt.venues") if name in scenes.names()]
RATE = 20.0
CANARY_S = 2.5


def environ(name: str, exchange: SimulatorThread, ledger: Path, connections: int = 2) -> dict[str, str]:
    """The settings of a recorder of this exchange, as the environment gives them."""
    return {
        **environ_of(
            name,
            exchange.ws_url,
            exchange.rest_url,
            connections=connections,
            canary_timeout=CANARY_S,
        ),
        "REKT_VENUES_ENABLED": name,
        "REKT_DATABASE_PATH": str(ledger),
    }


def settings(name: str, exchange: SimulatorThread, ledger: Path) -> Settings:
    """The same, read."""
    given = environ(name, exchange, ledger)
    return load(None, given, extra=app.keys(), launcher_root=ledger.parent, cwd=None)


def uids(
    one: Venue, exchange: SimulatorThread, ledger: Path, *, since_ns: int = 0, window: Window | None = None
) -> set[bytes]:
    """The identities of what the exchange published and wrote: after a moment, with a trade time in a window."""
    with Reader(ledger) as reader:
        reference = Reference(reader.instruments(one.name))
    found = set()
    for sent in exchange.sent:
        if not any(at >= since_ns for _, at in sent.written):
            continue
        decoded = one.decode(sent.payload, sent.written[0][1] // 1000, reference)
        events = decoded if isinstance(decoded, tuple) else one.due(1 << 62, reference)
        found |= {
            event.uid for event in events if window is None or window.start <= event.trade_time < window.end
        }
    return found


def published(one: Venue, exchange: SimulatorThread, ledger: Path) -> set[bytes]:
    """The identities of all that the exchange published, whether anybody heard it then or not."""
    with Reader(ledger) as reader:
        reference = Reference(reader.instruments(one.name))
    found = set()
    for sent in exchange.sent:
        decoded = one.decode(sent.payload, time.time_ns() // 1000, reference)
        events = decoded if isinstance(decoded, tuple) else one.due(1 << 62, reference)
        found |= {event.uid for event in events}
    return found


def stored(ledger: Path) -> list[bytes]:
    """The identities in the ledger."""
    with Reader(ledger) as reader:
        return [event.uid for event in reader.liquidations()]


def whole(recorder: Running) -> bool:
    """Whether every part of the venue is proved alive by two connections."""
    if not recorder.service.recorders:
        return False
    (one,) = recorder.service.recorders
    proved = Counter(link.part for link in one.links if link.proved.is_set() and not link.ended.is_set())
    return bool(one.parts) and all(proved[part] >= 2 for part in one.parts)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", VENUES)
def test_faults_of_one_connection_cost_nothing(name: str, tmp_path: Path) -> None:
    """With two connections, a cut, a stall and an acknowledging silence of one after the other: nothing lost or doubled."""
    ledger = tmp_path / "l.db"
    with simulated(venue=name, scene="none", rate=RATE, hold_ms=0, canary_period_s=1.0) as exchange:
        recorder = Running(settings(name, exchange, ledger))
        try:
            assert until(lambda: whole(recorder), 60), recorder.error
            began = time.time_ns()
            for fault in ("cut", "stall", "unrouted", "duplicate"):
                exchange.fault(fault, "one", spare=1, seconds=None if fault == "cut" else 4.0)
                time.sleep(0.5)
                assert until(lambda: whole(recorder), 60), fault
            expected = uids(one := app.venue(name), exchange, ledger, since_ns=began)
            assert len(expected) > 20
            assert until(lambda: expected <= set(stored(ledger)), 20)
        finally:
            recorder.stop()
        assert len(stored(ledger)) == len(set(stored(ledger)))
        assert set(stored(ledger)) <= published(one, exchange, ledger)  # nothing told again became another
        assert uids(one, exchange, ledger, since_ns=began) <= set(stored(ledger)) | _last(
            one, exchange, ledger
        )
        counters = recorder.counters()
        assert counters.quarantined == 0
        assert counters.received == sum(counters[1:])
        with Reader(ledger) as reader:
            assert reader.verify() == []


def _last(one: Venue, exchange: SimulatorThread, ledger: Path) -> set[bytes]:
    """What was written in the last second: some of it after the recorder had gone."""
    return uids(one, exchange, ledger, since_ns=time.time_ns() - 2_000_000_000)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", VENUES)
def test_holes_are_recorded(name: str, tmp_path: Path) -> None:
    """All cut at once, and the process killed: nothing doubled, all of covered time there, both holes with their cause."""
    ledger = tmp_path / "l.db"
    with simulated(venue=name, scene="none", rate=RATE, hold_ms=0, canary_period_s=1.0) as exchange:
        given = {**os.environ, **environ(name, exchange, ledger)}
        process = _start(given)
        try:
            began = _proved(ledger, 0)
            time.sleep(2)
            exchange.fault("refuse", "every", seconds=2.0)
            cut = int(time.time() * 1000)
            exchange.cut("open")
            back = _proved(ledger, cut + 1000)
            time.sleep(2)
            process.kill()
            killed = int(time.time() * 1000)
            process.wait()
            time.sleep(2)
            process = _start(given)
            again = _proved(ledger, killed)
            time.sleep(2)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        with Reader(ledger) as reader:
            alive = reader.alive(Window(0, 1 << 60))
            assert reader.verify() == []
        proved = union(alive)
        sent = {
            event
            for start, end in proved
            # at its edges a span is proved, but what was under way there need not have been heard whole
            for event in uids(app.venue(name), exchange, ledger, window=Window(start + 1, end - 1000))
        }
        rows = stored(ledger)
        assert len(rows) == len(set(rows))
        assert set(rows) <= published(app.venue(name), exchange, ledger)
        assert len(sent) > 20
        missing = sent - set(rows)
        assert not missing
        summary = _summary(ledger, began, again)
        causes = [(gap.cause, gap.start, gap.end) for gap in summary.gaps]
        assert any(
            cause == "cut" and abs(start - cut) < 2500 and end <= back for cause, start, end in causes
        ), causes
        assert any(cause == "process down" and abs(start - killed) < 3500 for cause, start, end in causes), (
            causes
        )
        assert covered(proved, Window(cut + 1500, cut + 1900)) == 0
        assert covered(proved, Window(killed + 200, killed + 1900)) == 0


def _start(given: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "rekt", "run"], env=given, stdout=subprocess.DEVNULL)


def _proved(ledger: Path, since_ms: int) -> int:
    """Wait until something is proved after a moment; when (venue time, ms)."""
    found: list[int] = []

    def look() -> bool:
        if ledger.exists():
            with Reader(ledger) as reader:
                found[:] = [
                    one.start_ms for one in reader.alive(Window(0, 1 << 60)) if one.start_ms >= since_ms
                ]
        return bool(found)

    assert until(_quietly(look), 60)
    return min(found)


def _quietly(look: Callable[[], bool]) -> Callable[[], bool]:
    """The same, False while the ledger is being made."""
    from rekt.errors import LedgerError

    def quiet() -> bool:
        try:
            return look()
        except LedgerError:
            return False

    return quiet


def _summary(ledger: Path, start: int, end: int):  # type: ignore[no-untyped-def]
    from rekt.stats.summary import summarise

    with Reader(ledger) as reader:
        return summarise(reader, Window(start, end), int(time.time() * 1000), traits=app.traits())


def test_a_refused_subscription_is_no_coverage(tmp_path: Path) -> None:
    """An error answer on a connection that subscribes ends it as refused, though its canary goes on; another is opened."""
    ledger = tmp_path / "l.db"
    with simulated(venue="okx", scene="none", rate=RATE, hold_ms=0) as exchange:
        recorder = Running(settings("okx", exchange, ledger))
        try:
            assert until(lambda: whole(recorder), 60), recorder.error
            exchange.send(b'{"event":"error","code":"60018","msg":"channel does not exist","connId":"x"}')
            assert until(lambda: len(exchange.connections) >= 4, 30)
        finally:
            recorder.stop()
        assert [connection.cause for connection in recorder.connections()][:2] == ["refused", "refused"]
