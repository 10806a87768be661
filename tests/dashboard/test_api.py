"""The HTTP API of a real server."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from rekt import app
from rekt.fields import HOUR, iso_ms
from rekt.model import Connection, Span, Window
from rekt.objects import hour_object, liquidation_object
from rekt.publisher import Entry
from rekt.stats.summary import summarise
from rekt.store import Batch
from rekt.stores.sqlite import Reader
from rekt.stores.sqlite.outbox import Outbox
from tests.dashboard.conftest import Recorder, Served
from tests.waiting import clear_of_the_hour

Serve = Callable[..., Served]
Books = Callable[[str], Path]
WITHOUT = """
import sys
import time
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "matplotlib" else super().find_spec(name, path, target)
sys.meta_path = [Without if one is PathFinder else one for one in sys.meta_path]
"""  # as where the group post is not installed


@pytest.fixture(scope="module")
def day(books: Books) -> Iterator[tuple[Path, httpx.Client]]:
    """A served normal day, and a client of it."""
    served = Served(books("day")).start()
    with httpx.Client(base_url=served.url + "/api/v1", timeout=30) as client:
        yield served.path, client
    served.close()


def test_an_hour_is_the_object_of_the_one_function(day: tuple[Path, httpx.Client]) -> None:
    """`/summary?hour=` gives what `summarise` gives, to the last digit."""
    path, client = day
    with Reader(path) as reader:
        last = reader.last_trade_time()
        assert last is not None
        start = last // HOUR * HOUR - 5 * HOUR
        expected = hour_object(summarise(reader, Window(start, start + HOUR), last, traits=app.traits()))
    got = client.get("/summary", params={"hour": iso_ms(start)[:13]}).json()
    assert {key: got[key] for key in expected} == expected
    assert got["count"] > 0


def test_rolling_windows_add_up_over_the_ragged_ends(day: tuple[Path, httpx.Client]) -> None:
    """The totals of `window=4h` are those of the events of that time."""
    path, client = day
    got = client.get("/summary", params={"window": "4h"}).json()
    with Reader(path) as reader:
        events = [liquidation_object(event) for event in reader.liquidations()]
    inside = [one for one in events if got["from"] <= one["trade_time"] < got["to"]]
    assert got["count"] == len(inside) > 0
    assert Decimal(got["total_usd"]) == sum(Decimal(one["notional_usd"]) for one in inside)


def test_pages_stay_right_while_rows_arrive(serve: Serve, recorder: Recorder) -> None:
    """Walking pages gives every row that was there once, whatever comes meanwhile."""
    expected = [recorder.event(f"S{number}") for number in range(25)]
    served = serve()
    found, cursor = [], None
    with httpx.Client(base_url=served.url + "/api/v1") as client:
        while True:
            params = {"limit": "10", **({"cursor": cursor} if cursor else {})}
            page = client.get("/liquidations", params=params).json()
            found += [one["uid"].replace("-", "") for one in page["items"]]
            recorder.event("NEW")
            cursor = page["next"]
            if cursor is None:
                break
    assert sorted(found) == sorted(expected)


def test_filters_leave_out_what_does_not_fit(day: tuple[Path, httpx.Client]) -> None:
    """Symbol, side, smallest size and time hold together; newest first."""
    _, client = day
    params = {
        "symbol": "ETHUSDT",
        "side": "long",
        "min_usd": "5000",
        "from": "-3d",
        "to": "-1d",
        "limit": "1000",
    }
    items = client.get("/liquidations", params=params).json()["items"]
    assert items
    assert all(one["symbol"] == "ETHUSDT" and one["side"] == "long" for one in items)
    assert all(float(one["notional_usd"]) >= 5000 for one in items)
    times = [one["trade_time"] for one in items]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_every_form_holds_the_same_rows(day: tuple[Path, httpx.Client], form: str) -> None:
    """Lines, CSV and Parquet have the objects' keys and values."""
    _, client = day
    params = {"to": iso_ms(time.time_ns() // 1_000_000 - 3_600_000), "limit": "50"}
    items: list[dict[str, Any]] = client.get("/liquidations", params=params).json()["items"]
    answer = client.get("/liquidations", params={**params, "format": form})
    if form == "ndjson":
        assert [json.loads(line) for line in answer.text.splitlines()] == items
    elif form == "csv":
        assert list(csv.DictReader(io.StringIO(answer.text))) == items
    else:
        rows = pq.read_table(io.BytesIO(answer.content)).to_pylist()
        assert [row["uid"] for row in rows] == [one["uid"] for one in items]
        assert [str(row["notional_usd"]) for row in rows] == [one["notional_usd"] for one in items]
        assert rows[0]["trade_time"].isoformat(timespec="milliseconds")[:23] == items[0]["trade_time"][:23]


def test_accept_chooses_the_form(day: tuple[Path, httpx.Client]) -> None:
    """The Accept header chooses as `format` does; what can't be had is 406."""
    _, client = day
    answer = client.get("/liquidations", headers={"Accept": "text/csv;q=0.9, application/x-ndjson;q=0.1"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert client.get("/liquidations", headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=x", "side=up", "cursor=short", "from=yesterday", "min_usd=-1", "nonsense=1",
        "limit=1&limit=2", "symbol=", "from=2026-02-30",
    ],
)  # fmt: skip
def test_a_wrong_query_is_told_in_words(day: tuple[Path, httpx.Client], query: str) -> None:
    """400, with a sentence that names the parameter."""
    _, client = day
    answer = client.get(f"/liquidations?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]


def test_buckets_add_up_to_the_summary(day: tuple[Path, httpx.Client]) -> None:
    """The steps of a closed stretch sum to its totals, and an empty one is there too."""
    _, client = day
    now = client.get("/buckets", params={"window": "7d", "step": "1h"}).json()
    assert len(now["items"]) in (168, 169)
    hour = now["items"][-3]
    one = client.get("/summary", params={"hour": hour["from"][:13]}).json()
    assert one["long"] == hour["long"]
    assert one["short"] == hour["short"]
    assert one["largest"] == hour["largest"]


def test_a_script_stays_data(books: Books) -> None:
    """JSON and CSV are served as such, never to be taken for a page."""
    served = Served(books("hostile")).start()
    try:
        params = {"symbol": "<script>alert(document.domain)</script>", "limit": "3"}
        for form in ("json", "csv", "ndjson"):
            answer = httpx.get(f"{served.url}/api/v1/liquidations", params={**params, "format": form})
            assert answer.status_code == 200
            assert "<script>" in answer.text
            assert "html" not in answer.headers["content-type"]
            assert answer.headers["x-content-type-options"] == "nosniff"
    finally:
        served.close()


def test_a_rare_symbol_is_found_page_by_page(serve: Serve, recorder: Recorder) -> None:
    """A filter that fits nothing of what is newest still comes to its end."""
    wanted = recorder.event("RAREUSDT")
    for number in range(300):
        recorder.event(f"S{number}")
    served, found, cursor = serve(), [], None
    while True:
        params = {"symbol": "RAREUSDT", **({"cursor": cursor} if cursor else {})}
        page = httpx.get(f"{served.url}/api/v1/liquidations", params=params).json()
        found += [one["uid"].replace("-", "") for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == [wanted]


def test_metrics_are_prometheus_text(day: tuple[Path, httpx.Client]) -> None:
    """Each figure has its type, and the ledger's rows are right."""
    path, client = day
    text = client.get(str(client.base_url).replace("/api/v1/", "/metrics")).text
    with Reader(path) as reader:
        assert f"rekt_ledger_rows {reader.rows()}" in text
    for line in text.splitlines():
        assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2


def test_the_next_post_has_words_picture_and_what_became_of_the_last(
    serve: Serve, recorder: Recorder
) -> None:
    """The post is of the running hour, its picture a PNG of the same, and the outbox's newest entries follow."""
    clear_of_the_hour()
    recorder.tick()
    recorder.event("ETHUSDT", 123_456)
    now = recorder.now()
    with Outbox(recorder.ledger.path) as box:
        box.add(Entry("x", "2026-07-16T12", "words", state="sent", remote_id="7", created_ms=now - 2))
        box.add(Entry("bluesky", "2026-07-16T13", "words", state="failed", reason="refused", created_ms=now))
    served = serve()
    post = httpx.get(f"{served.url}/api/v1/post", timeout=60).json()
    assert "$123" in post["text"]  # the hour chooses the words: $123,456 or $123k
    assert "$123k" in post["picture_alt"]
    assert [(one["service"], one["key"], one["state"], one["reason"]) for one in post["outcomes"]] == [
        ("bluesky", "2026-07-16T13", "failed", "refused"),
        ("x", "2026-07-16T12", "sent", None),
    ]
    answer = httpx.get(served.url + post["picture"], timeout=60)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", answer.content[16:24]) == (1200, 675)


def test_posts_without_a_picture_say_so(serve: Serve, recorder: Recorder) -> None:
    """Where [POST] picture is no, the object says it, and the address answers 404 in the same words."""
    recorder.event()
    served = serve(REKT_POST_PICTURE="no")
    post = httpx.get(f"{served.url}/api/v1/post", timeout=60).json()
    assert post["picture"] is None
    assert "[POST] picture" in post["picture_lacking"]
    answer = httpx.get(f"{served.url}/api/v1/post.png")
    assert answer.status_code == 404
    assert answer.json()["error"] == post["picture_lacking"]


def test_without_the_group_post_the_picture_is_told_to_be_missing(
    serve: Serve, recorder: Recorder, tmp_path: Path
) -> None:
    """A server that has no matplotlib serves all else, and says what is not installed."""
    recorder.event("ETHUSDT", 123_456)
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(WITHOUT)
    served = serve(PYTHONPATH=str(tmp_path / "without"))
    post = httpx.get(f"{served.url}/api/v1/post", timeout=60).json()
    assert "$123" in post["text"]  # the hour chooses the words: $123,456 or $123k
    assert post["picture"] is None
    assert "not installed" in post["picture_lacking"]
    assert httpx.get(f"{served.url}/api/v1/post.png").status_code == 404


def test_the_status_is_the_object_of_the_command(serve: Serve, recorder: Recorder) -> None:
    """`/status` has every key of `rekt status --json` and the same values."""
    recorder.tick()
    recorder.event()
    served = serve()
    got = httpx.get(f"{served.url}/api/v1/status").json()
    ini = served.path.with_name("empty.ini")
    done = subprocess.run(
        [sys.executable, "-m", "rekt", "--config", str(ini), "status", "--json"],
        env={**os.environ, "REKT_DATABASE_PATH": str(served.path)}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert got == json.loads(done.stdout)
    assert got["sink"] is None


def test_a_sink_that_does_not_answer_is_told_with_its_rows(serve: Serve, recorder: Recorder) -> None:
    """With `engine = questdb` the status has how many rows are behind, also while QuestDB is away."""
    for number in range(3):
        recorder.event(f"S{number}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = serve(REKT_DATABASE_ENGINE="questdb", REKT_DATABASE_URL=f"http://127.0.0.1:{port}")
    sink = httpx.get(f"{served.url}/api/v1/status", timeout=20).json()["sink"]
    assert sink["running"] is False
    assert sink["rows_behind"] == 3


def test_one_venue_alone(serve: Serve, recorder: Recorder) -> None:
    """Each total can be had of one venue; together they are the whole, and words tell what is mixed in it."""
    for venue, sizes in (("binance", (1_000.0, 2_000.0)), ("bybit", (40_000.0,))):
        recorder.tick(venue)
        for size in sizes:
            recorder.event("BTCUSDT", size, venue=venue)
    with httpx.Client(base_url=serve().url + "/api/v1", timeout=60) as client:

        def ask(path: str, **params: str) -> Any:
            answer = client.get(path, params=params)
            assert answer.status_code == 200, answer.text
            return answer.json()

        for venue, count, total in (("binance", 2, 3_000), ("bybit", 1, 40_000)):
            hour = ask("/summary", window="1h", venue=venue)
            assert (hour["count"], float(hour["total_usd"])) == (count, total)
            assert [one["venue"] for one in hour["by_venue"]] == [venue]
            steps = ask("/buckets", window="1h", step="5m", venue=venue)["items"]
            assert sum(float(one[side]["total_usd"]) for one in steps for side in ("long", "short")) == total
            symbols = ask("/symbols", window="1h", venue=venue)["items"]
            assert [(one["venue"], one["count"]) for one in symbols] == [(venue, count)]
            assert [one["venue"] for one in ask("/coverage", window="1h", venue=venue)["venues"]] == [venue]
        whole = ask("/summary", window="1h")
        assert (whole["count"], float(whole["total_usd"])) == (3, 43_000)
        told = ask("/coverage", window="1h")
        assert [one["canary_seconds"] for one in told["venues"]] == [5, 10]
        assert told["basis"] == [
            "A lower bound, of mixed sampling. Binance: the largest per symbol and second; Bybit: every liquidation.",
            "Prices of mixed kinds. Binance: the average fill price; Bybit: the bankruptcy price.",
        ]
        assert ask("/summary", window="1h", venue="nobody")["count"] == 0


def test_a_venue_that_was_added_makes_no_hole_before_it(serve: Serve, recorder: Recorder) -> None:
    """The steps before a venue was recorded rest on the others, as those hours' summaries do."""
    start = recorder.now() // HOUR * HOUR - 3 * HOUR
    end = start + 3 * HOUR
    for venue, since in (("binance", start), ("bybit", start + 2 * HOUR)):
        life = Connection(venue, "live", venue, "ws://x/", since * 1000, None, end * 1000, end * 1000)
        recorder.ledger.append(Batch("live", connections=[life], spans=[Span(venue, since, end)]))
    with httpx.Client(base_url=serve().url + "/api/v1", timeout=60) as client:
        params = {"from": iso_ms(start), "to": iso_ms(end), "step": "1h"}
        steps = client.get("/buckets", params=params).json()["items"]
        alone = client.get("/buckets", params={**params, "venue": "bybit"}).json()["items"]
        hours = [client.get("/summary", params={"hour": one["from"][:13]}).json() for one in steps]
    assert [one["coverage"] for one in steps] == [hour["coverage"] for hour in hours] == [1.0, 1.0, 1.0]
    assert [one["coverage"] for one in alone] == [0.0, 0.0, 1.0]
