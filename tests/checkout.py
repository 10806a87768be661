"""A checkout in small: the real launcher and groups.py, a program of a few lines, locks of wheels made on the spot."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """
import os, signal, subprocess, sys, time

def main():
    command, *rest = sys.argv[1:] or ["show"]
    if command == "show":
        import pebble
        print(pebble.VERSION, os.getpid(), sys.executable, __file__, *rest, sep="|")
    elif command == "child":
        sys.exit(subprocess.call([sys.executable, "-m", "rekt", "show", *rest]))
    elif command == "need":
        from rekt import groups
        try:
            groups.need(rest[0], "tweet")
        except groups.GroupError as error:
            sys.exit(f"{type(error).__name__}|{error}")
        import boulder
        print(boulder.VERSION)
    elif command == "wait":
        signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"caught\\n"), os._exit(7)))
        print("ready", flush=True)
        time.sleep(30)
"""


def wheel(folder: Path, name: str, version: str) -> str:
    """Make a wheel of one module whose VERSION is `version`; gives its line for a lock."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.py": f"VERSION = {version!r}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@dataclass(frozen=True)
class Checkout:
    """One such checkout at `root`, its wheels and its user's home beside it."""

    root: Path
    wheels: Path
    home: Path

    @classmethod
    def make(cls, folder: Path) -> Checkout:
        """A fresh one, without .venv; its path has a space."""
        made = cls(folder / "a checkout", folder / "wheels", folder / "home")
        for path in (made.root / "src/rekt/cli", made.root / "locks", made.wheels, made.home):
            path.mkdir(parents=True)
        for file in ("rekt", "src/rekt/groups.py", "src/rekt/__init__.py", "src/rekt/__main__.py"):
            shutil.copy(ROOT / file, made.root / file)
        (made.root / "src/rekt/cli/__init__.py").touch()
        (made.root / "src/rekt/cli/main.py").write_text(PROGRAM, "utf-8")
        made.lock("run", wheel(made.wheels, "pebble", "1.0"))
        made.lock("post", wheel(made.wheels, "boulder", "1.0"))
        made.lock("test", wheel(made.wheels, "sand", "1.0"))
        return made

    def copy(self, folder: Path) -> Checkout:
        """The same, .venv included, at another place: as a checkout that was moved."""
        shutil.copytree(self.root, folder / "another checkout", symlinks=True)
        shutil.copytree(self.wheels, folder / "wheels")
        (folder / "home").mkdir()
        return Checkout(folder / "another checkout", folder / "wheels", folder / "home")

    def lock(self, group: str, text: str) -> None:
        """Say what a group is from now on."""
        (self.root / "locks" / f"{group}.txt").write_text(text, "utf-8")

    def site(self) -> Path:
        """Where .venv keeps its packages."""
        (found,) = (self.root / ".venv/lib").glob("python3*/site-packages")
        return found

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """An environment of little more than PATH, in which pip sees the wheels and nothing else."""
        others = ("PIP_", "PYTHON", "REKT_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri()}
        return {**kept, **pip, "HOME": str(self.home), **(variables or {})}

    def popen(
        self, *arguments: str, launcher: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start the launcher."""
        return subprocess.Popen(
            [str(launcher or self.root / "rekt"), *arguments],
            env=self.environment(variables),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(
        self, *arguments: str, launcher: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Start the launcher and wait for its end."""
        with self.popen(*arguments, launcher=launcher, variables=variables) as process:
            output, errors = process.communicate(timeout=170)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
