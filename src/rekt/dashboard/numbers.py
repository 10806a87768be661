"""What the dashboard tells: each number by the same function as the commands', kept for a moment and shared."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rekt.dashboard.book import Book, Shelf
from rekt.dashboard.kept import KEPT_S, Answers, Made
from rekt.dashboard.preview import KEPT_MS, Posting, Preview
from rekt.dashboard.watched import Watched
from rekt.errors import LedgerError
from rekt.fields import DAY, HOUR, iso_ms, money
from rekt.model import Bucket, HourSummary, Window
from rekt.objects import gap_object, hour_object, largest_object, quality_object, tally_object
from rekt.stats import coverage as proof
from rekt.stats.basis import Kind, sentences
from rekt.stats.coverage import Traits
from rekt.stats.normal import History, Key, Normal
from rekt.stats.quality import quality
from rekt.stats.series import Step, series
from rekt.stats.status import status_object
from rekt.stats.summary import ENOUGH, recorded, summarise, to_record
from rekt.store import Alive

log = logging.getLogger("rekt.dashboard")

DEAR = 10.0  # so many times what it took an answer is kept: no kind of question takes more than this part of a processor
_USUAL = Traits()
T = TypeVar("T")
encode = msgspec.json.encode
Object = dict[str, Any]


def now_ms() -> int:
    """The time, ms."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Source:
    """What a dashboard is made of: a ledger and what is known around it."""

    open_book: Callable[[], Book]
    path: Path
    traits: Mapping[str, Traits]
    posting: Posting
    recording: Callable[[], bool]
    sqlite_version: str
    version: str
    sink: Callable[[], Object] | None = None  # asks the sink, where there is one; may take seconds
    token: str | None = None
    hosts: tuple[str, ...] = ()  # further names that a browser may know this server by
    clock_ms: Callable[[], int] = now_ms


