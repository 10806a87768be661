"""What `rekt post` keeps an eye on: the sizes that are large for a symbol, and the troubles of feed, sink and venues."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from rekt import app, shipping
from rekt.cli import _alerts, _common
from rekt.errors import LedgerError
from rekt.fields import DAY
from rekt.model import Window
from rekt.posts.alerts import Lag, of_feed, of_sink, of_suspicions
from rekt.posts.large import Rules
from rekt.stats.percentile import percentiles

if TYPE_CHECKING:
    from collections.abc import Collection

    from rekt.config import Settings
    from rekt.stores.sqlite import Reader

log = logging.getLogger("rekt.watch")

TROUBLE_S = 15.0  # between two looks for trouble, and at least three in the shortest of the times configured
HISTORY_DAYS = 30
AGAIN_MS = 600_000  # before the sizes are looked up again after the ledger could not be read


def large_rules(settings: Settings) -> Rules:
    """What [POST] calls large."""
    post = settings.section("POST")
    return Rules(
        round(post.number("big_usd") * 1e6),
        post.number("big_percentile"),
        round(post.number("cascade_usd") * 1e6),
        round(post.number("cascade_minutes") * 60_000),
        round(post.number("cooldown_minutes") * 60_000),
    )


class Sizes:
    """The percentile of each symbol's last 30 days: looked up once a day (UTC), in a thread, for all of them at once."""

    def __init__(self, settings: Settings, rules: Rules) -> None:
        self._settings, self._rules = settings, rules
        self._limits: dict[str, int] = {}
        self._day, self._not_before = -1, 0
        self._thread: threading.Thread | None = None

    def limit(self, symbol: str) -> int | None:
        """From which size on a liquidation of this symbol is large; None while too little is known."""
        return self._limits.get(symbol)

    def look(self, now_ms: int) -> None:
        """Begin to look them up where that is due."""
        at_work = self._thread is not None and self._thread.is_alive()
        if (
            self._rules.percentile
            and now_ms // DAY != self._day
            and now_ms >= self._not_before
            and not at_work
        ):
            self._not_before = now_ms + AGAIN_MS
            self._thread = threading.Thread(target=self._read, args=(now_ms // DAY,), daemon=True)
            self._thread.start()

    def _read(self, day: int) -> None:
        began = time.monotonic()
        try:
            with app.reader(self._settings) as reader:
                self._limits = limits(reader, day, self._rules)
        except LedgerError as error:
            log.warning("the sizes of the last %d days can't be read: %s", HISTORY_DAYS, error)
        else:
            self._day = day
            log.debug("sizes of %d symbols in %.1f s", len(self._limits), time.monotonic() - began)


def limits(reader: Reader, day: int, rules: Rules) -> dict[str, int]:
    """The size by symbol that the percentile of the 30 days before a day is, micro-dollars."""
    window = Window((day - HISTORY_DAYS) * DAY, day * DAY)
    counts: Counter[str] = Counter()
    for bucket in reader.sums(window):
        counts[bucket.symbol] += bucket.count - bucket.unknown_count
    return percentiles(counts, reader.sizes(window, rules.big), rules.percentile, rules.big)


class Troubles:
    """Tells the operator of feeds that are dead, a sink that is behind and venues that are suspicious.

    Each once, and once when it is well again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        section = settings.section("ALERTS")
        self._feed_s, self._sink_s = section.number("feed_seconds"), section.number("sink_seconds")
        self._every_s = min(TROUBLE_S, self._feed_s / 3, self._sink_s / 3)
        self._began = time.monotonic()
        self._next = 0.0
        self._lag = Lag(self._sink_s)

    def look(self, reader: Reader) -> None:
        """Look, where it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every_s
        with app.posts(self._settings) as box:
            known = box.alerts()
        self._update(known, "feed", self._feeds(reader, known))
        self._update(known, "sink", self._sink(known, now))
        suspicious = of_suspicions(reader.suspicions(), app.enabled(self._settings))
        self._update(known, "suspicion", suspicious)

    def _update(self, known: Collection[str], watch: str, found: dict[str, str]) -> None:
        if found or any(name.startswith(f"{watch} ") for name in known):
            with app.outbox(self._settings) as box:
                _alerts.update(self._settings, box, watch, found)

    def _feeds(self, reader: Reader, known: Collection[str]) -> dict[str, str]:
        """Every feed's last sign of life. At the start a recorder is given its time to connect."""
        ticks: dict[str, int | None] = {}
        causes: dict[str, str] = {}
        ended = [one for one in reader.connections(None) if one.cause]
        for venue in app.enabled(self._settings):
            last = reader.alive_before(venue, 1 << 60)
            ticks[venue] = last.end_ms if last else None
            lives = [one for one in ended if one.venue == venue]
            causes[venue] = (lives[-1].cause or "") if lives else ""
        found = of_feed(
            ticks,
            causes,
            recording=app.recording(self._settings.ledger_path),
            now_ms=_common.now_ms(),
            limit_s=self._feed_s,
        )
        starting = time.monotonic() < self._began + self._feed_s
        return {name: text for name, text in found.items() if name in known or not starting}

    def _sink(self, known: Collection[str], now_s: float) -> dict[str, str]:
        """How far QuestDB is behind, where it is shipped to."""
        if not shipping.wanted(self._settings):
            return {}
        state, last, waiting = shipping.reached(self._settings)
        behind = self._lag.behind(state.seq, last, now_s, told="sink QuestDB" in known)
        return of_sink("QuestDB", state, behind=behind, waiting=waiting, limit_s=self._sink_s)
