"""Coverage of a venue that takes several connections to hear whole (a market each, or a share of its symbols). Pure.

Such a venue is received only while each part is: what is proved is the intersection of the parts' unions. In the
ledger it is a connection of its own, `all parts together`, with the spans; it is closed with the cause of the part
that broke, and the next one begins when all are proved again. The parts' own connections stand there without spans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rekt.model import Connection, Span

TOGETHER = "all parts together"
KEPT_MS = 600_000  # spans that ended longer ago than this change nothing any more

Stretch = tuple[int, int]


class Joint:
    """Takes each part's spans as they grow; gives the connection rows and spans of the whole."""

    def __init__(self, fact: Callable[[int], Connection]) -> None:
        self._fact = fact  # opened at this ms → a new row
        self._parts: dict[object, dict[tuple[str, int], Span]] = {}
        self._row: Connection | None = None
        self._span: Span | None = None

    def need(self, part: object) -> None:
        """This part belongs to the whole from the start."""
        self._parts.setdefault(part, {})

    def put(self, part: object, spans: Sequence[Span]) -> None:
        """What a part has proved by now. One that was not needed before is, from its first proof on."""
        if not spans:
            return
        known = self._parts.get(part)
        if known is None:  # the time before is none of its business
            known = self._parts[part] = {("", 0): Span("", 0, spans[0].start_ms)}
        known.update(((span.connection, span.start_ms), span) for span in spans)
        newest = max((span.end_ms for span in known.values()), default=0)
        for key in [key for key, span in known.items() if span.end_ms < newest - KEPT_MS]:
            del known[key]

    def changes(self, causes: Mapping[str, str | None], now_us: int) -> tuple[list[Connection], list[Span]]:
        """The rows and spans that are new or have grown. `causes`: why each connection that has ended did."""
        rows: list[Connection] = []
        spans: list[Span] = []
        for start, end in self._both():
            if self._span is not None and end <= self._span.end_ms:
                continue
            if self._row is None or self._span is None or start > self._span.end_ms:
                rows += self._closed(causes)
                self._row = self._fact(start)
                self._span = Span(self._row.id, start, end)
            else:
                self._span = self._span._replace(end_ms=end)
            self._row = self._row._replace(last_canary_us=now_us, last_frame_us=now_us)
            rows.append(self._row)
            spans.append(self._span)
        return rows, spans

    def close(self, now_us: int, cause: str) -> list[Connection]:
        """The recorder ends."""
        if self._row is None:
            return []
        row, self._row = self._row._replace(closed_us=now_us, cause=cause), None
        return [row]

    def _closed(self, causes: Mapping[str, str | None]) -> list[Connection]:
        """The row that ends here, with the cause of the part that had proved no more when it ended."""
        if self._row is None or self._span is None:
            return []
        end = self._span.end_ms
        broke = [
            span.connection for spans in self._parts.values() for span in spans.values() if span.end_ms == end
        ]
        cause = next((causes[name] for name in broke if causes.get(name)), None) or "stall"
        return [self._row._replace(closed_us=end * 1000, cause=cause)]

    def _both(self) -> list[Stretch]:
        """What all parts have proved, earliest first."""
        found: list[Stretch] | None = None
        for spans in self._parts.values():
            merged = _union([(span.start_ms, span.end_ms) for span in spans.values()])
            found = merged if found is None else _intersection(found, merged)
        return found or []


def _union(stretches: Iterable[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _intersection(one: Sequence[Stretch], other: Sequence[Stretch]) -> list[Stretch]:
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start <= end:
            found.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found
