"""Ships what coverage is made from: connections and their spans, those that changed."""

from __future__ import annotations

from rekt.model import Connection, Span
from rekt.sink import Sink, Source

PAGE = 500


class Lives:
    """Remembers what a sink was given of the connections that are still open, and gives it what is new."""

    def __init__(self, source: Source, sink: Sink) -> None:
        self._source, self._sink = source, sink
        self._row = 0
        self._open: dict[str, Connection] = {}
        self._spans: dict[tuple[str, int], int] = {}  # of open connections: the end given last

    def restart(self) -> None:
        """Give everything again."""
        self._row = 0
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
                return

    def _note(self, connections: list[Connection], spans: list[Span]) -> None:
        for span in spans:
            self._spans[span[:2]] = span.end_ms
        for one in connections:
            if one.closed_us is None:
                self._open[one.id] = one
            else:
                self._open.pop(one.id, None)
        self._spans = {key: end for key, end in self._spans.items() if key[0] in self._open}
