"""Logging to standard error, and a writer that never waits for whoever reads.

Levels, for the loggers of this package (`rekt.*`):

- DEBUG (`--verbose`): each step on the wire and in the ledger (handshakes, subscriptions, commits, checkpoints).
- INFO: what the operator did or would want to know once: connected, renewed, stopped, settled, installed.
- WARNING: something is not as it should be and is being dealt with: feed dead, trying again, frames in quarantine.
- ERROR: something was given up and needs a person.

Other libraries are heard from WARNING on, whatever `--verbose` says: their debug output holds headers and keys.
A message is complete in itself; values that a machine may want go along as `extra={...}`. They are keys of the
object with `--log-format json`, and are shown after the message with `--verbose`.

`Output` writes lines to a file descriptor from a thread of its own. A pipe that is full or closed costs lines, which
are counted and told of when there is room again; it never costs the caller time. Nobody writes anything from outside
to a terminal but through `clean`.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

Form = Literal["text", "json"]

_LONGEST = 4_000  # characters of a message
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def clean(text: str) -> str:
    r"""Text from outside made harmless for a terminal and for one line: what can't be seen is spelt out.

    Escape sequences, line ends, bidirectional overrides and the like become `\x1b`, `\n`, `\u202e`; letters of every
    script stay, and so does the joiner inside emoji.

    >>> print(clean("币安\x1b[2J\u202e"))
    币安\x1b[2J\u202e
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\u200d" else ascii(character)[1:-1]
        for character in text
    )


def json_line(value: object) -> str:
    """A value as one line of JSON: letters as they are, everything that can't be seen escaped."""
    text = _encode(value)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in text
    )


def _left_out(count: int) -> str:
    return f"… {count:,} line{'s' if count != 1 else ''} left out: nobody was reading"


class Output:
    """Lines to a file descriptor, written by a thread of its own; `put` never waits."""

    def __init__(self, fd: int, limit: int = 1_000, left_out: Callable[[int], str] = _left_out) -> None:
        """At most `limit` lines wait; `left_out` words the line that tells how many had no place."""
        self.fd = fd
        self.dropped = 0  # lines left out so far
        self._limit = limit
        self._left_out = left_out
        self._told = 0
        self._lines: deque[str] = deque()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False  # no more lines are taken
        self._gone = False  # the reader hung up

    def put(self, text: str, end: str = "\n") -> bool:
        """Have a line written; False (and counted) when there is no room or nobody to read it."""
        with self._change:
            if self._closed or self._gone or len(self._lines) >= self._limit:
                self.dropped += 1
                return False
            self._lines.append(text + end)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name=f"output-{self.fd}", daemon=True)
                self._thread.start()
            self._change.notify()
        return True

    def close(self, timeout: float = 1.0) -> bool:
        """Take no more lines and wait at most so long for the rest; False when some could not be written."""
        with self._change:
            self._closed = True
            self._change.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return (thread is None or not thread.is_alive()) and not self._gone

    def _write_all(self) -> None:
        while True:
            with self._change:
                while not self._lines and not self._closed and self.dropped == self._told:
                    self._change.wait()
                waiting = [*self._lines]
                self._lines.clear()
                missed, self._told = self.dropped - self._told, self.dropped
                if not waiting and not missed:
                    return  # closed, and all is written
            if missed:  # they came after those that were waiting: the queue was full
                waiting.append(self._left_out(missed) + "\n")
            try:
                self._write("".join(waiting).encode("utf-8", "backslashreplace"))
            except OSError:  # the reader hung up, or the descriptor is closed
                with self._change:
                    self._gone = True
                    self.dropped += len(waiting) - bool(missed)
                    self._lines.clear()
                return

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.fd, view) :]
            except BlockingIOError:  # a descriptor that somebody made non-blocking
                select.select([], [self.fd], [], 1.0)


class _Lines(logging.Handler):
    """Sends records to an Output; other libraries only from WARNING on."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def filter(self, record: logging.LogRecord) -> bool:
        own = record.name == "rekt" or record.name.startswith("rekt.")
        return (own or record.levelno >= logging.WARNING) and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._output.put(self.format(record))
        except Exception:  # noqa: BLE001 - the standard library's own way: a bad record must not stop the program
            self.handleError(record)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


class TextForm(logging.Formatter):
    """`14:23:07Z message`, the level where it is a warning or worse; with the date off a terminal (`dated`)."""

    def __init__(self, *, dated: bool = False, detailed: bool = False) -> None:
        super().__init__()
        self._time = "%Y-%m-%dT%H:%M:%SZ" if dated else "%H:%M:%SZ"
        self._detailed = detailed

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the lines of a traceback where there is one."""
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        line = f"{_moment(record).strftime(self._time)} {level}{clean(_message(record))}"
        if self._detailed:
            extra = "".join(f" {key}={clean(str(value))}" for key, value in _extra(record).items())
            line += f"  [{record.name.removeprefix('rekt.')}{extra}]"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line = "\n".join([line, *(clean(part) for part in trace.splitlines())])
        return line


class JsonForm(logging.Formatter):
    """One object a line: time, level, logger, message, the extra keys, and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The object; `extra` never hides one of the fixed keys."""
        extra = _extra(record)
        if record.exc_info:
            extra["exception"] = self.formatException(record.exc_info)
        fixed = {
            "time": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        return json_line({**fixed, **extra, **fixed})


def json_left_out(count: int) -> str:
    """The line of a JSON log that tells how many lines had no place."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fixed = {"time": now, "level": "warning", "logger": "rekt.log", "message": _left_out(count)}
    return json_line({**fixed, "left_out": count})


def configure(output: Output | None = None, *, verbose: bool = False, form: Form = "text") -> Output:
    """Send the log to `output` (None: a new one on standard error), and say what is logged; the program's first act.

    Returns the Output: `close` it last. Can be called again; the last call holds.
    """
    if output is None:
        output = Output(2, left_out=json_left_out if form == "json" else _left_out)
    handler = _Lines(output)
    terminal = sys.stderr is not None and sys.stderr.isatty()
    handler.setFormatter(JsonForm() if form == "json" else TextForm(dated=not terminal, detailed=verbose))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Lines)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("rekt").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.captureWarnings(True)
    return output
