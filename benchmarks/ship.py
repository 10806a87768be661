"""QuestDB behind the ledger: rows a second, the hour's query as rows grow, what the recorder feels of it.

    .venv/bin/python -m benchmarks.ship

Shipped: from a ledger of so many rows to the last acknowledgement, by the shipper. Bare: the client alone, rows of
the same columns prepared before, batches of the same size, an acknowledgement each. In turns, into new tables of one
server, which has taken rows for a while before and has nothing left to apply when a turn begins.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from questdb import TimestampMicros

from benchmarks.decode import reference
from benchmarks.end_to_end import recorded
from benchmarks.measure import interleaved, table
from benchmarks.traffic import payloads
from rekt.app import tune, venue
from rekt.fields import HOUR
from rekt.model import Liquidation, Window
from rekt.pipeline.shipper import BATCH, Shipper
from rekt.store import Batch
from rekt.stores.questdb import rows
from rekt.stores.questdb.reads import QuestDBReader
from rekt.stores.questdb.server import Server
from rekt.stores.questdb.sink import QuestDB, client
from rekt.stores.questdb.sql import Place, Sql
from rekt.stores.questdb.tables import EVENT, EVENT_KEYS, create
from rekt.stores.sqlite import Ledger
from rekt.stores.sqlite.sinks import Follower, Marks

QUERY = (
    "SELECT count() AS count, sum(USDVALUE) AS sum, max(USDVALUE) AS max FROM {}"
    " WHERE timestamp > now() - 3600000000L"
)
_tables = count(1)
Prepared = tuple[dict[str, str | None], dict[str, Any], TimestampMicros]


def made(number: int) -> list[Liquidation]:
    """Decoded events of the last hours, as they come."""
    known, decode, now_us = reference(), venue("binance").decode, time.time_ns() // 1000
    found: list[Liquidation] = []
    for frame in payloads(number, now_us // 1000 - 2 * HOUR):
        decoded = decode(frame, now_us, known)
        assert isinstance(decoded, tuple)
        found += decoded
    return found


def shipped(ledger: Path, place: Place, number: int) -> float:
    """Rows a second from the ledger to the last acknowledgement."""
    place = place._replace(table=f"s{next(_tables)}")
    source, marks, sink = Follower(ledger), Marks(ledger), QuestDB(lambda: place)
    shipper = Shipper(source, marks, sink)
    sink.prepare()
    began = time.time()
    assert shipper.catch_up(time.monotonic() + 600)
    assert shipper.progress.acked_us is not None
    rate = number / (shipper.progress.acked_us / 1e6 - began)  # what comes then is no row
    assert sink.settled(600)
    sql = Sql(place)
    assert sql.applied(f"{place.table}_1h", timeout_s=600)
    (there,) = sql.one(f"SELECT count() FROM {place.table}")
    assert there == number
    for part in (sql, sink, source, marks):
        part.close()
    return rate


def prepare(events: list[Liquidation]) -> list[Prepared]:
    """Events as what the client takes: symbols, columns, time."""
    return [
        (rows.symbols(event), rows.columns(event, TimestampMicros), TimestampMicros(event.trade_time * 1000))
        for event in events
    ]


def bare(prepared: list[Prepared], place: Place) -> float:
    """Rows a second by the client alone."""
    place = place._replace(table=f"b{next(_tables)}")
    sql = Sql(place)
    create(sql, place.table, EVENT, EVENT_KEYS)
    sender: Any = client(place)
    buffer = sender.new_buffer()
    began = time.perf_counter()
    for start in range(0, len(prepared), BATCH):
        for symbols, columns, at in prepared[start : start + BATCH]:
            buffer.row(place.table, symbols=symbols, columns=columns, at=at)
        sender.flush(buffer)
    rate = len(prepared) / (time.perf_counter() - began)
    sender.close(flush=False)
    assert sql.applied(place.table, timeout_s=600)
    sql.close()
    return rate


def processor(pid: int) -> tuple[float, float]:
    """Seconds of a processor that we and the server have used (the latter on Linux): other work doesn't distort them."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.process_time(), math.nan
    return time.process_time(), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], object], times: int = 15) -> float:
    """Median milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def hour_query(place: Place, millions: int) -> tuple[float, float, float]:
    """The original's query, and our hour's sums and largest, at so many million rows over a year."""
    place = place._replace(table=f"q{next(_tables)}")
    sink = QuestDB(lambda: place)
    sink.prepare()
    sql = Sql(place)
    number = millions * 1_000_000
    step = 365 * 24 * HOUR * 1000 // number
    sql(
        f"INSERT INTO {place.table} (PAIR, PRICE, QUANTITY, USDVALUE, timestamp, venue, market, side, order_side,"
        " status, price_kind, sampling, micros, received_at, uid) SELECT"
        " rnd_symbol(300, 6, 9, 0), rnd_double() * 1000, rnd_double() * 10, v, t, 'binance', 'linear', s,"
        " CASE WHEN s = 'long' THEN 'SELL' ELSE 'BUY' END, 'FILLED', 'average_fill',"
        " 'largest_per_symbol_second', (v * 1000000)::long, t, rnd_uuid4() FROM (SELECT rnd_double() * 10000 v,"
        f" rnd_symbol('long', 'short') s, timestamp_sequence(dateadd('d', -365, now()), {step}L) t"
        f" FROM long_sequence({number}))",
        long=True,
    )
    assert sql.applied(place.table, f"{place.table}_1h", timeout_s=900)
    now = time.time_ns() // 1_000_000
    window = Window((now // HOUR - 1) * HOUR, now // HOUR * HOUR)
    reader = QuestDBReader(place)
    assert reader.sums(window)
    found = (
        timed(lambda: sql.one(QUERY.format(place.table))),
        timed(lambda: reader.sums(window)),
        timed(lambda: reader.largest(window)),
    )
    for part in (reader, sql, sink):
        part.close()
    return found


def latency(rate: int, seconds: float, environment: dict[str, str]) -> tuple[float, float]:
    """The recorder's p50 and p99 from receipt to durable, ms."""
    os.environ |= environment
    try:
        found = recorded(int(rate * seconds), "--rate", str(rate))
    finally:
        for name in environment:
            del os.environ[name]
    assert isinstance(found["p50_ms"], float)
    assert isinstance(found["p99_ms"], float)
    return found["p50_ms"], found["p99_ms"]


