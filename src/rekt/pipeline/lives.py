"""Ships what coverage and quality are made from: connections, spans, deliveries, revisions; those that changed."""

from __future__ import annotations

from rekt.model import Connection, Delivery, Revision, Span, Window
from rekt.sink import Sink, Source

PAGE = 500
LATE_MS = 4 * 3_600_000


class Lives:
    """Remembers what a sink was given of the connections that are still open, and gives it what is new."""

    def __init__(self, source: Source, sink: Sink) -> None:
        self._source, self._sink = source, sink
        self._row = 0
        self._open: dict[str, Connection] = {}
        self._spans: dict[tuple[str, int], int] = {}  # of open connections: the end given last
        self._since = 0  # deliveries of earlier hours don't change any more
        self._deliveries: dict[tuple[str, int], Delivery] = {}
        self._revisions: set[tuple[str, Revision]] = set()

    def restart(self) -> None:
        """Give everything again."""
        self._row = self._since = 0
        self._deliveries.clear()
        self._revisions.clear()
        self._open.clear()
        self._spans.clear()

    def ship(self) -> None:
        """Give what is new or changed; raises StoreError, then call it again."""
        while True:
            found, spans = self._source.new_lives(self._row, list(self._open))
            connections = [one for _, one in found if self._open.get(one.id) != one]
            venues = {one.id: one.venue for _, one in found}
            fresh = [span for span in spans if self._spans.get(span[:2]) != span.end_ms]
            self._sink.send_lives(connections, [(venues[span.connection], span) for span in fresh])
            before = self._row
            self._note([one for _, one in found], fresh)
            self._row = max([before, *(row for row, _ in found)])
            if len([row for row, _ in found if row > before]) < PAGE:
                break
        self._ship_quality()

    def _ship_quality(self) -> None:
        deliveries = [
            (venue, one)
            for venue, one in self._source.deliveries(Window(self._since, 1 << 60))
            if self._deliveries.get(one[:2]) != one
        ]
        revisions = [found for found in self._source.revisions_by_run() if found not in self._revisions]
        self._sink.send_quality(deliveries, revisions)
        self._deliveries.update((one[:2], one) for _, one in deliveries)
        self._revisions.update(revisions)
        if self._deliveries:
            self._since = max(hour for _, hour in self._deliveries) - LATE_MS
            self._deliveries = {key: one for key, one in self._deliveries.items() if key[1] >= self._since}

    def _note(self, connections: list[Connection], spans: list[Span]) -> None:
        for span in spans:
            self._spans[span[:2]] = span.end_ms
        for one in connections:
            if one.closed_us is None:
                self._open[one.id] = one
            else:
                self._open.pop(one.id, None)
        self._spans = {key: end for key, end in self._spans.items() if key[0] in self._open}
