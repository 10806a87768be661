from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt import log


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe, the reading one first."""
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def fill(writing: int) -> None:
    """Write until nothing more fits."""
    os.set_blocking(writing, False)
    try:
        while os.write(writing, b"." * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(writing, True)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging as it was before the test."""
    root, own = logging.getLogger(), logging.getLogger("rekt")
    kept = root.handlers[:], root.level, own.level
    yield
    root.handlers[:], root.level, own.level = kept
    logging.captureWarnings(False)


def drain(reading: int) -> str:
    """Everything that waits in a pipe."""
    os.set_blocking(reading, False)
    parts = []
    try:
        while part := os.read(reading, 1 << 20):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts).decode()


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    """What is put is written, in order, before close returns."""
    output = log.Output(pipe[1])
    for number in range(500):
        output.put(f"line {number}")
    assert output.close(30)
    assert drain(pipe[0]).splitlines() == [f"line {number}" for number in range(500)]
    assert output.dropped == 0


def test_a_full_pipe_costs_lines_and_no_time(pipe: tuple[int, int]) -> None:
    """Nobody reads: put returns, counts what it leaves out, and close gives up."""
    fill(pipe[1])
    output = log.Output(pipe[1], limit=100)
    for _ in range(20_000):
        output.put("x" * 100)  # one that waited would wait for ever
    assert output.dropped > 10_000
    assert not output.close(0.2)


def test_it_says_what_was_left_out(pipe: tuple[int, int]) -> None:
    """Once somebody reads again, one line tells how many were left out, and nothing is lost uncounted."""
    output = log.Output(pipe[1], limit=50)
    for number in range(5_000):
        output.put(f"{number} " + "x" * 100)
    text = ""
    deadline = time.monotonic() + 30
    while "left out" not in text and time.monotonic() < deadline:
        text += drain(pipe[0])
        time.sleep(0.01)
    output.put("end")
    output.close(30)
    lines = (text + drain(pipe[0])).splitlines()
    told = [int(line.split()[1].replace(",", "")) for line in lines if "left out" in line]
    assert sum(told) == output.dropped > 0
    assert len(lines) - len(told) == 5_001 - output.dropped
    assert lines[-1] == "end"


def test_a_closed_pipe_is_no_error(pipe: tuple[int, int]) -> None:
    """The reader hung up: lines are counted, nobody is bothered."""
    os.close(pipe[0])
    output = log.Output(pipe[1])
    output.put("one")
    output.close(30)
    assert not output.put("two")
    assert output.dropped == 2


def test_a_descriptor_that_does_not_block(pipe: tuple[int, int]) -> None:
    """A descriptor that somebody made non-blocking is waited for, not spun on."""
    fcntl.fcntl(pipe[1], fcntl.F_SETFL, os.O_NONBLOCK)
    output = log.Output(pipe[1])
    output.put("x" * 300_000)
    text = ""
    deadline = time.monotonic() + 30
    while len(text) < 300_001 and time.monotonic() < deadline:
        text += drain(pipe[0])
        time.sleep(0.001)
    assert len(text) == 300_001
    assert output.close(30)


@pytest.mark.parametrize("closed", [False, True])
def test_the_process_ends_though_nobody_reads(closed: bool) -> None:
    """A program whose standard error is stuck or gone ends in good time and well."""
    code = (
        "import logging; from rekt import log; output = log.configure()\n"
        "for n in range(20000): logging.getLogger('rekt.x').info('line %s %s', n, 'x' * 100)\n"
        "output.close(0.3)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    assert process.stderr is not None
    if closed:
        process.stderr.close()
    try:
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stderr.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("币安人生USDT", "币安人生USDT"),
        ("\x1b[2Jx", r"\x1b[2Jx"),
        ("a\nb\r\t\x00\x7f\x9b", r"a\nb\r\t\x00\x7f\x9b"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    """What a terminal would act on is spelt out; letters of every script and emoji stay."""
    assert log.clean(text) == shown


@given(st.text())
def test_clean_is_one_printable_line(text: str) -> None:
    """Whatever comes from outside, nothing that can't be seen reaches a terminal."""
    assert log.clean(text).replace("\u200d", "").isprintable()


@given(st.dictionaries(st.text(), st.text()))
def test_json_line_is_exact_and_harmless(value: dict[str, str]) -> None:
    """A JSON line gives back what went in, and holds nothing that can't be seen."""
    line = log.json_line(value)
    assert json.loads(line) == value
    assert line.isprintable()


def logged(pipe: tuple[int, int], form: log.Form, *, verbose: bool = False) -> list[str]:
    """The lines of a little of everything: ours and another library's."""
    output = log.configure(log.Output(pipe[1]), verbose=verbose, form=form)
    logging.getLogger("rekt.wire").debug("step")
    logging.getLogger("rekt.wire").info("connected to %s", "a\nb", extra={"venue": "binance"})
    try:
        int("oh\x1b")
    except ValueError:
        logging.getLogger("rekt.wire").exception("failed")
    other = logging.getLogger("httpx")
    other.setLevel(logging.DEBUG)
    other.debug("Authorization: secret")
    other.info("HTTP Request: secret")
    other.warning("careful")
    output.close(30)
    return drain(pipe[0]).splitlines()


def test_text(pipe: tuple[int, int]) -> None:
    """Lines for people: a time, the message, the level where it is a warning or worse."""
    lines = logged(pipe, "text")
    assert lines[0].endswith(r"Z connected to a\nb")
    assert "error: failed" in lines[1]
    assert lines[2].startswith("Traceback")
    assert lines[-1].endswith("warning: careful")
    assert "secret" not in "".join(lines)
    assert "\x1b" not in "".join(lines)


def test_verbose_is_for_this_package_alone(pipe: tuple[int, int]) -> None:
    """--verbose tells our steps and extra values, never another library's debug output."""
    lines = logged(pipe, "text", verbose=True)
    assert lines[0].endswith("step  [wire]")
    assert "[wire venue=binance]" in lines[1]
    assert "secret" not in "".join(lines)


def test_json(pipe: tuple[int, int]) -> None:
    """One object a line: time, level, logger, message and the extra keys."""
    objects = [json.loads(line) for line in logged(pipe, "json")]
    assert {key: objects[0][key] for key in ("level", "logger", "message", "venue")} == {
        "level": "info",
        "logger": "rekt.wire",
        "message": "connected to a\nb",
        "venue": "binance",
    }
    assert "ValueError" in objects[1]["exception"]
    assert objects[2]["message"] == "careful"


def test_configure_again_replaces(pipe: tuple[int, int]) -> None:
    """A second configuration replaces the first, so that no line comes twice."""
    first = log.configure(log.Output(pipe[1]))
    second = log.configure(log.Output(pipe[1]))
    logging.getLogger("rekt.x").info("once")
    first.close(30)
    second.close(30)
    assert drain(pipe[0]).count("once") == 1
