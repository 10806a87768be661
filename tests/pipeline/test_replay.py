from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from rekt import app, tapes
from rekt.config import Settings, load
from rekt.fields import iso_us, money
from rekt.simulator import simulated
from rekt.stores.sqlite import Reader
from rekt.wire.tape import read_tape
from tests.pipeline.service import running, settings_for
from tests.pipeline.test_recorder import FRAMES, payload
from tests.waiting import until

NOWHERE = "http://127.0.0.1:1"  # nothing listens there


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A ledger of the test's own, and no document to be had."""
    environ = {
        "REKT_DATABASE_PATH": str(tmp_path / "l.db"),
        "REKT_BINANCE_UM_REST_URL": NOWHERE,
        "REKT_BINANCE_CM_REST_URL": NOWHERE,
    }
    return load(None, environ, extra=app.keys(), launcher_root=tmp_path, cwd=None)


def order(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A payload whose times do not depend on now."""
    value: dict[str, Any] = json.loads(payload(number, **changes))
    value["E"], value["o"]["T"] = 1_784_203_230_077 + number, 1_784_203_229_065 + number
    return value


def tape(path: Path, lines: Iterable[str]) -> Path:
    """A tape of these lines, packed as its name says."""
    data = "".join(line + "\n" for line in lines).encode()
    if path.suffix == ".gz":
        data = gzip.compress(data)
    elif path.suffix == ".zst":
        data = zstandard.compress(data)
    path.write_bytes(data)
    return path


def replay(settings: Settings, *paths: Path) -> tapes.Replayed:
    """Replay these files."""
    return tapes.replay(settings, (read_tape(path) for path in paths))


def stored(settings: Settings) -> list[Any]:
    """The events of the ledger by trade time."""
    with Reader(settings.ledger_path) as reader:
        assert reader.verify() == []
        return list(reader.liquidations(None))


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_every_form_of_line(suffix: str, settings: Settings, tmp_path: Path) -> None:
    """Bare, wrapped, under `raw`, with and without a receive time, plain or packed: all are read, none twice."""
    forms = [
        json.dumps({**order(1), "recv_ts": 1_784_203_230_100}),
        json.dumps(order(2)),
        json.dumps({"stream": "!forceOrder@arr", "data": order(3)}),
        json.dumps({"venue": "somebody's", "captured": "x", "raw": json.dumps(order(4))}),
        json.dumps(
            {
                "venue": "binance",
                "connection": "c",
                "recv_ts": 1_784_203_230_100.123,
                "raw": json.dumps(order(5)),
            }
        ),
        "",
        json.dumps(order(2)),
    ]
    done = replay(settings, tape(tmp_path / f"t.{suffix}", forms))
    assert (done.progress.events, done.progress.duplicate, done.progress.quarantined) == (5, 1, 0)
    received = [iso_us(event.received_us) for event in stored(settings)]
    assert received == [
        "2026-07-16T12:00:30.100000Z",
        "2026-07-16T12:00:30.079000Z",  # its event time, never now
        "2026-07-16T12:00:30.080000Z",
        "2026-07-16T12:00:30.081000Z",
        "2026-07-16T12:00:30.100123Z",
    ]


def test_what_does_not_fit_stops_nothing(settings: Settings, tmp_path: Path) -> None:
    """Bad lines and hostile frames are counted and kept; what stands between them is recorded."""
    bad = ["{", "[1]", '{"raw":7}', json.dumps({**order(1), "recv_ts": 5}), json.dumps({**order(1), "E": 0})]
    lines = [line for number, wrong in enumerate(bad) for line in (wrong, json.dumps(order(number + 10)))]
    done = replay(settings, tape(tmp_path / "t.jsonl", lines))
    assert (done.progress.events, done.progress.quarantined) == (len(bad), len(bad))
    with Reader(settings.ledger_path) as reader:
        counters = reader.counters()
    assert counters.received == len(lines)


def test_sizes_are_learnt_where_the_documents_can_be_had(settings: Settings, tmp_path: Path) -> None:
    """Offline an inverse order stays without a value; a later replay that reaches the documents settles it."""
    file = tape(tmp_path / "t.jsonl", [json.dumps(order(s="BTCUSD_PERP", st=2, z="7"))])
    done = replay(settings, file)
    assert done.documents
    assert stored(settings)[0].notional is None
    with simulated(scene="none") as exchange:
        done = replay(settings_for(settings.ledger_path, exchange), file)
    assert done.documents is None
    assert stored(settings)[0].notional is None or done.progress.duplicate == 1
    assert stored(settings)[0].notional == 700_000_000


def test_btc_quoted_orders_take_the_tape_s_canary(settings: Settings, tmp_path: Path) -> None:
    """A tape that holds the canary values BTC-quoted orders; one that does not leaves them unknown."""
    canary = json.dumps({"e": "markPriceUpdate", "E": 1_784_203_229_000, "s": "BTCUSDT", "p": "60000.00"})
    with_canary = [canary, json.dumps(order(1, s="ETHBTC", ap="0.05", z="2"))]
    without = [json.dumps(order(2, s="ETHBTC", ap="0.05", z="2"))]
    replay(settings, tape(tmp_path / "a.jsonl", with_canary))
    replay(settings, tape(tmp_path / "b.jsonl", without))
    assert [event.notional for event in stored(settings)] == [6_000_000_000, None]


def test_a_tape_of_our_own_gives_the_same_ledger(tmp_path: Path) -> None:
    """What `run --tape` writes, replayed into an empty ledger, gives the same events with the same receive times."""
    with (
        simulated(scene="busy", rate=200, hold_ms=0) as exchange,
        running(tmp_path / "live.db", exchange, tape=tmp_path / "tapes") as recorder,
    ):
        assert until(lambda: len(recorder.new) > 300)
    live = recorder.events()
    with simulated(scene="none") as exchange:
        settings = settings_for(tmp_path / "again.db", exchange)
        done = replay(settings, *sorted((tmp_path / "tapes").iterdir()))
    assert done.progress.quarantined == 0
    again = {event.uid: event for event in stored(settings)}
    assert again.keys() == {event.uid for event in live}
    for event in live:
        assert again[event.uid]._replace(notional=None, basis=None) == event._replace(
            notional=None, basis=None
        )


@pytest.mark.parametrize("path", sorted(FRAMES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_real_frames_again_and_again(path: Path, settings: Settings) -> None:
    """Recorded frames replayed twice are stored once; the sum is the exact one."""
    first, second = replay(settings, path), replay(settings, path)
    assert first.progress.events == second.progress.duplicate > 0
    events = stored(settings)
    for event in events:
        if event.notional is not None:
            exact = Decimal(event.filled_quantity) * Decimal(event.average_price)
            assert abs(Decimal(money(event.notional)) - exact) <= Decimal("0.0000005")
