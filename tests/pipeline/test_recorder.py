from __future__ import annotations

import itertools
import json
import logging
import os
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import apsw
import pytest

from rekt import app
from rekt.config import Section
from rekt.errors import ConfigError
from rekt.pipeline.link import BEGUN_S
from rekt.pipeline.recorder import Recorder
from rekt.simulator import SimulatorThread, simulated
from rekt.store import Appended, Batch
from rekt.stores.sqlite import Ledger, Reader
from rekt.wire.frame import Frame
from tests.pipeline.service import Running, running, settings_for
from tests.waiting import until

FRAMES = Path(os.environ.get("FRAMES_DIR") or Path(__file__).parents[3] / "shared" / "frames")
# The canary time-out of tests that wait for it: four ticks, as a machine may stand still meanwhile.
QUICK_S = 4.0


def payload(number: int = 0, symbol: str = "BTCUSDT", **changes: object) -> bytes:
    """A forced order that happens now; the number makes it another one."""
    now = int(time.time() * 1000)
    order = {
        "s": symbol, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "1", "p": "100", "ap": f"101.{number:06d}",
        "X": "FILLED", "l": "1", "z": "1", "T": now - 1000, "ps": "BTCUSDT", "st": 1, **changes,
    }  # fmt: skip
    return json.dumps(
        {"e": "forceOrder", "E": now, "o": order}, ensure_ascii=False, separators=(",", ":")
    ).encode()


@pytest.fixture(autouse=True)
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stood still for a moment is not blamed: the causes are looked at (test_link has those)."""
    monkeypatch.setattr("rekt.pipeline.link.LATE_S", 2.5)


def causes(ledger: Path) -> list[str | None]:
    """How the recorded connections ended, oldest first."""
    with Reader(ledger) as reader:
        return [connection.cause for connection in reader.connections(None)]


def test_everything_sent_is_stored_once(tmp_path: Path) -> None:
    """What the exchange sent is in the ledger, each event once, the roll-ups equal to a recount."""
    with simulated(scene="none") as exchange, running(tmp_path / "l.db", exchange) as recorder:
        for number in range(300):
            exchange.send(payload(number))
            exchange.send(payload(number)) if number % 3 == 0 else None
        assert until(lambda: len(recorder.new) >= 300)
        sent = {entry.payload for entry in exchange.sent}
    stored = recorder.events()
    assert len(stored) == len({event.uid for event in stored})
    assert {event.average_price for event in stored} == {json.loads(text)["o"]["ap"] for text in sent}
    counters = recorder.counters()
    assert counters.received == sum(counters[1:])
    with Reader(recorder.ledger) as reader:
        assert reader.verify() == []


@pytest.mark.parametrize("tape", sorted(FRAMES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_real_frames_over_a_real_socket(tape: Path, tmp_path: Path) -> None:
    """Recorded frames, served twice and over two connections at a time, are stored exactly once, digits kept."""
    lines = [json.loads(line) for line in tape.read_bytes().splitlines()]
    told = [json.loads(line["raw"]) if "raw" in line else line for line in lines]
    orders = [value.get("data", value)["o"] for value in told]
    expected = Counter((o["s"], o["S"], o["p"], o["ap"], o["q"], o["z"], o["X"], o["T"]) for o in orders)
    ledger = tmp_path / "l.db"
    for _ in range(2):
        with (
            simulated(tape=tape, speed=None, wait_for=2) as exchange,
            running(ledger, exchange, connections=2) as recorder,
        ):
            assert exchange.wait_played()
            assert until(lambda: recorder.counters().stored + recorder.counters().duplicate >= len(orders))
    with Reader(ledger) as reader:
        stored = Counter(
            (
                e.symbol,
                e.order_side,
                e.price,
                e.average_price,
                e.quantity,
                e.filled_quantity,
                e.status,
                e.trade_time,
            )
            for e in reader.liquidations(None)
        )
        assert reader.verify() == []
    assert stored == expected


@pytest.mark.parametrize("how", ["reset", "fin", "close"])
def test_a_cut_is_followed_by_a_new_connection(how: str, tmp_path: Path) -> None:
    """However the venue hangs up, the recorder is back within seconds and the ledger says that it was cut."""
    with simulated(scene="none") as exchange, running(tmp_path / "l.db", exchange) as recorder:
        exchange.cut(how=how)
        assert until(lambda: len(exchange.connections) >= 2)
        assert until(recorder.alive)
        exchange.send(payload())
        assert until(lambda: recorder.new)
    assert causes(recorder.ledger) == ["cut", "stopped"]


def test_a_stalled_socket_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A socket that stays open and sends nothing more is left after the canary time-out, and called dead."""
    with (
        simulated(scene="none") as exchange,
        running(tmp_path / "l.db", exchange, canary_timeout=QUICK_S) as recorder,
    ):
        exchange.fault("stall", connection=1)
        assert until(lambda: len(exchange.connections) >= 2)
        assert until(recorder.alive)
    assert causes(recorder.ledger) == ["stall", "stopped"]
    assert any("dead, not quiet" in record.message for record in caplog.records)


