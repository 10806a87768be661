from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import rekt
from rekt import groups
from tests.checkout import ROOT, Checkout, wheel

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REQUIREMENTS: dict[str, list[str]] = {"run": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}

pytestmark = pytest.mark.timeout(180)  # packages are installed


def locked(group: str) -> dict[str, set[str]]:
    """The versions that a lock gives each package (one for each environment marker)."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", _text(group), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def _text(group: str) -> str:
    return (ROOT / "locks" / f"{group}.txt").read_text("utf-8")


def test_groups_agree() -> None:
    """pyproject.toml, the locks and groups.py know the same groups, and as many modules as requirements."""
    assert {path.stem for path in (ROOT / "locks").glob("*.txt")} == set(REQUIREMENTS) == set(groups.MODULES)
    assert {group: len(names) for group, names in REQUIREMENTS.items()} == {
        group: len(modules) for group, modules in groups.MODULES.items()
    }


@pytest.mark.parametrize("group", sorted(groups.MODULES))
def test_lock(group: str) -> None:
    """A lock pins every requirement of its group by hash, and names no place to fetch from."""
    names = {re.split(r"[^a-z0-9-]", requirement)[0] for requirement in REQUIREMENTS[group]}
    assert names <= set(locked(group))
    for line in _text(group).splitlines():
        pin = r"[a-z0-9-]+==[\w.]+( ; [\w '<>=!.()]+)? \\"
        assert re.fullmatch(rf"{pin}|    --hash=sha256:[0-9a-f]{{64}}( \\)?", line), line


def test_locks_agree() -> None:
    """A package that two groups share has the same version in both."""
    seen: dict[str, set[str]] = {}
    for group in groups.MODULES:
        for name, versions in locked(group).items():
            assert seen.setdefault(name, versions) == versions, (group, name)


def test_installed_modules() -> None:
    """The modules by which the groups run and test are recognised are those that they bring."""
    for group in ("run", "test"):
        groups.need(group)
        for module in groups.MODULES[group]:
            assert find_spec(module) is not None, module


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture
def elsewhere(built: Path, tmp_path: Path) -> Path:
    """A virtual environment into which pip put that wheel alone."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(tmp_path / "venv/bin/python"), "install"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--quiet", str(built)], check=True)
    return tmp_path / "venv"


def test_wheel_is_whole(built: Path) -> None:
    """The wheel holds every file of the package, under the one version."""
    ours = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src/rekt").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = set(zipfile.ZipFile(built).namelist())
    assert ours <= names
    assert f"rekt-{rekt.__version__}.dist-info/licenses/LICENSE" in names


def test_wheel_runs(elsewhere: Path, tmp_path: Path) -> None:
    """The `rekt` that pip installs is the same command."""
    (packages,) = (elsewhere / "lib").glob("python3*/site-packages")
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    output = subprocess.check_output([elsewhere / "bin/rekt", "--help"], cwd=tmp_path, text=True)
    assert "rekt" in output


@pytest.mark.parametrize(("group", "extra"), [("post", "rekt[post]"), ("run", "rekt")])
def test_pip_installed_names_the_extra(elsewhere: Path, group: str, extra: str) -> None:
    """Where rekt was installed with pip nothing is installed behind one's back: the error names the extra."""
    program = f"from rekt import groups\ntry: groups.need({group!r}, 'tweet')\nexcept groups.ExtraMissing as e: print(e)"
    output = subprocess.check_output([elsewhere / "bin/python", "-c", program], text=True)
    assert output == f"`tweet` needs packages that are not installed (pip install '{extra}')\n"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the group run."""
    checkout = Checkout.make(tmp_path_factory.mktemp("prepared"))
    assert checkout.start("--setup").returncode == 0
    return checkout


def test_need(prepared: Checkout, tmp_path: Path) -> None:
    """A running command gets its group on first use and can import it at once; then nothing is run or said."""
    checkout = prepared.copy(tmp_path)
    first = checkout.start("need", "post")
    assert (first.stdout, first.stderr) == ("1.0\n", "rekt: installing what `tweet` needs (post) ...\n")
    (checkout.site() / "pip/__main__.py").write_text("raise SystemExit('pip was run')")
    second = checkout.start("need", "post")
    assert (second.stdout, second.stderr) == ("1.0\n", "")


def test_need_after_update(prepared: Checkout, tmp_path: Path) -> None:
    """A group is brought up to date when its lock has changed since."""
    checkout = prepared.copy(tmp_path)
    checkout.start("need", "post")
    checkout.lock("post", wheel(checkout.wheels, "boulder", "2.0"))
    assert checkout.start("need", "post").stdout == "2.0\n"


def test_need_in_a_broken_venv(prepared: Checkout, tmp_path: Path) -> None:
    """A command that finds pip broken says so, and the next start makes .venv anew."""
    checkout = prepared.copy(tmp_path)
    shutil.rmtree(checkout.site() / "pip")
    result = checkout.start("need", "post")
    assert result.returncode == 1
    assert result.stderr.startswith("SetupFailed|")
    assert "start the command again" in result.stderr
    assert checkout.start("need", "post").stdout == "1.0\n"


def test_two_needs_at_once(prepared: Checkout, tmp_path: Path) -> None:
    """Two commands that need a group at once both get it, and only one of them installs."""
    checkout = prepared.copy(tmp_path)
    with checkout.popen("need", "post") as one, checkout.popen("need", "post") as other:
        outputs = [process.communicate(timeout=170) for process in (one, other)]
    assert [output for output, _ in outputs] == ["1.0\n", "1.0\n"], outputs
    assert "".join(errors for _, errors in outputs).count("rekt: installing") == 1


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "free some space"),
        ("OSError: [Errno 30] Read-only file system: '/opt/x'", "make it writable"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied",
            "make it writable",
        ),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching distribution found",
            "look at the network",
        ),
        ("ERROR: No matching distribution found for apsw==3.54", "try another Python"),
        ("something new", "the lines above say why"),
    ],
)
def test_diagnosis(output: str, words: str) -> None:
    """What pip says on failing becomes the way out that fits."""
    error = groups._diagnosis("run", "pip could not install", output)
    assert error.exit_code == 1
    assert words in error.hint
    assert str(error) == f"{error.message} ({error.hint})"


@pytest.mark.parametrize(
    ("said", "free", "words"),
    [
        ("ensurepip is not available", 10**12, "-venv"),
        ("Command '-m ensurepip' returned 1", 0, "free some space"),
        ("Command '-m ensurepip' returned 1", 10**12, "the lines above"),
    ],
)
def test_venv_not_made(said: str, free: int, words: str) -> None:
    """A venv that can't be made is told as the missing package, the full disk, or what Python itself says."""
    error = groups._not_made(Path("/bin/python3"), Path("/x/.venv"), said, free)
    assert words in error.hint


def test_unwritable_checkout(tmp_path: Path) -> None:
    """A checkout into which nothing can be written is told by its path, not by a traceback."""
    checkout = Checkout.make(tmp_path)
    (checkout.root / ".venv.lock").mkdir()  # holds for root too, whom a mode does not stop
    with pytest.raises(groups.SetupFailed, match=re.escape(str(checkout.root / ".venv"))) as caught:
        groups.prepare(checkout.root, [])
    assert "writable" in caught.value.hint
