"""What is compared with, in a virtual environment of its own: `benchmarks/.venv`, made from peers.txt on first use."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILDS = (
    "--only-binary",
    ":all:",
    "--no-binary",
    "cryptofeed",
)  # that one has no wheels: it needs a C compiler


def python() -> str:
    """The Python that has them."""
    venv, lock = HERE / ".venv", HERE / "peers.txt"
    stamp = venv / "peers.txt"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        print(f"installing what is compared with into {venv} ...", file=sys.stderr, flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        (venv / ".gitignore").write_text("*\n", "utf-8")
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", *BUILDS, "-r", str(lock)], check=True)
        shutil.copyfile(lock, stamp)
    return str(venv / "bin" / "python")
