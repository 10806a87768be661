from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rekt import __version__, registry
from tests.cli.book import Result

Rekt = Callable[..., Result]


def process(*args: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """The real command in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "rekt", *args], stdout=stdout, stderr=subprocess.PIPE)


def test_version(rekt: Rekt) -> None:
    """--version prints it and ends well."""
    assert rekt("--version") == (0, f"rekt {__version__}\n", "")


def test_help_lists_every_file(rekt: Rekt) -> None:
    """Each file of the folder is a command with a help, and takes the global options."""
    whole = rekt("--help")
    assert whole.code == 0
    for name in registry.names("rekt.cli"):
        if name != "main":
            assert name.replace("_", "-") in whole.out
            one = rekt(name.replace("_", "-"), "--help")
            assert one.code == 0
            inner = registry.names(f"rekt.cli.{name}")  # a folder is a command of commands
            assert inner or "--config" in one.out
            for part in inner:
                assert part in one.out
                assert "--config" in rekt(name, part, "--help").out


@pytest.mark.parametrize(
    "args", [["sumary"], ["summary", "--hou", "x"], ["summary", "--log-format", "xml"], ["backup"], []]
)
def test_wrong_use(rekt: Rekt, args: list[str]) -> None:
    """What the command line can't mean ends with 2."""
    assert rekt(*args).code == 2


def test_the_nearest_command_is_named(rekt: Rekt) -> None:
    """A misspelt command is answered with the one that was meant."""
    assert "'summary'" in rekt("sumary").err


def test_errors_are_a_line_and_a_hint(rekt: Rekt, path: Path) -> None:
    """No ledger: one sentence with its path, the way out below, no traceback, exit 1."""
    result = rekt("summary")
    assert result.code == 1
    assert result.out == ""
    first, hint = result.err.splitlines()
    assert first.startswith("rekt: ")
    assert str(path) in first
    assert "rekt run" in hint


def test_verbose_shows_the_traceback(rekt: Rekt) -> None:
    """--verbose, before or after the command, adds where it came from."""
    assert "Traceback" in rekt("--verbose", "summary").err
    assert "Traceback" in rekt("summary", "--verbose").err


def test_errors_in_json(rekt: Rekt) -> None:
    """--log-format json makes an object of the error too."""
    result = rekt("summary", "--log-format", "json")
    found = json.loads(result.err)
    assert found["level"] == "error"
    assert "rekt run" in found["hint"]


@pytest.mark.parametrize("before", [True, False])
def test_config_option(rekt: Rekt, tmp_path: Path, before: bool) -> None:
    """--config is taken before and after the command; what is wrong in it ends with 2, with file and line."""
    (tmp_path / "a.ini").write_text("[DATABASE]\nnam = x\n")
    option = ["--config", "a.ini"]
    result = rekt(*option, "status") if before else rekt("status", *option)
    assert result.code == 2
    assert "a.ini:2: " in result.err
    assert "did you mean name?" in result.err


def test_a_reader_that_hangs_up(ledger: Path) -> None:
    """`| head` is no error: exit 0 and not a word."""
    reading, writing = os.pipe()
    os.close(reading)
    running = process("liquidations", "--from", "2026-07-16", "--to", "2026-07-17", "--json", stdout=writing)
    os.close(writing)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (0, b"")


def test_start_is_light() -> None:
    """The help of a command needs no network library, no SQLite and no event loop."""
    code = (
        "import sys\nfrom rekt.cli.main import main\n"
        "try: main(['summary', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('apsw', 'httpx', 'picows', 'msgspec', 'zstandard') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
