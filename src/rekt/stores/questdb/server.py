"""A QuestDB server of our own: started, stopped and found again, without Docker, Maven or Java installed.

Everything lies in one folder (`questdb/` in the data folder):

    server.json     where it listens, user and password, process; readable by its owner alone
    server.lock     held by the server's process as long as it lives, and by whoever is starting one
    server.log      what it says
    questdb-….jar   its program, checked against the sum below at each start
    root/           its data

Whether it runs is asked of the lock, not of the process id: the kernel lets go of it with the process, and no other
process can hold it by chance.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import httpx

from rekt.errors import StoreError, UsageError
from rekt.stores.questdb.program import VERSION, Say, jar, java

if TYPE_CHECKING:
    from pathlib import Path

USER = "rekt"
HEAP = "512m"
START_S = 60.0
STOP_S = 30.0
LOG_BYTES = 16 << 20  # at a start, a longer log is put aside (one is kept)
ROOM = 400 << 20  # an empty root takes about 200 MB

SETTINGS = {
    "QDB_LINE_TCP_ENABLED": "false",
    "QDB_TELEMETRY_ENABLED": "false",
    "QDB_LINE_AUTO_CREATE_NEW_COLUMNS": "false",
    "QDB_LINE_AUTO_CREATE_NEW_TABLES": "false",
    "QDB_METRICS_ENABLED": "true",
    # Not safety but room: by default each column of each day takes 16 MB at once, a day of ours 400.
    "QDB_CAIRO_WRITER_DATA_APPEND_PAGE_SIZE": "1M",
    "QDB_CAIRO_WRITER_DATA_INDEX_VALUE_APPEND_PAGE_SIZE": "1M",
}
"""What makes it safe, besides the loopback addresses: nothing unacknowledged, nothing sent home, no table by typo."""

LOG_CONFIG = """writers=stdout
w.stdout.class=io.questdb.log.LogConsoleWriter
w.stdout.level=CRITICAL,ERROR,ADVISORY
"""


class Running(NamedTuple):
    """A server that was started here."""

    url: str
    user: str  # "" = none is asked for
    password: str
    pg_port: int
    pid: int | None  # None: its start has not come so far
    version: str


class _EndedError(StoreError):
    """The server's process ended before it answered."""


