# ruff: noqa: S608 - what is put together are names of tables and columns, checked before; values go through `text`
"""Rows into QuestDB: line protocol over HTTP, by the official client, an acknowledgement for every batch.

An acknowledgement is a commit to the table's log: it survives the server's kill -9. Applying the log comes after; a
table that can't (a full disk) is suspended, and goes on acknowledging. `health` tells.
"""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from questdb import QuestDBError, QuestDBErrorCode, Sender, TimestampMicros

from rekt.errors import StoreError
from rekt.fields import DAY
from rekt.model import MICRO, Connection, Delivery, Liquidation, Revision, Span, Window
from rekt.sink import BatchRefused, Health, Moved, Sums
from rekt.stores.questdb import rows
from rekt.stores.questdb.sql import Place, Sql, denied, text, unreachable
from rekt.stores.questdb.tables import SHIPPED, check_view, ensure, names, refresh_view, within
from rekt.stores.questdb.takeover import take_over

log = logging.getLogger("rekt.questdb")

REQUEST_MS = 20_000
BUFFERS = 3
FULL_BYTES = 32 << 20
OURS = "micros IS NOT NULL"  # rows of the original have no exact value


class QuestDB:
    """A sink; one thread at a time."""

    def __init__(
        self,
        locate: Callable[[], Place],
        *,
        ttl_days: int = 0,
        room: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`room`: bytes free on the server's disk, where that can be known: its own words don't always tell."""
        self._room = room
        self._locate = locate
        self._place = locate()
        self._names = names(self._place.table)
        self.name = f"questdb {self._place.table}"
        self._ttl_days = ttl_days
        self._sql = Sql(self._place)
        self._sender: Sender | None = None
        self._spare: deque[Any] = deque()

    def prepare(self) -> bool:
        """Have the tables ready, whatever is found; True when all rows must be given again."""
        if (place := self._locate()) != self._place:  # a server that was started elsewhere since
            self.close()
            self._place, self._sql = place, Sql(place)
        new = take_over(self._sql, self._place.table)
        return ensure(self._sql, self._place.table, self._ttl_days) or new

    def send(self, events: Sequence[Liquidation]) -> None:
        """Send rows in one request and wait for the acknowledgement."""
        self.flush(self.pack(events))

    def pack(self, events: Sequence[Liquidation]) -> Any:
        """Rows as a request; may be done in another thread while one is being sent."""
        buffer = self._buffer()
        first, second = self._names.events, self._names.others
        row, moment = buffer.row, TimestampMicros
        for event in events:
            try:
                row(
                    first if rows.first_table(event) else second,
                    symbols=rows.symbols(event),
                    columns=rows.columns(event, moment),
                    at=moment(event.trade_time * 1000),
                )
            except (QuestDBError, OverflowError, ValueError, TypeError) as error:
                raise BatchRefused(f"the client refuses it: {error}") from error
        return buffer

    def send_lives(self, connections: Sequence[Connection], spans: Sequence[tuple[str, Span]]) -> None:
        """Send what coverage is made from."""
        buffer = self._buffer()
        for one in connections:
            times = {
                "first_frame": one.first_frame_us,
                "last_frame": one.last_frame_us,
                "last_canary": one.last_canary_us,
                "closed": one.closed_us,
            }
            columns: dict[str, Any] = {
                name: TimestampMicros(us) for name, us in times.items() if us is not None
            }
            columns["url"] = one.url
            if one.cause is not None:
                columns["cause"] = one.cause
            buffer.row(
                self._names.connections,
                symbols={"id": one.id, "run": one.run, "venue": one.venue},
                columns=columns,
                at=TimestampMicros(one.opened_us),
            )
        for venue, span in spans:
            buffer.row(
                self._names.spans,
                symbols={"connection": span.connection, "venue": venue},
                columns={"end_time": TimestampMicros(span.end_ms * 1000)},
                at=TimestampMicros(span.start_ms * 1000),
            )
        self.flush(buffer)

    def send_quality(
        self, deliveries: Sequence[tuple[str, Delivery]], revisions: Sequence[tuple[str, Revision]]
    ) -> None:
        """Send what quality is made from."""
        buffer = self._buffer()
        for venue, one in deliveries:
            buffer.row(
                self._names.deliveries,
                symbols={"connection": one.connection, "venue": venue},
                columns={"told": one.told, "lost": one.lost},
                at=TimestampMicros(one.hour * 1000),
            )
        for run, change in revisions:
            before, after = divmod(change.total_before, MICRO), divmod(change.total_after, MICRO)
            buffer.row(
                self._names.revisions,
                symbols={"run": run, "reason": change.reason},
                columns={
                    "seen": TimestampMicros(change.seen_us),
                    "count_before": change.count_before,
                    "count_after": change.count_after,
                    "dollars_before": before[0],
                    "micros_before": before[1],
                    "dollars_after": after[0],
                    "micros_after": after[1],
                },
                at=TimestampMicros(change.hour * 1000),
            )
        self.flush(buffer)

    def health(self) -> Health:
        """Ask whether what was acknowledged is applied. Raises Moved when another server is meant by now."""
        if self._locate() != self._place:
            raise Moved(f"QuestDB is not at {self._place.url} any more")
        own = self._names[: len(SHIPPED)]
        listed = ", ".join(map(text, own))
        found = self._sql(
            "SELECT name, suspended, writerTxn, sequencerTxn, errorTag, errorMessage FROM wal_tables()"
            f" WHERE name IN ({listed})"
        )
        if len(found) < len(own):
            raise Moved(f"QuestDB at {self._place.url} has lost tables of {self._place.table}")
        stuck = [row for row in found if row[1]]
        reason = ""
        if stuck:
            said = [f"{tag} {message}".strip() for _, _, _, _, tag, message in stuck]
            room = self._room()
            if any(_is_full(one) for one in said) or (room is not None and room < FULL_BYTES):
                what = "the server's disk is full"
            else:
                what = f"{said[0] or 'no reason given'} (most often the disk is full)"
            reason = f"QuestDB's table {stuck[0][0]} is suspended: {what}"
        return Health(bool(stuck), reason, sum(max(0, row[3] - row[2]) for row in found))

    def resume(self) -> None:
        """Let suspended tables go on."""
        listed = ", ".join(map(text, self._names))
        for (name,) in self._sql(f"SELECT name FROM wal_tables() WHERE suspended AND name IN ({listed})"):
            self._sql(f'ALTER TABLE "{name}" RESUME WAL')

    def settled(self, timeout_s: float) -> bool:
        """Wait until all that was acknowledged can be read."""
        own = self._names
        return self._sql.applied(own.events, own.others, timeout_s=timeout_s)

    def refresh(self) -> None:
        """Have the hourly view follow its table; it does so by itself too, once a minute."""
        refresh_view(self._sql, self._names.events)

    def kept_from(self) -> int:
        """The first day that its TTL leaves alone for sure, also where an event's clock is ahead."""
        if not self._ttl_days:
            return 0
        return -(-(time.time_ns() // 1_000_000 - self._ttl_days * DAY) // DAY) * DAY

    def hours(self, window: Window) -> Mapping[int, Sums]:
        """What it holds of each hour, without rows of the original's."""
        first, second = self._names.events, self._names.others
        counted: defaultdict[int, int] = defaultdict(int)
        for hour, count in self._sql(
            f'SELECT timestamp::long, n FROM (SELECT timestamp, count() n FROM "{second}"'
            f" WHERE {within(window)} SAMPLE BY 1h)"
        ):
            counted[hour // 1000] += count
        if counted:  # some may have been settled since
            for hour, count in self._sql(
                "SELECT h::long, count() FROM (SELECT timestamp_floor('h', o.timestamp) h FROM"
                f' (SELECT timestamp, uid FROM "{first}" WHERE {within(window)} AND {OURS}) m'
                f' JOIN (SELECT timestamp, uid FROM "{second}" WHERE {within(window)}) o ON (uid)) GROUP BY h'
            ):
                counted[hour // 1000] -= count
        sums = {
            hour // 1000: Sums(count, dollars * 1_000_000 + micros, counted.pop(hour // 1000, 0))
            for hour, count, dollars, micros in self._sql(
                "SELECT timestamp::long, n, d, m FROM (SELECT timestamp, count() n, sum(micros / 1000000) d,"
                f' sum(micros % 1000000) m FROM "{first}" WHERE {within(window)} AND {OURS} SAMPLE BY 1h)'
            )
        }
        return {**{hour: Sums(others=count) for hour, count in counted.items() if count}, **sums}

    def check(self, window: Window) -> list[str]:
        """Audit the hourly view against its table."""
        window = Window(max(window.start, self.kept_from()), window.end)
        return check_view(self._sql, self._names.events, window)

    def close(self) -> None:
        """Let go of the server."""
        if self._sender is not None:
            self._sender.close(flush=False)
            self._sender = None
            self._spare.clear()
        self._sql.close()

    def flush(self, request: Any) -> None:
        """Send a packed request and wait for the acknowledgement."""
        sender = self._sender
        try:
            if len(request):
                if sender is None:  # closed since it was packed
                    raise unreachable(self._place.url, "the connection was closed")
                sender.flush(request, clear=False)
        except QuestDBError as error:
            raise self._failure(error) from error
        finally:
            request.clear()
            self._spare.append(request)

    def _buffer(self) -> Any:
        """An empty one: made beforehand, because the client is not to be asked while it sends."""
        if self._sender is None:
            self._sender = client(self._place)
            self._spare = deque(self._sender.new_buffer() for _ in range(BUFFERS))
        return self._spare.popleft() if self._spare else self._sender.new_buffer()

    def _failure(self, error: QuestDBError) -> StoreError:
        """What the client's error means: the server's fault, or the rows'."""
        said = str(error).removeprefix("Could not flush buffer: ")
        if error.code == QuestDBErrorCode.AuthError or "Unauthorized" in said:
            return denied(self._place)
        if error.code != QuestDBErrorCode.ServerFlushError:
            return unreachable(self._place.url, said)
        try:
            answer = json.loads(said)
            message, code = str(answer["message"]), str(answer.get("code"))
        except (ValueError, KeyError, TypeError):
            return unreachable(self._place.url, said)
        message = message.partition("line(s):")[2].strip() or message
        if _is_full(message):
            return StoreError(f"the disk of QuestDB at {self._place.url} is full: {message}")
        if code == "invalid" or "errno: -1" in message:
            return BatchRefused(f"QuestDB refuses it: {message}")
        return StoreError(f"QuestDB at {self._place.url} can't write: {message}")


def _is_full(said: str) -> bool:
    return any(word in said for word in ("DISK FULL", "[28]", "errno: 28", "No space left"))


def client(place: Place) -> Sender:
    """The official client, connected as this place wants it. Raises StoreError."""
    scheme, _, address = place.url.partition("://")
    if address.startswith("localhost"):  # a server of ours listens on 127.0.0.1 alone
        address = address.replace("localhost", "127.0.0.1", 1)
    port = "" if ":" in address else ":443" if scheme == "https" else ":80"
    sender = Sender.from_conf(
        f"{scheme}::addr={address}{port};auto_flush=off;protocol_version=2;retry_timeout=0;"
        f"request_timeout={REQUEST_MS};",
        username=place.user or None,
        password=place.password if place.user else None,
    )
    try:
        sender.establish()  # type: ignore[no-untyped-call]
    except QuestDBError as error:
        raise unreachable(place.url, str(error)) from error
    return sender