def test_a_dead_feed_is_left_within_ten_seconds() -> None:
    """By the time-out that holds where nothing is configured, and what a feed that has just begun is given besides."""
    assert float(app.venue("binance").keys["canary_timeout"].default) + BEGUN_S < 10


def test_the_retired_address_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An address that accepts everything and sends nothing is called mis-routed and left."""
    with (
        simulated(scene="busy") as exchange,
        running(
            tmp_path / "l.db", exchange, wait=False, ws_url=exchange.retired_url, canary_timeout=QUICK_S
        ) as recorder,
    ):
        assert recorder.service.warnings()
        assert until(lambda: len(exchange.connections) >= 2)
    assert causes(recorder.ledger)[0] == "mis-routed"
    assert any("mis-routed" in record.message for record in caplog.records)


def test_a_quiet_market_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No liquidation for longer than the time-out while the canary ticks: nothing is done and nothing is said."""
    caplog.set_level(logging.WARNING, "rekt")
    with (
        simulated(scene="none") as exchange,
        running(tmp_path / "l.db", exchange, canary_timeout=QUICK_S) as recorder,
    ):
        time.sleep(QUICK_S + 1.5)
        assert recorder.alive()
        assert len(exchange.connections) == 1
    assert causes(recorder.ledger) == ["stopped"]
    assert not [record for record in caplog.records if record.name.startswith("rekt")]


def test_liquidations_without_a_canary_are_no_proof(tmp_path: Path) -> None:
    """A feed whose canary stops is left although liquidations still come; they are kept."""
    with (
        simulated(scene="busy") as exchange,
        running(tmp_path / "l.db", exchange, canary_timeout=QUICK_S) as recorder,
    ):
        exchange.fault("canary_stop", connection=1)
        assert until(lambda: len(exchange.connections) >= 2)
    assert causes(recorder.ledger)[0] == "stall"


def test_an_announced_shutdown_is_followed(tmp_path: Path) -> None:
    """When the venue announces its end the recorder connects anew by itself."""
    with simulated(scene="none") as exchange, running(tmp_path / "l.db", exchange) as recorder:
        exchange.fault("shutdown")
        assert until(lambda: len(exchange.connections) >= 2)
        assert until(recorder.alive)


def test_an_announced_shutdown_of_all_leaves_no_hole(tmp_path: Path) -> None:
    """Told on every connection at once: each goes on until its successor delivers."""
    with (
        simulated(scene="none") as exchange,
        running(tmp_path / "l.db", exchange, connections=2) as recorder,
    ):
        assert until(lambda: [link.proved.is_set() for link in recorder.links()] == [True, True])
        assert len(exchange.fault("shutdown")) == 2
        assert until(lambda: len([life for life in exchange.connections if life.closed_ms]) == 2)
    found = recorder.connections()
    assert [one.cause for one in found[:2]] == ["renewed", "renewed"]
    for old, new in zip(found[:2], found[2:], strict=True):
        assert old.closed_us is not None
        assert new.last_canary_us is not None
        assert new.first_frame_us is not None
        assert new.first_frame_us < old.closed_us


