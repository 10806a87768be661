from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rekt.model import Connection, Span
from rekt.store import Batch
from rekt.stores.questdb.program import VERSION
from rekt.stores.questdb.server import SETTINGS
from tests.stores.events import event
from tests.stores.questdb import Shipped, place
from tests.waiting import until

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/rekt.json").read_text("utf-8"))
QUERIES = {
    f"{panel['title']} {target['refId']}": target["rawSql"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    """The table `liqui` itself, with a few events of the last hour and a span."""
    now = time.time_ns() // 1_000_000
    store = Shipped(tmp_path_factory.mktemp("grafana"), place("liqui"))
    batch = Batch(
        "run", [(event(n, at=now - n * 60_000, side="BUY" if n % 2 else "SELL"),) for n in range(10)]
    )
    batch.connections.append(Connection("c", "run", "binance", "wss://x", (now - 600_000) * 1000))
    batch.spans.append(Span("c", now - 600_000, now))
    store.append(batch)
    sql = store.sql()
    assert until(lambda: sql.one("SELECT count() FROM liqui_1h")[0])
    sql.close()
    yield store
    store.close()


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_of_the_dashboard_is_answered(name: str, shipped: Shipped) -> None:
    """Grafana's query, its time filter filled in as Grafana does, has rows on the real server."""
    sql = shipped.sql()
    filled = re.sub(
        r"\$__timeFilter\((\w+)\)",
        lambda match: f"{match[1]} BETWEEN '{_iso(time.time() - 86_400)}' AND '{_iso(time.time())}'",
        QUERIES[name],
    )
    assert "$" not in filled
    rows = sql(filled)
    sql.close()
    assert rows
    assert all(value is not None for row in rows for value in row)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_the_dashboard_uses_the_provisioned_source() -> None:
    """Every panel names the data source that the provisioning file makes."""
    provisioned = (DEPLOY / "grafana/provisioning/datasources/questdb.yaml").read_text("utf-8")
    uids = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    assert len(uids) == 1
    assert f"uid: {uids.pop()}" in provisioned


def test_compose_has_the_same_server_as_the_command() -> None:
    """The same version and the same settings as `rekt questdb start`, published on loopback alone."""
    compose = (DEPLOY / "compose.yaml").read_text("utf-8")
    assert f"image: questdb/questdb:{VERSION}\n" in compose
    for key, value in SETTINGS.items():
        assert f'{key}: "{value}"' in compose
    published = re.findall(r'- "([^"]+):(\d+)"', compose)
    assert len(published) == 4
    assert all(address.startswith("127.0.0.1:") for address, _ in published)
    assert "9009" not in compose
    assert compose.count("QUESTDB_PASSWORD:?") == 3
