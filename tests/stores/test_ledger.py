from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.model import Connection, Instrument, Liquidation, Quarantined, Span
from rekt.store import Batch, Counters, Run, Settled
from rekt.stores.sqlite import Ledger, Reader, quarantine
from tests.stores.events import START, batch, event, events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger will be."""
    return tmp_path / "data" / "ledger.db"


def wrong(one: Liquidation, **fields: object) -> Liquidation:
    """The same with fields of types they can't have."""
    return one._replace(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [
        {"symbol": "\ud800"},
        {"notional": 1 << 63},
        {"trade_time": "1700000000000"},
        {"uid": None},
        {"received_us": None},
        {"order_side": []},
    ],
    ids=str,
)
def test_a_refused_row_stops_nothing(path: Path, bad: dict[str, object]) -> None:
    """What SQLite can't hold goes to quarantine with the reason; the rest of its batch and frame is stored."""
    with_bad = Batch("run", [(event(1),), (wrong(event(2), **bad), event(3)), (wrong(event(4), **bad),)])
    writer = Ledger(path)
    done = writer.append(with_bad)
    assert (done.stored, done.duplicate, done.quarantined) == (2, 0, 1)
    assert done.new == [event(1), event(3)]
    with Reader(path) as reader:
        assert {one.uid for one in reader.liquidations()} == {event(1).uid, event(3).uid}
        assert len(reader.quarantined()) == 2
        assert all("the ledger refuses it" in one.reason for one in reader.quarantined())
        assert reader.counters() == Counters(3, 0, 2, 0, 1)
        assert reader.verify() == []
    writer.close()


def test_refused_facts_stop_nothing(path: Path) -> None:
    """A span, instrument or settled notional that SQLite refuses is left out and told; the events are stored."""
    writer = Ledger(path)
    writer.append(
        batch(
            event(1),
            spans=[Span("c", None, 1)],  # type: ignore[arg-type]
            instruments=[Instrument("binance", "\ud800", "linear", "A", "B", None, 1)],
            settled=[Settled(START, b"", 1 << 70, None)],
        )
    )
    with Reader(path) as reader:
        assert reader.rows() == 1
        assert len(reader.quarantined()) == 3
    writer.close()


def test_counts_every_frame_once(path: Path) -> None:
    """received = control + stored + duplicate + quarantined, over all runs."""
    writer = Ledger(path)
    writer.begin(Run("a", START, command="run", version="1", pid=7))
    bad = Quarantined("binance", None, 1, "no JSON", b"{")
    writer.append(batch(event(1), event(2), run="a", control=5, quarantined=[bad]))
    writer.append(batch(event(1), event(3), run="b", control=2))
    writer.end("a", START + 9)
    with Reader(path) as reader:
        assert reader.counters() == Counters(12, 7, 3, 1, 1)
        assert reader.rows() == 3
        assert Run("a", START, START + 9, "run", "1", 7, 5, 2, 0, 1, 2) in reader.runs()
        assert reader.last_trade_time() == START
        assert reader.quarantined() == [bad]
        assert reader.size() > 4096
    writer.close()


def test_an_error_leaves_nothing_and_the_batch_can_be_given_again(path: Path) -> None:
    """A failure inside the transaction undoes all of it; the same batch is then stored as if for the first time."""
    writer = Ledger(path)
    writer.append(batch(event(0)))
    block = sqlite3.connect(path, isolation_level=None)
    block.execute("CREATE TRIGGER stop BEFORE INSERT ON connection BEGIN SELECT raise(FAIL, 'stop'); END")
    given_again = batch(event(1), connections=[Connection("c", "run", "binance", "u", 1)])
    done = writer.append(given_again)  # FAIL is a refusal: the fact is left out, the events are stored
    assert done.stored == 1
    block.execute("DROP TRIGGER stop")
    block.execute("CREATE TRIGGER stop BEFORE INSERT ON run BEGIN SELECT raise(FAIL, 'stop'); END")
    with pytest.raises(Exception, match="stop"):
        writer.append(batch(event(2), event(3)))
    block.execute("DROP TRIGGER stop")
    assert writer.append(batch(event(2), event(3))).stored == 2
    with Reader(path) as reader:
        assert reader.rows() == 4
        assert reader.verify() == []
    block.close()
    writer.close()