def test_connections_are_opened_within_the_venues_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is cut: so many in a while as the venue allows, counted where it counts them."""
    monkeypatch.setattr(app.venue("binance"), "openings", (3, 8.0), raising=False)
    with (
        simulated(scene="none") as exchange,
        running(tmp_path / "l.db", exchange, connections=2) as recorder,
    ):
        for count in (2, 4):
            assert until(partial(_proved, recorder, exchange, count))
            exchange.cut("open")
        assert until(lambda: len(exchange.connections) == 6)
        opened = sorted(life.opened_ms for life in exchange.connections)
    assert all(later - earlier >= 7990 for earlier, later in zip(opened, opened[3:], strict=False))


def _proved(recorder: Running, exchange: SimulatorThread, count: int) -> bool:
    """Whether so many connections came, the last two of which live and are proved."""
    links = [link for link in recorder.links() if not link.ended.is_set() and link.proved.is_set()]
    return len(exchange.connections) == count and len(links) == 2


def test_renewal_leaves_no_hole(tmp_path: Path) -> None:
    """Before the venue cuts a connection the next one delivers: no event is missed, the spans overlap."""
    with (
        simulated(scene="none", rate=None, life_s=60) as exchange,
        running(tmp_path / "l.db", exchange, renew_after=3) as recorder,
    ):
        number = 0
        while len([life for life in exchange.connections if life.closed_ms]) < 2 and number < 900:
            exchange.send(payload(number))
            number += 1
            time.sleep(0.02)
        assert until(lambda: len(recorder.new) == number)
        assert number < 900
    assert causes(recorder.ledger)[:2] == ["renewed", "renewed"]
    assert all(entry.written for entry in exchange.sent)
    with Reader(recorder.ledger) as reader:
        found = reader.connections(None)
    for old, new in itertools.pairwise(found):
        assert old.closed_us is not None
        assert new.first_frame_us is not None
        assert new.first_frame_us < old.closed_us


def test_garbage_goes_to_quarantine(tmp_path: Path) -> None:
    """Hostile frames are kept and counted, and the events among them are all stored."""
    with simulated(scene="none") as exchange, running(tmp_path / "l.db", exchange) as recorder:
        for number in range(40):
            exchange.fault("garbage", count=3)
            exchange.send(payload(number))
        assert until(lambda: len(recorder.new) == 40)
        garbage = exchange.counts.garbage
        assert garbage >= 100
        assert until(lambda: recorder.counters().quarantined == garbage)
    counters = recorder.counters()
    assert counters.received == counters.control + counters.stored + counters.duplicate + counters.quarantined
    assert counters.stored == 40
    with Reader(recorder.ledger) as reader:
        assert len(reader.quarantined(1000)) == garbage


def test_a_size_learnt_later_settles_the_event(tmp_path: Path) -> None:
    """An inverse order of an unlisted contract is stored without a value, and valued when the document has it."""
    symbol = "BTCUSD_PERP"
    with simulated(scene="none", unlisted=frozenset({symbol})) as exchange:
        with running(tmp_path / "l.db", exchange) as recorder:
            exchange.send(payload(symbol=symbol, st=2, z="7"))
            assert until(lambda: recorder.new)
            assert recorder.new[0].notional is None
            exchange.relist(symbol)
            assert until(lambda: recorder.events()[0].notional == 700_000_000, 30)
        with Reader(recorder.ledger) as reader:
            assert reader.verify() == []
            assert reader.instruments("binance")[symbol].contract_size == "100"


def test_a_size_learnt_while_the_ledger_is_stuck_settles_the_event_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document comes before the event is durable: once it is, it is valued, without another reason to look."""
    monkeypatch.setattr("rekt.pipeline.instruments.UNKNOWN_S", 0.2)
    monkeypatch.setattr("rekt.pipeline.instruments.DURABLE_S", 0.5)
    symbol = "BTCUSD_PERP"
    with (
        simulated(scene="none", unlisted=frozenset({symbol})) as exchange,
        running(tmp_path / "l.db", exchange) as recorder,
    ):
        other = apsw.Connection(str(recorder.ledger))
        other.set_busy_timeout(5000)
        other.execute("BEGIN IMMEDIATE")
        exchange.send(payload(symbol=symbol, st=2, z="7"))
        assert until(lambda: recorder.service.recorders[0].last_event_us)
        exchange.relist(symbol)
        read = exchange.counts.documents
        assert until(
            lambda: exchange.counts.documents >= read + 4
        )  # both documents, begun after it was listed
        assert not recorder.new
        other.execute("ROLLBACK")
        assert until(lambda: recorder.new)
        assert recorder.new[0].notional is None
        assert until(lambda: recorder.events()[0].notional == 700_000_000)


