"""The live stream of a real server, read from its socket."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import apsw
import httpx

from rekt.store import Batch, Settled
from tests.dashboard import scenes
from tests.dashboard.conftest import Recorder, Served

Serve = Callable[..., Served]


class Event(NamedTuple):
    """One server-sent event."""

    id: int | None
    name: str
    data: dict[str, Any]


def read(
    url: str,
    until: Callable[[list[Event]], bool],
    *,
    last: int | None = None,
    seconds: float = 50,
    venue: str | None = None,
    begun: Callable[[], object] = lambda: None,
) -> list[Event]:
    """Events of the stream until a condition holds; `begun` is called when its place in the ledger is fixed."""
    found: list[Event] = []
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    query = {} if venue is None else {"venue": venue}
    with httpx.stream(
        "GET", f"{url}/api/v1/stream", params=query, headers=headers, timeout=seconds
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        begun()
        fields: dict[str, str] = {}
        deadline = time.monotonic() + seconds
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if "data" in fields:
                number = int(fields["id"]) if "id" in fields else None
                found.append(Event(number, fields["event"], json.loads(fields["data"])))
            fields = {}
            if until(found):
                return found
            assert time.monotonic() < deadline, [one.name for one in found]
    return found


def liquidations(events: list[Event]) -> list[Event]:
    """Those of them that are liquidations."""
    return [one for one in events if one.name == "liquidation"]


def enough(count: int) -> Callable[[list[Event]], bool]:
    """Whether so many liquidations came."""
    return lambda events: len(liquidations(events)) >= count


def test_without_an_id_the_stream_starts_at_now(serve: Serve, recorder: Recorder) -> None:
    """What was there before is not told; what comes is, with its place as the id."""
    recorder.event("OLDUSDT")
    served = serve()
    found = liquidations(read(served.url, enough(1), begun=lambda: recorder.event("NEWUSDT")))
    assert [(one.id, one.data["symbol"]) for one in found] == [(2, "NEWUSDT")]


def test_only_liquidations_have_ids(serve: Serve, recorder: Recorder) -> None:
    """Hours and the status come without one, as the objects that the commands give."""
    recorder.event()
    found = read(serve().url, lambda events: {"hour", "status"} <= {one.name for one in events})
    assert all(one.id is None for one in found)
    hour = next(one for one in found if one.name == "hour").data
    assert {"count", "total_usd", "coverage", "final", "saturated_count"} <= set(hour)
    status = next(one for one in found if one.name == "status").data
    assert status["ledger"]["rows"] == 1


def test_a_resumed_stream_misses_nothing_and_repeats_nothing(serve: Serve, recorder: Recorder) -> None:
    """From each id on exactly the later rows come, in the order of their places, many pages of them."""
    for first in range(0, 2500, 500):
        events = [
            scenes.sized(scenes.HOUR * 500_000 + n, "X", 5, long=True, number=n)
            for n in range(first, first + 500)
        ]
        recorder.ledger.append(Batch("live", frames=[(one,) for one in events]))
    served = serve()
    for last in (0, 1, 1499, 2498):
        found = liquidations(read(served.url, enough(2500 - last), last=last))
        assert [one.id for one in found] == list(range(last + 1, 2501))


def test_a_changed_row_comes_again_under_its_uid(serve: Serve, recorder: Recorder) -> None:
    """A notional that is learnt later moves the row to a new place, and the stream tells it."""
    one = scenes.sized(time.time_ns() // 1_000_000, "BTCUSD_PERP", 5, long=True, number=1)._replace(
        notional=None
    )
    recorder.ledger.append(Batch("live", frames=[(one,)]))
    served = serve()

    def settle() -> None:
        recorder.ledger.append(Batch("live", settled=[Settled(one.trade_time, one.uid, 7_000_000, None)]))

    def both(events: list[Event]) -> bool:
        """Whether the second came; the first one seen, it is made."""
        if len(liquidations(events)) == 1 and events[-1].name == "liquidation":
            settle()
        return len(liquidations(events)) >= 2

    found = liquidations(read(served.url, both, last=0))
    assert [event.data["notional_usd"] for event in found] == [None, "7.000000"]
    assert found[0].data["uid"] == found[1].data["uid"]
    assert found[0].id is not None
    assert found[1].id is not None
    assert found[1].id > found[0].id


def test_an_id_of_another_ledger_starts_at_now(serve: Serve, recorder: Recorder) -> None:
    """An id beyond the ledger's end neither fails nor waits for that place."""
    served = serve()
    found = liquidations(read(served.url, enough(1), last=10**12, begun=lambda: recorder.event("NEWUSDT")))
    assert found[0].data["symbol"] == "NEWUSDT"


