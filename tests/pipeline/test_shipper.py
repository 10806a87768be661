from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rekt.errors import LedgerError
from rekt.fields import DAY, HOUR
from rekt.model import Connection, Span, Window
from rekt.pipeline.shipper import Shipper
from rekt.store import Batch, Settled
from rekt.stores.questdb.reads import QuestDBReader
from rekt.stores.questdb.server import Server
from rekt.stores.questdb.tables import shape
from rekt.stores.sqlite.sinks import Follower, Marks
from tests.stores.events import START, batch, event, events
from tests.stores.questdb import Shipped, by_key, obtain, place
from tests.waiting import until

ALL = Window(0, 4_000_000_000_000)
UNSHIPPABLE = 253_402_300_800_001  # ms: the year 10000, which the server refuses


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Shipped]:
    """A ledger with QuestDB behind it."""
    made = Shipped(tmp_path)
    yield made
    made.close()


class Running:
    """A shipper in a thread of its own, as it runs beside a recorder."""

    def __init__(self, store: Shipped) -> None:
        from rekt.stores.questdb.sink import QuestDB

        self.source, self.marks = Follower(store.ledger.path), Marks(store.ledger.path)
        self.sink = QuestDB(lambda: store.place)
        self.shipper = Shipper(self.source, self.marks, self.sink)
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self.shipper.run, args=(self.stop,))
        self._thread.start()

    def until(self, condition: Callable[[Shipper], bool], timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition(self.shipper):
            assert time.monotonic() < deadline, self.shipper.progress
            time.sleep(0.05)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        for part in (self.sink, self.source, self.marks):
            part.close()


def test_every_event_arrives_exactly_once(store: Shipped) -> None:
    """All fields of all events, those that don't count too, are at the server once; a second time adds nothing."""
    made = events(2_500)
    store.append(batch(*made))
    assert list(store.reader.liquidations()) == by_key(made)
    before = store.sink.hours(ALL)
    assert store.shipper.resend(None, lambda done, of: None) == 2_500
    store.ship()
    assert store.sink.hours(ALL) == before
    assert list(store.reader.liquidations()) == by_key(made)


def test_the_originals_query_sees_what_counts(store: Shipped) -> None:
    """Other statuses and unknown values are not in the first table, whose count() counts nulls too."""
    store.append(
        batch(event(1), event(2, status="NEW"), event(3, notional=None), event(4, notional=2_500_000))
    )
    sql = store.sql()
    assert sql.one(f"SELECT count(), sum(USDVALUE), max(USDVALUE) FROM {store.place.table}") == [2, 3.5, 2.5]
    sql.close()


def test_a_value_learnt_late_travels(store: Shipped) -> None:
    """An event of unknown value moves to the first table once it is settled, and readers see it once."""
    unknown = event(1, notional=None)
    store.append(batch(unknown, event(2, notional=None), event(3)))
    window = Window(START, START + HOUR)
    assert [bucket[4:] for bucket in store.reader.sums(window)] == [(3, 2, 1_000_000)]
    store.append(Batch("run", settled=[Settled(unknown.trade_time, unknown.uid, 7_000_000, "inferred")]))
    assert [bucket[4:] for bucket in store.reader.sums(window)] == [(3, 1, 8_000_000)]
    assert [bucket[4:] for bucket in store.reader.totals(window, "minute")] == [(3, 1, 8_000_000)]
    found = [(one.uid, one.notional) for one in store.reader.liquidations(window)]
    assert len(found) == 3
    assert (unknown.uid, 7_000_000) in found
    assert store.shipper._auditor.compare(ALL, store.shipper.progress.seq) == []


def test_a_refused_row_is_set_aside_and_blocks_nothing(
    store: Shipped, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a batch with a row that the server never takes, all others arrive; the row is kept with the reason."""
    bad = event(7, at=UNSHIPPABLE)
    good = events(1_500)
    store.append(batch(*good[:900], bad, *good[900:]))
    assert {one.uid for one in store.reader.liquidations()} == {one.uid for one in good}
    refused = store.source.refused(store.sink.name)
    assert [one.uid for one, _ in refused] == [bad.uid]
    assert "9999-12-31" in refused[0][1]
    assert store.shipper.progress.refused == 1
    assert sum("set aside" in record.message for record in caplog.records) == 1


def test_an_emptied_server_is_filled_again(store: Shipped) -> None:
    """Tables that are dropped while it ships are made again, and every row is sent again, by itself."""
    made = events(300)
    store.append(batch(*made))
    with Running(store) as running:
        running.until(lambda shipper: shipper.progress.audits > 0)
        sql = store.sql()
        sql(f'DROP MATERIALIZED VIEW "{store.place.table}_1h"')
        sql(f'DROP TABLE "{store.place.table}"')
        more = event(1, at=START + 5 * HOUR)
        store.ledger.append(batch(more))
        running.until(lambda shipper: shipper.progress.sent >= 301)
        assert running.sink.settled(10)
        sql.close()
    assert list(store.reader.liquidations()) == by_key([*made, more])


def test_the_audit_mends_lost_rows(store: Shipped) -> None:
    """Rows that vanish at the server are found by the hour and sent again; the view follows."""
    made = events(500)
    store.append(batch(*made))
    sql = store.sql()
    sql(f'TRUNCATE TABLE "{store.place.table}"')
    sql(f"INSERT INTO \"{store.place.table}\" (PAIR, USDVALUE, timestamp) VALUES ('OLD', 5, {START * 1000})")
    assert sql.applied(store.place.table)
    auditor = store.shipper._auditor
    differences = auditor.compare(ALL, store.shipper.progress.seq)
    assert differences
    assert all(one.sink.count == 0 for one in differences)
    found = auditor.audit(ALL, store.shipper.progress.seq)
    assert found is not None
    assert all("view" in sentence for sentence in found)  # truncating makes it invalid; it is built anew
    assert auditor.compare(ALL, store.shipper.progress.seq) == []
    assert until(lambda: store.sink.check(ALL) == [])
    assert list(store.reader.liquidations()) == by_key(made)  # and the original's row is none of ours
    assert sql.one(f"SELECT count() FROM {store.place.table} WHERE PAIR = 'OLD'") == [1]
    sql.close()


def test_a_suspended_table_is_told_and_resumed(store: Shipped, caplog: pytest.LogCaptureFixture) -> None:
    """While a table is suspended nothing more is sent to it and the reason is told; then it is resumed."""
    store.append(batch(*events(10)))
    sql = store.sql()
    sql(f"ALTER TABLE \"{store.place.table}\" SUSPEND WAL WITH 28, 'No space left'")
    assert store.sink.health().suspended
    assert "disk is full" in store.sink.health().reason
    made = events(50, seed=9)
    with caplog.at_level(logging.WARNING), Running(store) as running:
        store.ledger.append(batch(*made))
        running.until(lambda shipper: shipper.progress.sent == 50 and shipper.progress.audits > 0)
    told = [record.message for record in caplog.records if "disk is full" in record.message]
    assert len(told) == 1
    assert store.source.state(store.sink.name).suspended is False
    assert store.source.state(store.sink.name).error is None
    assert sql.one(f"SELECT count_distinct(uid) FROM {store.place.table}")[0] > 10
    sql.close()


def test_a_wrong_password_is_told_in_words(store: Shipped) -> None:
    """With a wrong password nothing is sent, the reason is noted, and no row is taken for refused."""
    store.ledger.append(batch(*events(10)))
    right, store.place = store.place, store.place._replace(password="wrong")
    with Running(store) as running:
        running.until(lambda shipper: shipper.progress.error is not None)
        assert "does not let us in as user 'rekt'" in str(store.source.state(running.sink.name).error)
        store.place = right
        running.until(lambda shipper: shipper.progress.error is None and shipper.progress.sent == 10)
    assert store.source.refused_count(store.sink.name) == 0


@pytest.mark.timeout(180)  # a server is started three times
def test_the_server_may_come_later_and_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Absent at the start and killed in the middle, each told once; afterwards everything is there once."""
    server = Server(tmp_path / "questdb")
    state = obtain(server)
    port = int(state.url.rpartition(":")[2])
    server.stop()
    store = Shipped(tmp_path, place()._replace(url=state.url, user=state.user, password=state.password))
    made = events(4_000)
    try:
        store.ledger.append(batch(*made[:2_000]))
        with caplog.at_level(logging.WARNING), Running(store) as running:
            running.until(lambda shipper: shipper.progress.error is not None)
            time.sleep(1)
            server.start(port)
            running.until(lambda shipper: shipper.progress.seq == 2_000 and not shipper.progress.error)
            found = server.running()
            assert found is not None
            assert found.pid is not None
            os.kill(found.pid, signal.SIGKILL)
            store.ledger.append(batch(*made[2_000:]))
            running.until(lambda shipper: shipper.progress.error is not None)
            server.start(port)
            running.until(lambda shipper: shipper.progress.seq == 4_000 and shipper.progress.error is None)
            running.until(lambda shipper: not running.source.behind(shipper.progress.seq))
        told = [record.message for record in caplog.records if "can't be reached" in record.message]
        assert len(told) == 2
        assert list(store.reader.liquidations()) == by_key(made)
        store.close()
    finally:
        server.stop()


def test_it_drains_when_it_ends(store: Shipped) -> None:
    """What was recorded last is shipped before the end, and coverage with it."""
    with Running(store) as running:
        running.until(lambda shipper: shipper.progress.audits > 0)
        last = batch(*events(1_200))
        last.connections.append(
            Connection("c", "run", "binance", "wss://x", START * 1000, closed_us=1, cause="cut")
        )
        last.spans.append(Span("c", START, START + 5_000))
        store.ledger.append(last)
    reader = QuestDBReader(store.place)
    store.sink.settled(10)
    assert len(list(reader.liquidations())) == 1_200
    assert until(
        lambda: [span.end_ms for span in reader.alive(Window(START, START + HOUR))] == [START + 5_000]
    )
    assert [one.cause for one in reader.connections(None)] == ["cut"]
    reader.close()


def test_two_ledgers_in_one_table_add_nothing(store: Shipped, tmp_path: Path) -> None:
    """A second recorder's ledger with the same events changes no number; its surplus is told, not fought."""
    made = events(200)
    store.append(batch(*made))
    (tmp_path / "second").mkdir()
    second = Shipped(tmp_path / "second", store.place)
    second.append(batch(*made, event(1, at=START + 9 * HOUR)))
    assert list(store.reader.liquidations()) == list(second.reader.liquidations())
    store.ship()
    found = store.shipper._auditor.audit(ALL, store.shipper.progress.seq)
    assert found is not None
    assert len(found) == 1
    assert "more than this ledger knows" in found[0]
    second.close()


def test_pruned_days_are_proved_first_and_sealed(store: Shipped) -> None:
    """Old rows are dropped once QuestDB has them: the sums stay, a late event is refused, nothing is counted twice."""
    old = events(800)
    new = event(1, at=time.time_ns() // 1_000_000 - HOUR)
    waiting = event(2, at=START, notional=None)
    store.append(batch(*old, waiting, new))
    window = Window(START, START + 2 * HOUR)
    sums, largest = store.source.sums(window), store.source.largest(window)
    auditor = store.shipper._auditor
    auditor.prune(8, 5)  # as if all but five rows were still to be sent
    assert store.source.sealed() == 0
    auditor.prune(8, store.shipper.progress.seq)
    assert store.source.sealed() > START
    left = list(store.source.liquidations())
    assert new in left
    assert waiting in left
    assert len(left) < 100
    assert store.source.rows() == len(left)
    assert store.source.sums(window) == sums
    assert store.source.largest(window) == largest
    assert store.source.verify() == []
    repeated = store.ledger.append(batch(old[0], event(3, at=START)))
    assert (repeated.stored, repeated.duplicate, repeated.quarantined) == (0, 0, 2)
    assert "sealed" in store.source.quarantined()[0].reason
    assert store.source.sums(window) == sums
    store.append(Batch("run", settled=[Settled(waiting.trade_time, waiting.uid, 5, None)]))
    assert store.source.verify() == []
    assert sum(bucket.total for bucket in store.source.sums(window)) == sum(b.total for b in sums) + 5
    assert auditor.compare(ALL, store.shipper.progress.seq) == []
    assert len(list(store.reader.liquidations(window))) == 801


def test_a_day_that_changed_is_not_sealed(store: Shipped) -> None:
    """Sealing looks again inside its own transaction: a day with an event more than was audited stays open."""
    store.append(batch(*events(20)))
    window = Window(0, START + 24 * HOUR)
    audited = store.source.hour_sums(window, store.sink.name)
    store.ledger.append(batch(event(99)))
    assert store.marks.seal(window.end, audited, store.sink.name) is False
    assert store.source.sealed() == 0


def test_the_cursor_of_a_ledger_that_is_gone_is_told(tmp_path: Path) -> None:
    """Without a ledger there is nothing to follow, said in words."""
    with pytest.raises(LedgerError, match="nothing is recorded yet"):
        Follower(tmp_path / "none.db")


def test_rows_beyond_the_ttl_are_no_difference(store: Shipped) -> None:
    """With `ttl_days` QuestDB drops old days by itself: the audit leaves them alone, and later days are compared."""
    from rekt.stores.questdb.sink import QuestDB

    now = time.time_ns() // 1_000_000
    old = [event(n, at=now - 40 * DAY + n * 1000) for n in range(50)]
    new = [event(n, at=now - 2 * DAY + n * 1000) for n in range(50)]
    store.sink.close()
    store.sink = QuestDB(lambda: store.place, ttl_days=7)
    store.shipper = Shipper(store.source, store.marks, store.sink)
    store.append(batch(*old, *new))
    auditor, seq = store.shipper._auditor, store.shipper.progress.seq
    sql = store.sql()
    found = shape(sql, store.place.table)
    assert found is not None
    assert found.ttl_days == 7
    assert sql.one(f"SELECT count() FROM {store.place.table}") == [50]  # the server has dropped the old days
    assert auditor.audit(ALL, seq) == []
    assert sum(hour.ledger.count for hour in auditor.compare(ALL, seq, dropped=True) or ()) == 50
    auditor.prune(8, seq)
    assert store.source.sealed() == 0  # rows that QuestDB has dropped stay in the ledger
    sql(f'TRUNCATE TABLE "{store.place.table}"')
    sql.close()
    assert sum(hour.ledger.count for hour in auditor.compare(ALL, seq) or ()) == 50


def test_coverage_never_comes_before_its_rows(store: Shipped) -> None:
    """Where rows can't be read yet, no span is sent: a reader would take an hour for whole that is not."""
    now = time.time_ns() // 1_000_000
    store.append(batch(event(1)))
    sql = store.sql()
    with Running(store) as running:
        running.until(lambda shipper: shipper.progress.audits > 0)
        sql(f'ALTER TABLE "{store.place.table}" SUSPEND WAL')  # it goes on acknowledging
        more = Batch("run", [(event(2),)])
        more.connections.append(Connection("late", "run", "binance", "wss://x", now * 1000))
        more.spans.append(Span("late", now - 1000, now))
        store.ledger.append(more)
        running.until(
            lambda _: bool(sql.one(f"SELECT count() FROM {store.place.table}_spans")[0]), timeout_s=60
        )
        assert sql.one(f"SELECT count() FROM {store.place.table}") == [2]
    sql.close()


def test_the_view_follows(store: Shipped) -> None:
    """The hourly view has what was shipped within seconds, not only at its own next minute."""
    store.append(batch(event(1)))
    sql = store.sql()
    total = f'SELECT sum(n) FROM "{store.place.table}_1h"'
    with Running(store) as running:
        running.until(lambda shipper: shipper.progress.audits > 0)
        store.ledger.append(batch(*events(300)))
        running.until(lambda shipper: shipper.progress.sent >= 300)
        assert running.sink.settled(20)
        (there,) = sql.one(f"SELECT count() FROM {store.place.table}")
        assert there > 100
        running.until(lambda _: bool(sql.one(total) == [there]))
    sql.close()


def test_the_audit_comes_every_hour(store: Shipped) -> None:
    """What vanishes at the server is found by the timer alone, an hour (here: a moment) after the last audit."""
    now = time.time_ns() // 1_000_000
    made = [event(n, at=now - n * 1000) for n in range(200)]
    store.append(batch(*made))
    with Running(store) as running:
        running.until(lambda shipper: shipper.progress.audits == 1)
        assert running.shipper._next["audit"] - time.monotonic() > 3500
        sql = store.sql()
        sql(f'TRUNCATE TABLE "{store.place.table}"')
        assert sql.applied(store.place.table)
        running.shipper._next["audit"] = 0.0  # the hour is over
        running.until(lambda shipper: shipper.progress.audits == 2)
        assert running.sink.settled(20)
        assert sql.one(f"SELECT count() FROM {store.place.table}") == [200]
        sql.close()
    assert list(store.reader.liquidations()) == by_key(made)
