from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import ROOT, Checkout, wheel

pytestmark = pytest.mark.timeout(180)  # packages are installed


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, subprocess.CompletedProcess[str]]:
    """A checkout after its first start, and what that start said."""
    checkout = Checkout.make(tmp_path_factory.mktemp("first"))
    return checkout, checkout.start("show", "a b", "")


@pytest.fixture
def started(first: tuple[Checkout, object], tmp_path: Path) -> Iterator[Checkout]:
    """A copy of a checkout that was set up: a test may spoil it."""
    yield first[0].copy(tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


def without_pip(checkout: Checkout) -> None:
    """Make every further use of pip or of groups.py by the launcher a loud failure."""
    (checkout.site() / "pip/__main__.py").write_text("raise SystemExit('pip was run')")
    (checkout.root / "src/rekt/groups.py").write_text("raise SystemExit('groups was run')")


def test_first_start(first: tuple[Checkout, subprocess.CompletedProcess[str]]) -> None:
    """The first start makes .venv, installs the group run, says both on standard error, and runs the command."""
    checkout, result = first
    assert result.returncode == 0, result.stderr
    version, _, executable, _, *arguments = result.stdout.rstrip("\n").split("|")
    assert (version, executable) == ("1.0", str(checkout.root / ".venv/bin/python"))
    assert arguments == ["a b", ""]
    making, installing = result.stderr.splitlines()
    assert making.startswith(f"rekt: making {checkout.root}/.venv with Python 3.")
    assert installing == "rekt: installing what every command needs (run) ..."
    assert (checkout.root / ".venv/rekt-run.txt").read_bytes() == (
        checkout.root / "locks/run.txt"
    ).read_bytes()


def test_nothing_outside(first: tuple[Checkout, object]) -> None:
    """Setting up leaves nothing in the home folder but pip's own cache."""
    checkout, _ = first
    # pip asks `rustc --version`, whose stand-in may leave a folder of its own
    assert {path.name for path in checkout.home.iterdir()} <= {".cache", "Library", ".rustup"}


def test_second_start(started: Checkout) -> None:
    """A start with an unchanged lock runs neither pip nor groups.py and says nothing."""
    without_pip(started)
    result = started.start()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("1.0|")


def test_changed_lock(started: Checkout) -> None:
    """A lock that changed is installed at the next start."""
    started.lock("run", wheel(started.wheels, "pebble", "2.0"))
    result = started.start()
    assert result.stdout.startswith("2.0|")
    assert result.stderr == "rekt: installing what every command needs (run) ...\n"
    without_pip(started)
    assert started.start().stdout.startswith("2.0|")


def test_becomes_the_program(started: Checkout) -> None:
    """The process that was started is Python itself, so that a signal reaches the program."""
    with started.popen("wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "caught\n"
    assert process.returncode == 7
    with started.popen("show") as process:
        assert process.stdout is not None
        assert process.stdout.read().split("|")[1] == str(process.pid)


def test_symlinks(started: Checkout, tmp_path: Path) -> None:
    """The launcher finds its folder through chains of links, relative ones and such in linked folders included."""
    (tmp_path / "bin/deep").mkdir(parents=True)
    (tmp_path / "bin/deep/absolute").symlink_to(started.root / "rekt")
    (tmp_path / "bin/relative").symlink_to("../another checkout/rekt")
    (tmp_path / "bin/chain").symlink_to("deep/absolute")
    (tmp_path / "bin/deep/up").symlink_to("../relative")
    (tmp_path / "door").symlink_to("bin/deep")
    for name in ("bin/deep/absolute", "bin/relative", "bin/chain", "door/up"):
        result = started.start(launcher=tmp_path / name)
        assert result.stderr == "", name
        assert str(started.root / ".venv") in result.stdout, name


def test_called_by_name(started: Checkout) -> None:
    """The launcher works from its own folder, as `sh rekt`, by PATH, and with CDPATH and an empty HOME about."""
    environment = started.environment(
        {"HOME": "", "CDPATH": "/", "PATH": f"{started.root}:{os.environ['PATH']}"}
    )
    for command in (["./rekt"], ["sh", "rekt"], ["sh", "./rekt"], ["rekt"]):
        output = subprocess.check_output(command, cwd=started.root, env=environment, text=True)
        assert output.startswith("1.0|"), command


def test_moved(started: Checkout, tmp_path: Path) -> None:
    """A checkout that was moved runs its own code from the new place, without an installation, also in children."""
    without_pip(started)
    started.root.rename(tmp_path / "elsewhere")
    moved = Checkout(tmp_path / "elsewhere", started.wheels, started.home)
    for command in ("show", "child"):
        result = moved.start(command)
        assert result.stderr == ""
        assert result.stdout.rstrip().split("|")[3] == str(moved.root / "src/rekt/cli/main.py")


def test_noise(started: Checkout, tmp_path: Path) -> None:
    """Neither what the environment says to other Pythons nor modules in the working folder get in the way."""
    for folder in (started.home, tmp_path / "path"):
        (folder / "rekt").mkdir(parents=True)
        (folder / "rekt/__init__.py").write_text("raise SystemExit('the wrong rekt')")
        (folder / "pebble.py").write_text("raise SystemExit('the wrong pebble')")
    noise = {
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": str(tmp_path / "path"),
        "PIP_USER": "1",
        "PIP_TARGET": "/nowhere",
    }
    started.lock("run", wheel(started.wheels, "pebble", "2.0"))
    for command in ("show", "child"):
        result = started.start(command, variables=noise)
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith("2.0|")


def test_two_at_once(tmp_path: Path) -> None:
    """Two first starts at once both succeed, and only one of them installs."""
    checkout = Checkout.make(tmp_path)
    with checkout.popen() as one, checkout.popen() as other:
        outputs = [process.communicate(timeout=55) for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], outputs
    assert all(output.startswith("1.0|") for output, _ in outputs)
    said = "".join(errors for _, errors in outputs)
    assert said.count("installing") - said.count("that is installing") == 1
    assert said.count("making") == 1


def test_interpreter_gone(started: Checkout) -> None:
    """When the Python that .venv was made with is gone, .venv is made anew."""
    python = started.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    result = started.start()
    assert result.stdout.startswith("1.0|"), result.stderr
    assert "making" in result.stderr


@pytest.mark.parametrize("damage", ["pip/_internal", "rekt.pth"])
def test_damaged_venv(started: Checkout, damage: str) -> None:
    """A .venv whose pip is broken, or that was not made to the end, is made anew when it is next needed."""
    path = started.site() / damage
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    started.lock("run", wheel(started.wheels, "pebble", "2.0"))
    result = started.start()
    assert result.stdout.startswith("2.0|"), result.stderr
    assert "making" in result.stderr


def test_interrupted_installation(started: Checkout) -> None:
    """After an installation that was killed half-way, what pip takes for complete is laid anew."""
    (started.root / ".venv/rekt-run.txt").rename(started.root / ".venv/rekt-run.part")
    (started.site() / "pebble.py").unlink()
    result = started.start()
    assert result.stdout.startswith("1.0|"), result.stderr


def test_setup(started: Checkout) -> None:
    """`--setup` installs the groups that it names, or says which there are and ends with 2."""
    assert started.start("--setup", "post").stderr == "rekt: installing what it needs (post) ...\n"
    assert started.start("--setup", "post").stderr == ""
    result = started.start("--setup", "pots")
    assert result.returncode == 2
    assert "no group 'pots': run, post, " in result.stderr


def test_failures_are_told(started: Checkout) -> None:
    """A failed installation ends with 1, without the program, saying what is wrong; the next good one mends it."""
    good = wheel(started.wheels, "pebble", "2.0")
    missing = f"missing==1.0 --hash=sha256:{'0' * 64}\n"
    altered = good.partition("sha256:")[0] + f"sha256:{'0' * 64}\n"
    unreachable = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "1"}
    cases: list[tuple[str, str, dict[str, str]]] = [
        (altered, "not the one that the lock names", {}),
        (missing, "no such version", {}),
        (missing, "can't be reached", unreachable),
    ]
    for lock, words, variables in cases:
        started.lock("run", lock)
        result = started.start(variables=variables)
        assert (result.returncode, result.stdout) == (1, "")
        assert words in result.stderr
        assert str(started.root / ".venv") in result.stderr
    started.lock("run", good)
    assert started.start().stdout.startswith("2.0|")


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A folder with a `python3` that has no ensurepip, as Debian's without python3-venv."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    (packages,) = (tmp_path / "bare/lib").glob("python3*/site-packages")
    (packages / "hide.pth").write_text("import sys; sys.modules['ensurepip'] = None\n")
    return tmp_path / "bare/bin"


def test_missing_ensurepip(bare_python: Path, tmp_path: Path) -> None:
    """Without ensurepip the launcher names the Debian package of exactly this Python, and ends with 1."""
    checkout = Checkout.make(tmp_path)
    result = checkout.start(variables={"PATH": f"{bare_python}:{os.environ['PATH']}"})
    assert result.returncode == 1
    assert f"apt install python3.{sys.version_info.minor}-venv" in result.stderr
    assert not (checkout.root / ".venv").exists()


def test_no_python(tmp_path: Path) -> None:
    """Without a Python of version 3.11 or later the launcher says so (1), as for a wrong REKT_PYTHON (2)."""
    checkout = Checkout.make(tmp_path)
    (tmp_path / "old").mkdir()
    old = tmp_path / "old/python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = checkout.start(variables={"PATH": str(tmp_path / "old")})
    assert (result.returncode, result.stderr.count("no Python of version 3.11")) == (1, 1)
    result = checkout.start(variables={"REKT_PYTHON": str(old)})
    assert (result.returncode, result.stderr.count(f"REKT_PYTHON is {old}")) == (2, 1)


def test_rekt_python(tmp_path: Path) -> None:
    """REKT_PYTHON is the Python that .venv is made with, whatever PATH has; a path with a space will do."""
    (tmp_path / "my python").symlink_to(Path(sys.executable).resolve())
    checkout = Checkout.make(tmp_path)
    nothing = {"PATH": "/usr/bin:/bin", "REKT_PYTHON": str(tmp_path / "my python")}
    result = checkout.start(variables=nothing)
    assert result.stdout.startswith("1.0|"), result.stderr
    assert f"with Python 3.{sys.version_info.minor} ({tmp_path / 'my python'})" in result.stderr


@pytest.mark.parametrize("script", ["rekt", "test", ".ci/run", "locks/update"])
def test_scripts_are_executable(script: str) -> None:
    """What people start by its path has the bit and the first line for it."""
    assert os.access(ROOT / script, os.X_OK)
    assert (ROOT / script).read_text("utf-8").startswith("#!")