class Server:
    """The server of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.log = folder / "server.log"

    def running(self) -> Running | None:
        """The server, when its process lives."""
        return self.last() if self._held() else None

    def last(self) -> Running | None:
        """The server that was started here last, whether it lives or not; the next start keeps its place."""
        try:
            return Running(**json.loads((self.folder / "server.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def start(
        self, port: int, *, password: bool = True, say: Say = lambda _: None, again: bool = True
    ) -> Running:
        """Have it run and answer; one that runs already is left as it is.

        `port`: of HTTP on loopback, 0 = any that is free. `again`: try twice. Raises StoreError with what the server said.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self._lock()
        if lock is None and (lock := self._wait_for_other(say)) is None:
            found = self.last()
            assert found is not None  # noqa: S101 - it answered
            return found
        try:
            self._check_room()
            program, runtime = jar(self.folder, say), java()
            state = self._new_state(port, password=password)
            process = self._spawn(runtime, program, state, lock)
        finally:
            os.close(lock)  # the server's process has it now
        state = state._replace(pid=process.pid)
        self._write_state(state)
        say(f"QuestDB {VERSION} is starting: {state.url}, data in {self.root}, log in {self.log}")
        try:
            self._wait(state, process)
        except _EndedError:
            if not again:
                raise
            # Most often a port that was free when we looked was not any more.
            return self.start(port, password=password, say=say, again=False)
        return state

    def stop(self) -> bool:
        """End it in order; False when it did not run. Ends nothing but what `start` started."""
        deadline = time.monotonic() + STOP_S
        asked = False
        while self._held():
            state = self.last()
            if state is not None and state.pid is not None:
                late = time.monotonic() > deadline
                with suppress(ProcessLookupError):
                    if late or not asked:
                        os.kill(state.pid, signal.SIGKILL if late else signal.SIGTERM)
                asked = True
            if time.monotonic() > deadline + 5:
                raise StoreError(f"the server of {self.folder} does not end", hint=f"its log: {self.log}")
            time.sleep(0.05)
        return asked

    def tail(self, lines: int) -> list[str]:
        """The end of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 400 * max(lines, 1)))
                return file.read().decode("utf-8", "replace").splitlines()[-lines:] if lines > 0 else []
        except FileNotFoundError:
            return []

    # -- its process -----------------------------------------------------------------------------------------------

    def _lock(self) -> int | None:
        """The lock, as a descriptor; None when a server (or another start) has it."""
        descriptor = os.open(self.folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(5):  # another one that looks at the same moment is no server
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
            else:
                return descriptor
        os.close(descriptor)
        return None

    def _held(self) -> bool:
        if not self.folder.is_dir():
            return False
        lock = self._lock()
        if lock is None:
            return True
        os.close(lock)
        return False

    def _new_state(self, port: int, *, password: bool) -> Running:
        last = self.last()
        keep = last.password if last is not None else ""  # other processes know it
        if port and not _free(port):
            raise StoreError(
                f"port {port} is taken by another program",
                hint="say another one with --port, or leave `rekt questdb start` and set [DATABASE] url to use that one",
            )
        state = Running(
            url=f"http://127.0.0.1:{port or _any_port()}",
            user=USER if password else "",
            password=(keep or secrets.token_urlsafe(24)) if password else "",
            pg_port=8812 if _free(8812) else _any_port(),
            pid=None,
            version=VERSION,
        )
        self._write_state(state)
        return state

    def _spawn(self, java: Path, jar: Path, state: Running, lock: int) -> subprocess.Popen[bytes]:
        """Its process: detached, with nothing of ours but the log and the lock."""
        conf = self.root / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        (conf / "log.conf").write_text(LOG_CONFIG, "utf-8")
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))
        command = [str(java), f"-Xmx{HEAP}", "-XX:+UseParallelGC", "--enable-native-access=io.questdb"]
        command += ["--sun-misc-unsafe-memory-access=allow", "-p", str(jar)]
        command += ["-m", "io.questdb/io.questdb.ServerMain", "-d", str(self.root)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **environment(state)},
                start_new_session=True,
                pass_fds=(lock,),
            )

    def _wait(self, state: Running, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while not answers(state.url):
            if (code := process.poll()) is not None:
                said = "\n".join(self.tail(8))
                raise _EndedError(f"QuestDB ended at once ({code}):\n{said}", hint=f"its log: {self.log}")
            if time.monotonic() > deadline:
                self.stop()
                raise StoreError(
                    f"QuestDB did not answer within {START_S:.0f} s", hint=f"its log: {self.log}"
                )
            time.sleep(0.05)
        process.returncode = 0  # it lives on: not ours to wait for

    def _wait_for_other(self, say: Say) -> int | None:
        """Another server or start has the lock: wait until it answers; or until it ends: then the lock is ours."""
        say(f"a server of {self.folder} runs already, or is just ending")
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if (lock := self._lock()) is not None:
                return lock
            state = self.last()
            if state is not None and state.pid is not None and answers(state.url):
                return None
            time.sleep(0.1)
        raise StoreError(f"the server of {self.folder} runs but does not answer", hint=f"its log: {self.log}")

    # -- its files -------------------------------------------------------------------------------------------------

    def _write_state(self, state: Running) -> None:
        path = self.folder / "server.json"
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(state._asdict(), file)
        part.replace(path)

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if not self.root.exists() and free < ROOM:
            raise StoreError(
                f"{self.folder} has {free >> 20} MB left; an empty QuestDB takes 200", hint="make room first"
            )


def environment(state: Running) -> dict[str, str]:
    """The server's settings: loopback only, and what makes it safe."""
    port = state.url.rpartition(":")[2]
    settings = {
        **SETTINGS,
        "QDB_HTTP_BIND_TO": f"127.0.0.1:{port}",
        "QDB_PG_NET_BIND_TO": f"127.0.0.1:{state.pg_port}",
        "QDB_HTTP_MIN_NET_BIND_TO": f"127.0.0.1:{9003 if _free(9003) else _any_port()}",
    }
    if state.password:
        settings |= {
            "QDB_HTTP_USER": state.user,
            "QDB_HTTP_PASSWORD": state.password,
            "QDB_PG_PASSWORD": state.password,
        }
    return settings


def answers(url: str, timeout_s: float = 1.0) -> bool:
    """Whether a server answers at this address (no password is needed for that)."""
    try:
        return httpx.get(f"{url}/ping", timeout=timeout_s, trust_env=False).status_code == 204
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def local_port(url: str) -> int:
    """The port that a server of ours would have to take to be the one of this address."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        raise UsageError(f"{url!r} is no address") from None
    if parts.host not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError(
            f"[DATABASE] url names another machine ({parts.host}); a server started here listens on loopback only",
            hint="say --port to start one all the same",
        )
    return parts.port or 80


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