class Numbers:
    """Asks the ledger; what was answered is kept for a moment."""

    def __init__(self, source: Source, shelf: Shelf) -> None:
        self.source = source
        self.shelf = shelf
        self.answers = Answers()
        self._history: History | None = None
        self._preview = Preview(source.posting, source.traits)
        self._sink = Watched(source.sink) if source.sink else None

    def close(self) -> None:
        """Ask nothing more."""
        if self._sink:
            self._sink.close()

    async def knows(self, venue: str) -> bool:
        """Whether a venue of this name is in the ledger, or could be."""
        return venue in self.source.traits or venue in await self.shelf.ask(lambda book: book.venues())

    async def summary(self, window: Window, venue: str | None = None) -> HourSummary:
        """The numbers of a window, or of one venue in it."""
        now, traits, among = self.source.clock_ms(), self.source.traits, _among(venue)
        return await self.shelf.ask(lambda book: summarise(book, window, now, traits=traits, venues=among))

    async def quality(self, window: Window, key: object, venue: str | None = None) -> Object:
        """How well a window was recorded. It looks at each event: so it is kept for long."""
        traits, among = self.source.traits, _among(venue)

        def look(book: Book) -> Object:
            return quality_object(quality(book, window, traits, among))

        return await self._kept(("quality", key, venue), look, dear=50)

    async def hour(self, window: Window, key: object, venue: str | None = None) -> Object:
        """The object *hour*, with how well it was recorded."""
        numbers = hour_object(await self.summary(window, venue))
        return {**numbers, **await self.quality(window, key, venue)}

    async def summary_json(
        self, hour: int | None, length: int | None, full: bool, venue: str | None = None
    ) -> bytes:
        """The object *hour*: of the hour asked for, of the time up to now, or of the hour that ended last."""
        now, traits = self.source.clock_ms(), self.source.traits
        if hour is not None:
            window = Window(hour, hour + HOUR)
        elif length is not None:
            window = Window(now - length, now)
        else:
            window = Window(now - now % HOUR - HOUR, now - now % HOUR)
        key = length if hour is None and length is not None else window

        def look(book: Book) -> Object:
            return hour_object(summarise(book, window, now, traits=traits, venues=_among(venue)))

        numbers = await self._kept(("summary", key, venue), look)
        return encode({**numbers, **await self.quality(window, key, venue)} if full else numbers)

    async def status(self, recent: Window | None = None) -> Object:
        """The object *status*."""
        source, sink = self.source, self._sink

        def look(book: Book) -> Object:
            return status_object(
                book, now_ms=source.clock_ms(), recording=source.recording(), sqlite_version=source.sqlite_version,
                sink=sink.latest() if sink else None, recent=recent,
            )  # fmt: skip

        return await self.shelf.ask(look)

    async def buckets(self, window: Window, step: int, venue: str | None = None) -> bytes:
        """The steps of a window, with coverage, gaps, and the largest of each where they are whole hours."""
        now, traits = self.source.clock_ms(), self.source.traits

        def look(book: Book) -> bytes:
            alive = _alive(book, window, traits, venue)
            steps = series(
                book, window, step, now, alive, traits=traits, venues=_among(venue),
                largest=step >= HOUR and window.end - window.start <= 8 * DAY,
            )  # fmt: skip
            gaps = _gaps(book, window, now, alive, traits)
            return encode({
                "from": iso_ms(window.start), "to": iso_ms(window.end), "step_seconds": step // 1000,
                "items": [_step(one) for one in steps], "gaps": gaps,
            })  # fmt: skip

        return await self._kept(("buckets", window, step, venue), look)

    async def symbols(self, length: int, venue: str | None = None) -> bytes:
        """Each symbol of the time up to now, with where it stands among its own last 30 days."""
        history = self._history

        def look(book: Book) -> bytes:
            now = self.source.clock_ms()
            window = Window(now - length, now)
            sides: dict[Key, dict[str, list[int]]] = {}
            unknown: dict[Key, int] = {}
            for bucket in book.sums(window):
                if venue not in (None, bucket.venue):
                    continue
                key = (bucket.venue, bucket.symbol)
                entry = sides.setdefault(key, {"long": [0, 0], "short": [0, 0]})[bucket.side]
                entry[0] += bucket.count
                entry[1] += bucket.total
                unknown[key] = unknown.get(key, 0) + bucket.unknown_count
            totals = {key: own["long"][1] + own["short"][1] for key, own in sides.items()}
            whole = {
                name
                for name, spans in _alive(book, window, self.source.traits, venue).items()
                if proof.coverage(spans, window, now, self._canary_ms(name)) >= ENOUGH
            }
            judged = {key: total for key, total in totals.items() if key[0] in whole}
            normals = history.normals(judged, length // HOUR) if history else {}
            items = [_symbol(key, sides[key], unknown[key], normals.get(key)) for key in _ranked(totals)]
            return encode({
                "from": iso_ms(window.start), "to": iso_ms(window.end), "items": items,
            })  # fmt: skip

        return await self._kept(("symbols", length, history and history.end, venue), look, 2.0)

    async def coverage(self, window: Window, key: object, venue: str | None = None) -> bytes:
        """What of a window was proved to be received, by venue, the gaps, and what the venues' figures rest on."""
        now, traits = self.source.clock_ms(), self.source.traits

        def look(book: Book) -> bytes:
            alive = _alive(book, window, traits, venue)
            kinds = {name: Kind(name, *traits.get(name, _USUAL)[2:4]) for name in sorted(alive)}
            venues: list[Object] = [
                {
                    "venue": name,
                    "coverage": proof.coverage(alive[name], window, now, self._canary_ms(name)),
                    "last_tick": iso_ms(max(span.end_ms for span in alive[name])) if alive[name] else None,
                    "canary_seconds": self._canary_ms(name) / 1000,
                    "basis": sentences([kind]),
                }
                for name, kind in kinds.items()
            ]
            return encode({
                "from": iso_ms(window.start), "to": iso_ms(window.end),
                "coverage": min((one["coverage"] for one in venues), default=0.0), "venues": venues,
                "basis": sentences(list(kinds.values())),
                "gaps": _gaps(book, window, now, alive, traits),
            })  # fmt: skip

        return await self._kept(("coverage", key, venue), look)

    async def post(self) -> bytes:
        """The post that goes out next: of the running hour, as it stands."""

        def look(book: Book) -> bytes:
            return encode(self._preview.post(book, self.source.clock_ms()))

        return await self._kept("post", look, 2.0)

    async def picture(self, asked: int | None) -> bytes | str:
        """Its picture, a PNG, drawn when somebody looks and its words are new; or why there is none."""
        if lacking := self._preview.lacking():
            return lacking

        at, data = await self.shelf.ask(lambda book: self._preview.chart(book, asked, self.source.clock_ms()))

        async def make() -> Made[bytes]:
            return Made(await asyncio.to_thread(self._preview.picture, data))

        try:
            return await self.answers.get(("picture", at), make, KEPT_MS / 1000)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the page goes without
            log.warning("the post's picture can't be drawn: %s: %s", type(error).__name__, error)
            return f"no picture: it can't be drawn ({type(error).__name__})"

    async def keep_history(self) -> None:
        """Read each symbol's last 30 days, and again when an hour has ended; small reads with pauses between."""
        while True:
            end = self.source.clock_ms() // HOUR * HOUR
            if self._history is None or self._history.end != end:
                self._history = await self._read_history(History(end))
            await asyncio.sleep(5)

    async def _read_history(self, history: History) -> History:
        for day in history.days():
            history.add(await self.shelf.ask(partial(_by_symbol, day)))
            await asyncio.sleep(0.02)
        window = Window(history.start, history.end)
        history.prove(await self.shelf.ask(lambda book: _spans(book, window, book.venues())))
        return history

    async def _kept(
        self, key: object, look: Callable[[Book], T], seconds: float = KEPT_S, dear: float = DEAR
    ) -> T:
        """What the ledger says, kept for so many seconds, and for `dear` times the processor time that it took."""

        async def make() -> Made[T]:
            answer, took_s = await self.shelf.timed(look)
            return Made(answer, dear * took_s)

        return await self.answers.get(key, make, seconds)

    def _canary_ms(self, venue: str) -> int:
        return self.source.traits.get(venue, _USUAL).canary_ms


def _by_symbol(window: Window, book: Book) -> list[Bucket]:
    return book.totals(window, "hour_symbol")


def _among(venue: str | None) -> list[str] | None:
    return None if venue is None else [venue]


def _alive(
    book: Book, window: Window, traits: Mapping[str, Traits], venue: str | None = None
) -> dict[str, list[Alive]]:
    """The spans of the venues that were recorded in a window, or of one of them."""
    names = recorded(book, window) or to_record(traits)
    return _spans(book, window, [name for name in names if venue in (None, name)])


def _spans(book: Book, window: Window, venues: Iterable[str]) -> dict[str, list[Alive]]:
    spans: dict[str, list[Alive]] = {venue: [] for venue in venues}
    for span in book.alive(Window(window.start - proof.CLOSED_MS, window.end + proof.CLOSED_MS)):
        if span.venue in spans:
            spans[span.venue].append(span)
    return spans


def _gaps(
    book: Book, window: Window, now: int, alive: Mapping[str, list[Alive]], traits: Mapping[str, Traits]
) -> list[Object]:
    if window.start >= now:
        return []
    connections = book.connections(window)
    found = []
    for venue, spans in alive.items():
        before = book.alive_before(venue, window.start + 1)
        canary_ms = traits.get(venue, _USUAL).canary_ms
        found += proof.gaps(venue, spans, before, connections, window, now, canary_ms)
    return [gap_object(gap) for gap in sorted(found)]


def _step(one: Step) -> Object:
    return {
        "from": iso_ms(one.window.start), "to": iso_ms(one.window.end),
        "long": tally_object(one.long), "short": tally_object(one.short),
        "unknown_count": one.unknown_count, "coverage": one.coverage,
        "largest": None if one.largest is None else largest_object(one.largest),
    }  # fmt: skip


def _ranked(totals: Mapping[Key, int]) -> list[Key]:
    return sorted(totals, key=lambda key: (-totals[key], key))


def _symbol(key: Key, sides: Mapping[str, Sequence[int]], unknown: int, normal: Normal | None) -> Object:
    long, short = sides["long"], sides["short"]
    return {
        "venue": key[0], "symbol": key[1], "count": long[0] + short[0], "unknown_count": unknown,
        "total_usd": money(long[1] + short[1]),
        "long": {"count": long[0], "total_usd": money(long[1])},
        "short": {"count": short[0], "total_usd": money(short[1])},
        "normal": None if normal is None else {"percentile": normal.percentile, "stretches": normal.stretches},
    }  # fmt: skip


def event_object(event: Object, seq: int) -> bytes:
    """One event of the stream: its place as the id, the object *liquidation* as data."""
    return b"id: %d\nevent: liquidation\ndata: %s\n\n" % (seq, encode(event))


__all__ = ["Numbers", "Source", "event_object", "now_ms"]
