# ruff: noqa: S608 - what is put together are names of tables and columns, checked before; values go through `text`
"""QuestDB as a store to read from: the same questions, the same answers as the ledger's, over plain HTTP.

Rows that the original wrote are not ours: they have no side and no exact value. Its query sees them, these don't.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Literal

from rekt.errors import StoreError
from rekt.fields import HOUR, iso_ms, uid_text
from rekt.model import MICRO, Bucket, Connection, Delivery, Largest, Liquidation, Revision, Side, Window
from rekt.store import Alive, Moment, Scope
from rekt.stores.questdb.rows import READ, event
from rekt.stores.questdb.sql import Place, Sql, text
from rekt.stores.questdb.tables import SHIPPED, names, within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PAGE = 5_000
OURS = "micros IS NOT NULL"
_UNKNOWN = "micros IS NULL AND (status IS NULL OR status = 'FILLED')"
_LENGTHS: dict[Scope, tuple[int, Literal["1m", "1h"]]] = {
    "minute": (60_000, "1m"),
    "hour": (HOUR, "1h"),
    "hour_symbol": (HOUR, "1h"),
}
_LATEST = Window(0, 253_402_300_799_000)
_ALIVE = (
    "SELECT s.venue, s.connection, s.timestamp::long / 1000, s.end_time::long / 1000, c.closed, c.cause"
    ' FROM "{spans}" s LEFT JOIN "{connections}" c ON c.id = s.connection'
)

Key = tuple[int, str, str, Side]  # start, venue, symbol, side


class QuestDBReader:
    """Asks a server. Raises StoreError when it is not there, or holds nothing of ours."""

    def __init__(self, place: Place) -> None:
        self._sql = Sql(place, timeout_s=60.0)
        self._names = names(place.table)
        wanted = self._names[: len(SHIPPED)]
        listed = ", ".join(map(text, wanted))
        try:
            found = self._sql(f"SELECT table_name FROM tables() WHERE table_name IN ({listed})")
        except StoreError:
            self._sql.close()
            raise
        if len(found) < len(wanted):
            self._sql.close()
            raise StoreError(
                f"nothing was shipped yet to the table {place.table} of QuestDB at {place.url}",
                hint="`rekt run` with [DATABASE] engine = questdb ships, `rekt questdb resync` does it once",
            )

    def __enter__(self) -> QuestDBReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the server; closing twice is harmless."""
        self._sql.close()

    def snapshot(self) -> AbstractContextManager[object]:
        """A server has no snapshots: answers of a running hour may be moments apart."""
        return nullcontext()

    # the numbers

    def totals(self, window: Window, scope: Scope) -> list[Bucket]:
        """Sums of each stretch whose start lies in the window, oldest first."""
        length, sample = _LENGTHS[scope]
        return self._grouped(_whole(window, length), sample, by_symbol=scope == "hour_symbol")

    def sums(self, window: Window) -> list[Bucket]:
        """Counts and sums over the window by venue, symbol and side."""
        return self.count(window)

    def count(self, window: Window) -> list[Bucket]:
        """A count of the events themselves by venue, symbol and side."""
        return self._grouped(window, "", by_symbol=True)

    def largest(self, window: Window, venues: Collection[str] | None = None) -> Largest | None:
        """The largest counting event (of these venues): highest notional, then earliest trade time, then lowest uid."""
        where = f'FROM "{self._names.events}" WHERE {within(window)} AND {OURS}'
        if venues is not None:
            where += f" AND venue IN ({', '.join(text(name) for name in sorted(venues)) or 'NULL'})"
        (most,) = self._sql.one(f"SELECT max(micros) {where}")
        if most is None:
            return None
        first = f"(SELECT min(timestamp) {where} AND micros = {most})"
        found = [
            event(row)
            for row in self._sql(
                f'SELECT {READ} FROM "{self._names.events}" WHERE timestamp = {first} AND micros = {most}'
            )
        ]
        one = min(found, key=lambda one: (one.trade_time, one.uid))
        return Largest(
            one.symbol, one.side, most, one.average_price, one.filled_quantity, one.trade_time, one.feed.venue
        )

    def alive(self, window: Window) -> list[Alive]:
        """Each canary-proved span that touches the window, earliest first."""
        condition = f"s.end_time >= {_time(window.start)} AND s.timestamp < {_time(window.end)}"
        return sorted(self._alive(condition), key=lambda one: (one.start_ms, one.end_ms))

    def alive_before(self, venue: str, ms: int) -> Alive | None:
        """The span of a venue that ended last before this time."""
        found = self._alive(
            f"s.end_time < {_time(ms)} AND s.venue = {text(venue)} ORDER BY s.end_time DESC LIMIT 1"
        )
        return found[0] if found else None

    def connections(self, window: Window | None) -> list[Connection]:
        """Connections whose life touches the window (None: all), oldest first."""
        where = ""
        if window is not None:
            where = (
                f" WHERE timestamp < {_time(window.end)}"
                f" AND coalesce(closed, last_frame, last_canary, timestamp) >= {_time(window.start)}"
            )
        found = self._sql(
            "SELECT id, run, venue, url, timestamp::long, first_frame::long, last_frame::long, last_canary::long,"
            f' closed::long, cause FROM "{self._names.connections}"{where}'
        )
        return sorted((Connection(*row) for row in found), key=lambda one: (one.opened_us, one.id))

    def venues(self) -> list[str]:
        """Every venue that a connection or an event names."""
        own = self._names
        found: set[str] = set()
        for table, where in ((own.events, f" WHERE {OURS}"), (own.others, ""), (own.connections, "")):
            found |= {venue for (venue,) in self._sql(f'SELECT DISTINCT venue FROM "{table}"{where}')}
        return sorted(found)

    # how well it was recorded

    def moments(self, window: Window) -> Iterator[Moment]:
        """The times of every event of a window, by trade time; read in pages."""
        for one in self.liquidations(window):
            yield Moment(one.feed.venue, one.symbol, one.trade_time, one.event_time, one.received_us)

    def deliveries(self, window: Window) -> list[tuple[str, Delivery]]:
        """(venue, what a connection told and lost) in the hours that begin in a window."""
        found = self._sql(
            "SELECT d.timestamp::long / 1000, c.timestamp::long, d.connection, d.venue, d.told, d.lost"
            f' FROM (SELECT * FROM "{self._names.deliveries}" WHERE {within(window)}) d'
            f' LEFT JOIN "{self._names.connections}" c ON c.id = d.connection'
        )
        return [
            (venue, Delivery(connection, hour, told, lost))
            for hour, _, connection, venue, told, lost in sorted(
                found, key=lambda row: (row[0], row[1] or 0, row[2])
            )
        ]

    def revisions(self, window: Window) -> list[Revision]:
        """How final hours of a window changed later, oldest change first."""
        return [
            Revision(hour, seen, reason, before, after, d1 * MICRO + m1, d2 * MICRO + m2)
            for hour, seen, reason, before, after, d1, m1, d2, m2 in self._sql(
                "SELECT timestamp::long / 1000, seen::long, reason, count_before, count_after, dollars_before,"
                f' micros_before, dollars_after, micros_after FROM "{self._names.revisions}"'
                f" WHERE {within(window)} ORDER BY seen, count_before, dollars_before, micros_before"
            )
        ]

    # the events

    def liquidations(
        self,
        window: Window | None = None,
        *,
        venue: str | None = None,
        symbol: str | None = None,
        side: Side | None = None,
        min_usd: Decimal | int | None = None,
    ) -> Iterator[Liquidation]:
        """Events of a window (None: all) by (trade time, uid); `min_usd` leaves out those of unknown notional."""
        wanted = "".join(
            f" AND {column} = {text(value)}"
            for column, value in (("venue", venue), ("PAIR", symbol), ("side", side))
            if value is not None
        )
        if min_usd is not None:
            least = int((Decimal(min_usd) * MICRO).to_integral_value(ROUND_CEILING))
            if least >= 1 << 63:
                return iter(())
            wanted += f" AND micros >= {least}"
        span = window or _LATEST
        return heapq.merge(
            self._pages(self._names.events, span, f" AND {OURS}{wanted}"),
            self._unsettled(self._pages(self._names.others, span, wanted)),
            key=lambda one: (one.trade_time, one.uid),
        )

    def _pages(self, table: str, window: Window, wanted: str) -> Iterator[Liquidation]:
        """Events of one table by (trade time, uid); those of one time are never apart."""
        low = window.start
        while True:
            rest = Window(low, window.end)
            found = self._events(table, f"{within(rest)}{wanted} LIMIT {PAGE}")
            if len(found) < PAGE:
                yield from found
                return
            low = found[-1].trade_time
            if found[0].trade_time == low:  # more than a page of one time
                yield from self._events(table, f"timestamp = {_time(low)}{wanted}")
                low += 1
            else:
                yield from (one for one in found if one.trade_time < low)

    def _events(self, table: str, where: str) -> list[Liquidation]:
        found = [event(row) for row in self._sql(f'SELECT {READ} FROM "{table}" WHERE {where}')]
        return sorted(found, key=lambda one: (one.trade_time, one.uid))

    def _unsettled(self, found: Iterator[Liquidation]) -> Iterator[Liquidation]:
        """Events of the second table without those that were written to the first since."""
        events = self._names.events
        page: list[Liquidation] = []

        def rest() -> Iterator[Liquidation]:
            span = Window(page[0].trade_time, page[-1].trade_time + 1)
            settled = {
                uid
                for (uid,) in self._sql(
                    f'SELECT o.uid FROM (SELECT uid FROM "{events}" WHERE {within(span)} AND {OURS}) m'
                    f' JOIN (SELECT uid FROM "{self._names.others}" WHERE {within(span)}) o ON (uid)'
                )
            }
            return (one for one in page if uid_text(one.uid) not in settled)

        for one in found:
            page.append(one)
            if len(page) == 1_000:
                yield from rest()
                page = []
        if page:
            yield from rest()

    # the SQL

    def _grouped(self, window: Window, sample: str, *, by_symbol: bool) -> list[Bucket]:
        """Count, unknown and sum by stretch (the whole window without one), venue, symbol and side."""
        if window.start >= window.end:
            return []
        symbol = "PAIR" if by_symbol else "''"
        keys = f"venue, {'PAIR, ' if by_symbol else ''}side"
        first = "timestamp, " if sample else ""
        start = "timestamp::long / 1000" if sample else str(window.start)
        sampled = f" SAMPLE BY {sample}" if sample else ""

        def grouped(values: str, told: str, source: str) -> list[list[Any]]:
            return self._sql(
                f"SELECT {start}, venue, {symbol}, side, {told}"
                f" FROM (SELECT {first}{keys}, {values} FROM {source}{sampled})"
            )

        sums: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0, 0])
        own, span = self._names, within(window)
        for *key, count, dollars, micros in grouped(
            "count() n, sum(micros / 1000000) d, sum(micros % 1000000) m",
            "n, d, m",
            f'"{own.events}" WHERE {span} AND {OURS}',
        ):
            entry = sums[_key(key)]
            entry[0] += count
            entry[2] += dollars * MICRO + micros
        unknown = grouped("count() n", "n", f'"{own.others}" WHERE {span} AND {_UNKNOWN}')
        if unknown:
            settled = grouped(
                "count() n",
                "n",
                "((SELECT o.timestamp timestamp, o.venue venue, o.PAIR PAIR, o.side side"
                f' FROM (SELECT uid FROM "{own.events}" WHERE {span} AND {OURS}) m'
                f' JOIN (SELECT * FROM "{own.others}" WHERE {span} AND {_UNKNOWN}) o ON (uid)'
                " ORDER BY timestamp) TIMESTAMP(timestamp))",
            )
            for sign, found in ((1, unknown), (-1, settled)):
                for *key, count in found:
                    entry = sums[_key(key)]
                    entry[0] += sign * count
                    entry[1] += sign * count
        return [Bucket(*key, *entry) for key, entry in sorted(sums.items()) if entry[0]]

    def _alive(self, condition: str) -> list[Alive]:
        query = _ALIVE.format(spans=self._names.spans, connections=self._names.connections)
        return [
            Alive(venue, connection, start, end, closed is not None, cause)
            for venue, connection, start, end, closed, cause in self._sql(f"{query} WHERE {condition}")
        ]


def _whole(window: Window, length: int) -> Window:
    """The stretches of a length whose start lies in a window, from the first's start to the last's end."""
    return Window(-(-window.start // length) * length, -(-window.end // length) * length)


def _key(found: list[Any]) -> Key:
    start, venue, symbol, side = found
    return start, venue, symbol, side


def _time(ms: int) -> str:
    """A time as a literal of SQL; beyond what QuestDB can hold, the nearest."""
    return text(iso_ms(min(max(ms, 0), _LATEST.end)))
