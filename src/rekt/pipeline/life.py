"""The life of one connection as facts: when it opened, what proved it alive, how it ended. Pure; given the times."""

from __future__ import annotations

from rekt.model import Connection, Span


class Life:
    """Collects what the ledger keeps of one connection.

    Two canary ticks join into one span when their venue times are no farther apart than the canary time-out; a tick
    outside of that, in either direction (a venue's clock that stepped), begins a span of its own.
    """

    def __init__(self, connection: Connection, timeout_ms: int) -> None:
        self.connection = connection
        self._timeout_ms = timeout_ms
        self._span: Span | None = None
        self._ended_spans: list[Span] = []
        self._first_frame_us = self._last_frame_us = self._last_canary_us = 0
        self._dirty = True

    @property
    def last_canary_us(self) -> int:
        """Receive time of the latest canary; 0 = none yet."""
        return self._last_canary_us

    def frames(self, first_us: int, last_us: int) -> None:
        """Frames arrived between these receive times."""
        if not self._first_frame_us:
            self._first_frame_us = first_us
        self._last_frame_us = last_us
        self._dirty = True

    def tick(self, received_us: int, venue_ms: int | None) -> None:
        """A canary tick; one without a venue time counts at its receive time."""
        at = venue_ms if venue_ms is not None else received_us // 1000
        span, self._last_canary_us, self._dirty = self._span, received_us, True
        if span is None:
            self._span = Span(self.connection.id, at, at)
        elif abs(at - span.end_ms) > self._timeout_ms:
            self._ended_spans.append(span)
            self._span = Span(self.connection.id, at, at)
        elif at > span.end_ms:
            self._span = span._replace(end_ms=at)

    def close(self, now_us: int, cause: str) -> None:
        """It ended; only the first cause counts."""
        if self.connection.closed_us is None:
            self.connection = self.connection._replace(closed_us=now_us, cause=cause)
            self._dirty = True

    def changes(self) -> tuple[Connection, list[Span]] | None:
        """What changed since the last call, for the ledger; None when nothing did."""
        if not self._dirty:
            return None
        self._dirty = False
        self.connection = self.connection._replace(
            first_frame_us=self._first_frame_us or None,
            last_frame_us=self._last_frame_us or None,
            last_canary_us=self._last_canary_us or None,
        )
        spans, self._ended_spans = self._ended_spans, []
        if self._span is not None:
            spans.append(self._span)
        return self.connection, spans