def test_a_client_that_does_not_read_holds_up_nobody(serve: Serve, recorder: Recorder) -> None:
    """Beside ten stuck clients another one gets everything at once."""
    served = serve()
    host, port = served.url.removeprefix("http://").split(":")
    stuck = []
    for _ in range(10):
        one = socket.create_connection((host, int(port)))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
        stuck.append(one)
    try:
        for first in range(0, 5000, 500):
            events = [
                scenes.sized(scenes.HOUR * 500_000 + n, "X", 5, long=True, number=n)
                for n in range(first, first + 500)
            ]
            recorder.ledger.append(Batch("live", frames=[(one,) for one in events]))
        found = liquidations(read(served.url, lambda events: len(liquidations(events)) >= 5000, last=0))
        assert [one.id for one in found] == list(range(1, 5001))
    finally:
        for one in stuck:
            one.close()


def test_the_server_ends_in_time_with_open_streams(serve: Serve, recorder: Recorder) -> None:
    """SIGTERM ends it with 0, also where clients listen and one does not read."""
    served = serve()
    host, port = served.url.removeprefix("http://").split(":")
    clients = []
    for _ in range(5):
        one = socket.create_connection((host, int(port)))
        one.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert one.recv(100).startswith(b"HTTP/1.1 200")
        clients.append(one)
    recorder.event()
    assert served.stop(signal.SIGTERM) == 0
    for one in clients:
        one.close()


def test_clients_that_do_not_read_keep_nothing_from_the_recorder(serve: Serve, recorder: Recorder) -> None:
    """However many are stuck, the recorder writes on, and can always copy its whole log into the file.

    A reader that stayed in the middle of its answer would hold the log, which would grow without end.
    """
    served = serve()
    host, port = served.url.removeprefix("http://").split(":")
    stuck = []
    try:
        for _ in range(20):
            one = socket.create_connection((host, int(port)))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(100).startswith(b"HTTP/1.1 200")
            stuck.append(one)
        for first in range(0, 8_000, 500):
            events = [
                scenes.sized(scenes.HOUR * 500_000 + n, "X", 5, long=True, number=n)
                for n in range(first, first + 500)
            ]
            recorder.ledger.append(Batch("live", frames=[(one,) for one in events]))
        found = liquidations(read(served.url, lambda events: len(liquidations(events)) >= 8_000, last=0))
        assert len(found) == 8_000  # the server has read it all, and the stuck ones are still there
        with closing(apsw.Connection(str(recorder.ledger.path))) as writer:
            writer.set_busy_timeout(10_000)
            [busy] = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        assert busy == (0, 0, 0)  # not busy, and the log is empty: nobody held on to any of it
    finally:
        for one in stuck:
            one.close()


def test_a_stream_of_one_venue(serve: Serve, recorder: Recorder) -> None:
    """Its events alone come, live and resumed over pages of others', and its hours; an unknown venue is refused."""
    recorder.tick()
    recorder.tick("bybit")
    for first in range(0, 2500, 500):
        recorder.event("ICPUSDT", venue="bybit")
        others = [
            scenes.sized(recorder.now(), "X", 5, long=True, number=10_000 + first + n) for n in range(500)
        ]
        recorder.ledger.append(Batch("live", frames=[(one,) for one in others]))
    served = serve()
    resumed = read(served.url, enough(5), last=0, venue="bybit")
    assert [one.id for one in liquidations(resumed)] == [1, 502, 1003, 1504, 2005]
    found = read(
        served.url,
        lambda events: bool(liquidations(events)) and any(one.name == "hour" for one in events),
        venue="bybit",
        begun=lambda: [recorder.event(), recorder.event(venue="bybit")],
    )
    assert {one.data["venue"] for one in liquidations(found)} == {"bybit"}
    for hour in [one.data for one in found if one.name == "hour"]:
        assert {one["venue"] for one in hour["by_venue"]} <= {"bybit"}
    assert httpx.get(f"{served.url}/api/v1/stream", params={"venue": "nobody"}).status_code == 400