def test_a_late_notional_comes_again_to_a_cursor(path: Path) -> None:
    """A settled row gets the highest seq, so that a reader that follows seq sees the change."""
    writer = Ledger(path)
    writer.append(batch(event(1, notional=None), event(2)))
    with Reader(path) as reader:
        assert [one.uid for one in reader.unsettled("binance")] == [event(1).uid]
        assert list(reader.unsettled("bybit")) == []
        seen = reader.after(0)
        writer.append(Batch("run", settled=[Settled(START, event(1).uid, 5, None)]))
        (changed,) = reader.after(seen[-1].seq)
        assert (changed.event.uid, changed.event.notional) == (event(1).uid, 5)
        assert changed.seq == reader.last_seq() == 3
        assert list(reader.unsettled("binance")) == []
        assert [row.seq for row in reader.after(0, limit=1)] == [2]
        assert reader.verify() == []
    writer.close()


def test_quarantine_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are cut, the oldest dropped by number and by size, and all of them counted."""
    monkeypatch.setattr(quarantine, "MOST_ROWS", 50)
    monkeypatch.setattr(quarantine, "MOST_BYTES", 3 * quarantine.FRAME_BYTES)
    writer = Ledger(path)
    for n in range(8):
        writer.append(
            Batch("run", quarantined=[Quarantined("v", "c", n * 10 + m, "small", b"x") for m in range(10)])
        )
    with Reader(path) as reader:
        assert [one.received_us for one in reader.quarantined()] == list(range(79, 29, -1))
        big = [Quarantined("v", "c", 100 + n, "big", b"x" * (quarantine.FRAME_BYTES + 9)) for n in range(5)]
        writer.append(Batch("run", quarantined=big))
        assert [(one.received_us, len(one.data)) for one in reader.quarantined()] == [
            (100 + n, quarantine.FRAME_BYTES) for n in (4, 3, 2)
        ]
        assert reader.counters().quarantined == 85
    writer.close()


def test_claims_a_property_once(path: Path) -> None:
    """The first value of a ledger's property stays."""
    writer = Ledger(path)
    assert writer.claim("network", "real") == "real"
    assert writer.claim("network", "testnet") == "real"
    with Reader(path) as reader:
        assert reader.meta("network") == "real"
        assert reader.meta("other") is None
    writer.close()


def test_an_instrument_is_replaced_by_a_later_document_only(path: Path) -> None:
    """What was read last counts, whatever order it is given in."""
    writer = Ledger(path)
    old = Instrument("binance", "BTCUSD_PERP", "inverse", "BTC", "USD", "10", 1)
    new = old._replace(contract_size="100", seen_us=2)
    writer.append(Batch("run", instruments=[new]))
    writer.append(Batch("run", instruments=[old]))
    with Reader(path) as reader:
        assert reader.instruments("binance") == {"BTCUSD_PERP": new}
        assert reader.instruments("bybit") == {}
    writer.close()


def test_two_writers_in_one_process_share_what_is_there(path: Path) -> None:
    """Each learns of the other's buckets and feeds, and of a bucket that somebody removed."""
    one, two = Ledger(path), Ledger(path)
    made = events(400)
    for n in range(0, 400, 40):
        assert one.append(batch(*made[n : n + 40])).stored == 40
        assert two.append(batch(*made[n : n + 30])).duplicate == 30
        two.append(batch(*events(10, seed=1000 + n)))
    with Reader(path) as reader:
        assert reader.verify() == []
        hurt = sqlite3.connect(path, isolation_level=None)
        hurt.execute("DELETE FROM bucket WHERE scope = 2")
        assert any("hour by symbol" in line for line in reader.verify())
        assert one.append(batch(*events(10, seed=7))).stored == 10
        hurt.close()
    one.close()
    two.close()


