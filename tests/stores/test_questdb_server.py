from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rekt.errors import StoreError, UsageError
from rekt.stores.questdb.program import jar
from rekt.stores.questdb.server import SETTINGS, Server, answers, environment, local_port
from rekt.stores.questdb.sql import Denied, Sql
from tests.stores.questdb import obtain, place, running

CALL_S = 55


def rekt(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as users call it, its output read to the end: whoever inherits the pipe would hold this up."""
    return subprocess.run(
        [sys.executable, "-m", "rekt", *arguments],
        env={**os.environ, "REKT_DATABASE_PATH": str(data / "liqui.db"), **environment},
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
    )


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose server is ended afterwards."""
    place()  # or skip
    yield tmp_path
    Server(tmp_path / "questdb").stop()


def test_start_status_stop(data: Path) -> None:
    """A server is started, found, left alone by a second start, and stopped; status is well when it is stopped."""
    assert json.loads(rekt(data, "questdb", "status", "--json").stdout)["running"] is False
    started = rekt(data, "questdb", "start", "--port", "0")
    assert started.returncode == 0, started.stderr
    state = Server(data / "questdb").running()
    assert state is not None
    assert state.url in started.stdout
    again = rekt(data, "questdb", "start")
    assert again.returncode == 0
    assert "already runs" in again.stdout
    assert Server(data / "questdb").running() == state
    found = json.loads(rekt(data, "questdb", "status", "--json").stdout)
    assert found["running"] is True
    assert found["url"] == state.url
    assert found["version"] == "9.3.4"
    assert found["table"] == "liqui"
    assert found["suspended"] is False
    assert found["last_error"] is None
    assert "enjoy" in rekt(data, "questdb", "logs").stdout
    stopped = rekt(data, "questdb", "stop")
    assert stopped.returncode == 0
    assert not answers(state.url)
    assert rekt(data, "questdb", "stop").returncode == 0
    after = rekt(data, "questdb", "status")
    assert after.returncode == 0
    assert "not running" in after.stdout


def test_a_password_is_made_and_kept_from_others() -> None:
    """Without its password the server answers nothing but that it lives; the password is its owner's to read."""
    where = place()
    assert len(where.password) >= 24
    for wrong, told in (
        (where._replace(user="", password=""), "without a password"),
        (where._replace(password="wrong"), "as user 'rekt'"),
    ):
        sql = Sql(wrong)
        with pytest.raises(Denied, match=f"does not let us in {told}"):
            sql("SELECT 1")
        sql.close()
    assert httpx.get(f"{where.url}/exec", params={"query": "SELECT 1"}).status_code == 401
    sql = Sql(where)
    assert sql("SELECT 1") == [[1]]
    sql.close()


def test_the_state_is_readable_by_its_owner_alone(data: Path) -> None:
    """The file with the password is 0600, and a restart keeps password and port."""
    server = Server(data / "questdb")
    first = obtain(server)
    assert stat.S_IMODE((data / "questdb" / "server.json").stat().st_mode) == 0o600
    server.stop()
    second = server.start(int(first.url.rpartition(":")[2]))
    assert (second.url, second.password) == (first.url, first.password)


def test_without_a_password_the_originals_way_works(data: Path) -> None:
    """With --no-password its query by GET /exp is answered without a login."""
    server = Server(data / "questdb")
    found = obtain(server, password=False)
    answer = httpx.get(f"{found.url}/exp", params={"query": "SELECT count() AS count FROM long_sequence(3)"})
    assert answer.text.split() == ['"count"', "3"]


def test_stop_leaves_others_alone(tmp_path: Path) -> None:
    """A process whose number is in the file, but which doesn't hold the lock, is not ended."""
    server = Server(tmp_path / "questdb")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        server.folder.mkdir()
        state = running()._replace(pid=other.pid)
        server._write_state(state)
        assert server.running() is None
        assert server.stop() is False
        time.sleep(0.2)
        assert other.poll() is None
        other.kill()


def test_a_taken_port_is_told() -> None:
    """A port of another program is refused in words, with the way out, before anything is started."""
    taken = int(running().url.rpartition(":")[2])
    server = Server(Path(os.devnull).parent / "shm" / f"rekt-{os.getpid()}")
    with pytest.raises(StoreError, match=f"port {taken} is taken"):
        server._new_state(taken, password=True)


def test_a_wrong_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jar that is not the one we know is never run."""
    wrong = tmp_path / "wrong.jar"
    wrong.write_bytes(b"PK")
    monkeypatch.setattr("rekt.stores.questdb.program._fetch", lambda: wrong)
    with pytest.raises(StoreError, match="is not the one we know"):
        jar(tmp_path, lambda _: None)


def test_listens_on_loopback_only() -> None:
    """Every address is on loopback, line protocol over TCP and telemetry are off."""
    found = environment(running())
    addresses = {value for key, value in found.items() if key.endswith("BIND_TO")}
    assert len(addresses) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    assert found["QDB_LINE_TCP_ENABLED"] == found["QDB_TELEMETRY_ENABLED"] == "false"
    assert SETTINGS.items() <= found.items()


def test_another_machine_is_not_started_here() -> None:
    """`start` says so when the configured address is not this machine's."""
    assert local_port("http://localhost:9000") == 9000
    assert local_port("http://127.0.0.1") == 80
    with pytest.raises(UsageError, match="names another machine"):
        local_port("http://db.example.com:9000")
