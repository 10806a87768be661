"""What a person sees while events are recorded: each liquidation as it comes, and a status line.

Everything goes through `log.Output`, so an output that nobody reads costs lines, never time.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rekt import log
from rekt.cli._common import length, usd

if TYPE_CHECKING:
    from rekt.model import Liquidation
    from rekt.pipeline.recorder import Recorder
    from rekt.service import Service
    from rekt.store import Appended

AMBER, BLUE, RED, GREEN, DIM, END = (
    "\x1b[38;2;230;159;0m",
    "\x1b[38;2;86;180;233m",
    "\x1b[38;2;213;94;0m",
    "\x1b[38;2;0;158;115m",
    "\x1b[2m",
    "\x1b[0m",
)
PLAIN_STATUS_S = 30.0  # off a terminal the status line is a line like others, so often


class Live:
    """Shows a running service on standard output. `mark` stands before everything (the demo says what it is).

    `several`: whether each line names its venue.
    """

    def __init__(self, *, terminal: bool, colour: bool, mark: str = "", several: bool = False) -> None:
        self.output = log.Output(sys.stdout.fileno())
        self._several = several
        self._terminal = terminal
        self._colour = colour
        self._mark = mark
        self._status = ""
        self._next_plain = 0.0

    def durable(self, appended: Appended) -> None:
        """Show what has just become durable."""
        for event in appended.new:
            self.line(self.event(event))

    def line(self, text: str) -> None:
        """One line, above the status line where there is one."""
        if self._terminal:
            self.output.put(f"\r\x1b[2K{text}\n{self._status}", end="")
        else:
            self.output.put(text)

    @property
    def status_due(self) -> bool:
        """Whether a status line would be shown now: always on a terminal, now and then elsewhere."""
        return self._terminal or time.monotonic() >= self._next_plain

    def status(self, text: str, colour: str = "") -> None:
        """Write the status line anew."""
        now = time.monotonic()
        if self._terminal:
            columns = _columns()
            shown = self._paint(text[: columns - 1], colour)
            if shown != self._status:
                self._status = shown
                self.output.put(f"\r\x1b[2K{shown}", end="")
        elif now >= self._next_plain:
            self._next_plain = now + PLAIN_STATUS_S
            self.output.put(text)

    def close(self) -> None:
        """Take the status line away and let the rest be written, if somebody reads."""
        if self._terminal:
            self._status = ""
            self.output.put("\r\x1b[2K", end="")
        self.output.close()

    def event(self, event: Liquidation) -> str:
        """One liquidation as a line: time, venue among several, symbol, the position's side, dollars, price."""
        clock = time.strftime("%H:%M:%S", time.gmtime(event.trade_time // 1000))
        worth = usd(event.notional) if event.notional is not None else "unknown"
        side = self._paint(f"{event.side:<5}", AMBER if event.side == "long" else BLUE)
        symbol = log.clean(event.symbol)
        symbol += " " * max(0, 18 - _width(symbol))
        counted = "" if event.counts else f"  ({log.clean(event.status or '')}, not counted)"
        rest = amount(event.filled_quantity, event.average_price or event.price)
        venue = f"{log.clean(event.feed.venue):<8} " if self._several else ""
        return f"{self._mark}{clock}  {venue}{symbol} {side} {worth:>10}  {self._paint(rest, DIM)}{counted}"

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{END}" if self._colour and colour else text


def describe(service: Service, now_us: int) -> tuple[str, str]:
    """The status line and its colour: is the feed alive, is the market quiet, does the ledger keep up.

    Of several feeds those in trouble come first, and the others by name alone.
    """
    progress = service.progress
    count = progress.events if progress else 0
    events = f"{count:,} event{'' if count == 1 else 's'}" if progress else "starting"
    states = [(recorder.venue.name, *_state(recorder)) for recorder in service.recorders]
    colour = next((one for one in (RED, AMBER) if any(one == found for _, _, found in states)), GREEN)
    parts = [f"{name} {words}" for name, words, found in states if found != GREEN]
    living = [
        recorder for recorder, state in zip(service.recorders, states, strict=True) if state[2] == GREEN
    ]
    if len(states) == 1 and living:
        links = [link for link in living[0].links if link.proved.is_set() and not link.ended.is_set()]
        canary = max(link.life.last_canary_us for link in links)
        oldest = min(link.life.connection.opened_us for link in links)
        parts.append(
            f"{living[0].venue.name} ● live · canary {_ago(now_us - canary)}"
            f" · connected {length((now_us - oldest) // 1000)}"
        )
    elif living:
        parts.append(f"{len(living)} of {len(states)} ● live: {', '.join(one.venue.name for one in living)}")
    if living:
        last = max(recorder.last_event_us for recorder in service.recorders)
        parts.append(f"last liquidation {_ago(now_us - last)}" if last else "quiet market, none yet")
    if progress and progress.trouble:
        parts.append(f"LEDGER: {progress.trouble}")
        colour = RED
    return log.clean(" · ".join([events, *parts])), colour


def _state(recorder: Recorder) -> tuple[str, str]:
    """What is wrong with a venue's feed, and its colour; green: nothing."""
    links = [link for link in recorder.links if not link.ended.is_set()]
    alive = {link.part for link in links if link.proved.is_set()}
    if alive and alive >= set(recorder.parts):
        return "", GREEN
    if alive:
        return f"◐ {len(alive)} of {len(recorder.parts)} parts live", AMBER
    if links:
        return "○ connected, waiting for the first canary", AMBER
    return f"✗ not connected: {recorder.reach_trouble or 'connecting'}", RED


def amount(quantity: str | None, price: str | None) -> str:
    """How much at which price, where they are known.

    >>> amount("0.5", "92000"), amount("0.5", None), amount(None, None)
    ('0.5 at 92000', '0.5', '')
    """
    return " at ".join(filter(None, (quantity, price)))


def _ago(us: int) -> str:
    seconds = max(us, 0) / 1e6
    return f"{seconds:.1f} s ago" if seconds < 10 else f"{length(round(seconds * 1000))} ago"


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def _width(text: str) -> int:
    """Columns a text takes: East Asian characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