def test_verify_tells_what_is_wrong(path: Path) -> None:
    """A changed sum, largest or count of events is found."""
    writer = Ledger(path)
    writer.append(batch(*events(30)))
    hurt = sqlite3.connect(path, isolation_level=None)
    for change, word in (
        ("UPDATE bucket SET micros = micros + 1 WHERE scope = 0", "minute"),
        ("UPDATE bucket SET largest = largest + 1 WHERE scope = 1", "largest"),
        ("UPDATE run SET events = events + 1", "the runs say"),
    ):
        hurt.execute("BEGIN")
        hurt.execute(change)
        hurt.execute("COMMIT")
        with Reader(path) as reader:
            assert any(word in line for line in reader.verify())
    hurt.close()
    writer.close()


step = st.tuples(
    st.integers(0, 3), st.integers(-3_700_000, 3_700_000), st.one_of(st.none(), st.integers(0, 2**63 - 1)),
    st.sampled_from(["A", "B"]), st.sampled_from(["SELL", "BUY"]), st.sampled_from(["FILLED", "NEW", None]),
)  # fmt: skip


@given(st.lists(st.lists(step, max_size=8), max_size=6), st.data())
def test_any_batches_add_up(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Any]], data: st.DataObject
) -> None:
    """Whatever comes in whatever order, repeated and settled late: roll-ups equal a recount, and Python's own sums."""
    path = tmp_path_factory.mktemp("any") / "ledger.db"
    writer = Ledger(path)
    truth: dict[tuple[int, bytes], Liquidation] = {}
    for steps in batches:
        made = [
            event(n, at=START + at, notional=value, symbol=symbol, side=side, status=status)
            for n, at, value, symbol, side, status in steps
        ]
        writer.append(batch(*made))
        for one in made:
            truth.setdefault((one.trade_time, one.uid), one)
        unknown = [key for key, one in truth.items() if one.notional is None]
        if unknown:
            chosen = data.draw(st.lists(st.sampled_from(unknown), unique=True))
            writer.append(Batch("run", settled=[Settled(*key, 10**15, "late") for key in chosen]))
            for key in chosen:
                truth[key] = truth[key]._replace(notional=10**15, basis="late")
    with Reader(path) as reader:
        assert reader.verify() == []
        assert list(reader.liquidations()) == [truth[key] for key in sorted(truth)]
    writer.close()


def test_an_event_told_again_at_another_time_stays_the_first(path: Path) -> None:
    """Without an event time, the same uid with another trade time is a repeat: in its batch, later, and elsewhere."""
    first = event(1)._replace(event_time=None)
    again = [
        first._replace(trade_time=first.trade_time + late, received_us=1)
        for late in (1, 5_000, 8 * 86_400_000)
    ]
    writer = Ledger(path)
    done = writer.append(Batch("run", [(first,), (again[0], event(2))]))
    assert (done.stored, done.duplicate, done.new) == (2, 0, [first, event(2)])
    for late in again[1:]:
        done = writer.append(Batch("run", [(late,)]))
        assert (done.stored, done.duplicate, done.new) == (0, 1, [])
    done = writer.append(Batch("run", [(again[0], event(3)), (first,)]))
    assert (done.stored, done.duplicate, done.new) == (1, 1, [event(3)])
    with Reader(path) as reader:
        assert [one.trade_time for one in reader.liquidations() if one.uid == first.uid] == [first.trade_time]
        assert reader.verify() == []
        assert reader.counters() == Counters(6, 0, 3, 3, 0)
    writer.close()


def test_with_an_event_time_another_time_is_another_event(path: Path) -> None:
    """Where the venue tells when it sent it, the uid counts together with the trade time alone."""
    writer = Ledger(path)
    later = event(1)._replace(trade_time=event(1).trade_time + 1)
    assert writer.append(Batch("run", [(event(1),), (later,)])).stored == 2
    writer.close()