def test_the_documents_may_be_away(tmp_path: Path) -> None:
    """Recording needs no REST: without the documents linear events are valued by their suffix."""
    with simulated(scene="none") as exchange:
        exchange.answer_documents(503)
        with running(tmp_path / "l.db", exchange) as recorder:
            exchange.send(payload())
            assert until(lambda: recorder.new)
            assert (recorder.new[0].notional, recorder.new[0].basis) == (101_000_000, "inferred")


def test_an_exchange_that_comes_later_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While nothing listens the recorder says so once, keeps trying, and records when the exchange is there."""
    with simulated(scene="none") as exchange:
        exchange.fault("refuse", connection="every")
        with running(tmp_path / "l.db", exchange, wait=False) as recorder:
            assert until(lambda: exchange.counts.refused >= 3)
            exchange.clear()
            assert until(recorder.alive)
    told = [record.getMessage() for record in caplog.records if "can't be reached" in record.getMessage()]
    assert len(told) == 1
    assert "rekt demo" in told[0]


def test_two_recorders_on_one_ledger(tmp_path: Path) -> None:
    """Two at once both record; every event is there once and the frames of both are accounted for."""
    with (
        simulated(scene="none") as exchange,
        running(tmp_path / "l.db", exchange) as first,
        running(tmp_path / "l.db", exchange) as second,
    ):
        for number in range(200):
            exchange.send(payload(number))
        assert until(lambda: first.counters().stored + first.counters().duplicate == 400)
        assert len(first.new) + len(second.new) == 200
    assert len(first.events()) == 200
    assert first.counters().duplicate == 200


def test_a_repeat_of_moments_ago_is_counted_and_not_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what two connections tell, the ledger is given each event once; the repeats are counted all the same."""
    given: list[int] = []
    append = Ledger.append

    def looked_up(ledger: Ledger, batch: Batch) -> Appended:
        given.append(len(batch.frames))
        return append(ledger, batch)

    monkeypatch.setattr(Ledger, "append", looked_up)
    with (
        simulated(scene="none") as exchange,
        running(tmp_path / "l.db", exchange, connections=2) as recorder,
    ):
        assert until(lambda: sum(link.proved.is_set() for link in recorder.links()) == 2)
        for number in range(100):
            exchange.send(payload(number))
        assert until(lambda: recorder.counters().duplicate == 100)
    assert sum(given) == 100
    counters = recorder.counters()
    assert (counters.stored, counters.duplicate) == (100, 100)
    assert counters.received == sum(counters[1:])


def test_a_frame_that_is_a_repeat_in_part_is_no_repeat(tmp_path: Path) -> None:
    """Of a frame with an event that was told and one that was not, the new one is stored and the frame counts as stored."""
    one, two, three = (payload(number) for number in (1, 2, 3))
    with (
        simulated(scene="none") as exchange,
        running(tmp_path / "l.db", exchange, connections=2) as recorder,
    ):
        assert until(lambda: sum(link.proved.is_set() for link in recorder.links()) == 2)
        exchange.send(b"[" + one + b"," + two + b"]")
        exchange.send(b"[" + two + b"," + three + b"]")
        assert until(lambda: recorder.counters().duplicate == 2)
    assert len(recorder.events()) == 3
    assert recorder.counters().stored == 2