@contextmanager
def server(folder: Path) -> Iterator[tuple[Place, int]]:
    """A server of its own, and its process."""
    one = Server(folder / "questdb")
    state = one.start(0)
    try:
        assert state.pid is not None
        yield Place(state.url, state.user, state.password, ""), state.pid
    finally:
        one.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200_000, help="rows of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--millions", type=int, nargs="*", default=[1, 10], help="rows of the hour's query")
    parser.add_argument(
        "--rate", type=int, default=2_000, help="events a second of the latency (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as (place, pid):
        folder = Path(name)
        if given.count:
            events = made(given.count)
            ledger = Ledger(folder / "ledger.db")
            for start in range(0, len(events), 5_000):
                ledger.append(Batch("run", [(event,) for event in events[start : start + 5_000]]))
            ledger.close()
            prepared = prepare(events)
            tune()  # as `rekt questdb ship` does
            bare(prepared, place)  # the server's own warming up
            ways: dict[str, Callable[[], float]] = {
                "ledger to acknowledged": lambda: shipped(folder / "ledger.db", place, len(events)),
                "the client alone": lambda: bare(prepared, place),
            }
            used: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}

            def measured(name: str) -> float:
                before = processor(pid)
                rate = ways[name]()
                both = zip(processor(pid), before, strict=True)
                ours, theirs = ((now - then) / len(events) * 1e6 for now, then in both)
                used[name].append((ours, theirs))
                return rate

            found = interleaved({name: partial(measured, name) for name in ways}, given.rounds)
            best = found["the client alone"]
            lines: list[tuple[str, ...]] = [
                ("", "rows/s", "of the client's", "processor: ours", "the server's, µs a row")
            ]
            lines += [
                (
                    name,
                    f"{rate:,.0f}",
                    f"{rate / best:.2f}",
                    *(f"{statistics.median(column):.1f}" for column in zip(*used[name], strict=True)),
                )
                for name, rate in found.items()
            ]
            table(f"rows shipped, load {os.getloadavg()[0]:.0f}", lines)
        if given.millions:
            shown = [("rows", "the original's query, ms", "our sums", "our largest")]
            for millions in given.millions:
                figures = hour_query(place, millions)
                query, sums, largest = (f"{figure:.1f}" for figure in figures)
                shown.append((f"{millions} M", query, sums, largest))
            table("one hour of a year", shown)
        if given.seconds:
            at = {
                "REKT_DATABASE_ENGINE": "questdb",
                "REKT_DATABASE_URL": place.url,
                "REKT_DATABASE_USER": place.user,
                "REKT_DATABASE_PASSWORD": place.password,
            }
            at_work = {
                "ledger alone": {},
                "QuestDB absent": {**at, "REKT_DATABASE_URL": "http://127.0.0.1:9"},
                "QuestDB shipped to": at,
            }
            lines = [(f"at {given.rate:,} events/s", "p50 ms", "p99 ms")]
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in at_work}
            for number in range(given.rounds):
                for name, environment in at_work.items():
                    if "SHIPPED" in name.upper():
                        environment = {**environment, "REKT_DATABASE_NAME": f"l{number}"}
                    taken[name].append(latency(given.rate, given.seconds, environment))
            for name, figures_of in taken.items():
                p50, p99 = (statistics.median(column) for column in zip(*figures_of, strict=True))
                lines.append((name, f"{p50:.2f}", f"{p99:.2f}"))
            table(f"receipt to durable, load {os.getloadavg()[0]:.0f}", lines)


if __name__ == "__main__":
    main()
