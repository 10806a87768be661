"""`/metrics`: figures in Prometheus' text form."""

from __future__ import annotations

from rekt.dashboard.book import Book
from rekt.dashboard.numbers import Numbers
from rekt.fields import DAY, HOUR
from rekt.model import Window
from rekt.stats.coverage import CLOSED_MS, Traits, coverage
from rekt.stats.summary import to_record


async def metrics(numbers: Numbers, clients: int) -> str:
    """The whole text."""
    source = numbers.source
    now = source.clock_ms()

    def look(book: Book) -> str:
        counters = book.counters()
        lines = _family("rekt_frames_total", "counter", "Frames received, by outcome.")
        for outcome in ("control", "stored", "duplicate", "quarantined"):
            lines.append(f'rekt_frames_total{{outcome="{outcome}"}} {getattr(counters, outcome)}')
        for name, words, value in (
            ("rekt_ledger_rows", "Liquidations in the ledger.", book.rows()),
            ("rekt_ledger_bytes", "Bytes of the ledger on disk.", book.size()),
            ("rekt_recording", "Whether a recorder is at work.", int(source.recording())),
            ("rekt_stream_clients", "Clients of the live stream.", clients),
        ):
            lines += [*_family(name, "gauge", words), f"{name} {value}"]
        last = book.last_trade_time()
        if last is not None:
            name = "rekt_last_trade_timestamp_seconds"
            lines += [
                *_family(name, "gauge", "Trade time of the latest liquidation."),
                f"{name} {last / 1000:.3f}",
            ]
        lines += _family("rekt_coverage_ratio", "gauge", "Proved share of the time up to now.")
        ticks = _family("rekt_canary_age_seconds", "gauge", "Since the last sign of life.")
        for venue in book.venues() or to_record(source.traits):
            spans = [span for span in book.alive(Window(now - DAY, now + CLOSED_MS)) if span.venue == venue]
            canary_ms = source.traits.get(venue, Traits()).canary_ms
            for label, length in (("1h", HOUR), ("24h", DAY)):
                share = coverage(spans, Window(now - length, now), now, canary_ms)
                lines.append(f'rekt_coverage_ratio{{venue="{_label(venue)}",window="{label}"}} {share:.6f}')
            if spans:
                age = max(0.0, (now - max(span.end_ms for span in spans)) / 1000)
                ticks.append(f'rekt_canary_age_seconds{{venue="{_label(venue)}"}} {age:.3f}')
        return "\n".join([*lines, *ticks]) + "\n"

    return await numbers.shelf.ask(look)


def _family(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