def test_a_fault_of_ours_at_one_frame_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the frame that we fail at is recorded: told again by another connection it is a repeat."""
    with simulated(scene="none") as exchange, running(tmp_path / "l.db", exchange) as recorder:
        monkeypatch.setattr(Recorder, "_notice", lambda *_: 1 / 0)
        (one,), (link,) = recorder.service.recorders, recorder.links()
        frames = [Frame(time.time_ns() // 1000, text) for text in (payload(1), b'{"result":null,"id":1}')]
        recorder.call(lambda: one._read(link, frames))
        assert until(lambda: len(recorder.new) == 1)


def test_a_full_queue_pauses_reading_and_drops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the ledger is locked by another writer the queue fills, reading pauses, and then all is there."""
    monkeypatch.setattr("rekt.pipeline.committer.LIMIT", 500)
    with (
        simulated(scene="none") as exchange,
        running(tmp_path / "l.db", exchange, canary_timeout=QUICK_S) as recorder,
    ):
        other = apsw.Connection(str(recorder.ledger))
        other.set_busy_timeout(5000)
        other.execute("BEGIN IMMEDIATE")
        for number in range(3000):
            exchange.send(payload(number))
        assert until(lambda: any(link.paused for link in recorder.links()))
        time.sleep(QUICK_S + 1)  # longer than the canary time-out: a pause is no stall
        other.execute("ROLLBACK")
        assert until(lambda: len(recorder.new) == 3000)
        assert recorder.alive()
    assert causes(recorder.ledger) == ["stopped"]


def test_a_cut_of_a_paused_reader_is_our_own_doing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the venue gives up on a reader that paused, the gap's cause is the full queue."""
    monkeypatch.setattr("rekt.pipeline.committer.LIMIT", 200)
    with simulated(scene="none") as exchange, running(tmp_path / "l.db", exchange) as recorder:
        other = apsw.Connection(str(recorder.ledger))
        other.set_busy_timeout(5000)
        other.execute("BEGIN IMMEDIATE")
        for number in range(1000):
            exchange.send(payload(number))
        assert until(lambda: any(link.paused for link in recorder.links()))
        exchange.cut(how="fin")
        time.sleep(0.3)
        other.execute("ROLLBACK")
        assert until(lambda: len(exchange.connections) >= 2)
        assert until(recorder.alive)
    assert causes(recorder.ledger) == ["queue full", "stopped"]


def test_real_and_play_money_are_kept_apart(tmp_path: Path) -> None:
    """A ledger that holds real events refuses a testnet host, and says what to do; loopback goes into either."""
    ledger = tmp_path / "l.db"
    writer = Ledger(ledger)
    assert writer.claim("host_kind", "real") == "real"
    writer.close()
    with simulated(scene="none") as exchange:
        with running(ledger, exchange):
            pass
        settings = settings_for(ledger, exchange, ws_url="wss://fstream.binancefuture.com/market/stream")
        with pytest.raises(ConfigError, match="testnet host") as refused:
            Running(settings).stop()
        assert refused.value.hint.endswith("change [BINANCE] ws_url")
    section = Section(
        "BYBIT", {**settings.section("BYBIT"), "inverse_ws_url": "wss://stream-testnet.bybit.com/v5"}
    )
    sections = {**settings.sections, "BYBIT": section, "VENUES": Section("VENUES", {"enabled": "bybit"})}
    section = Section("BYBIT", {**section, "linear_ws_url": "ws://127.0.0.1:1"})
    with pytest.raises(ConfigError, match="testnet host") as refused:
        Running(replace(settings, sections={**sections, "BYBIT": section})).stop()
    assert refused.value.hint.endswith("change [BYBIT] inverse_ws_url")
