"""Coverage-guided search for frames that the decoder can't bear, by atheris (libFuzzer); part of fuzz.py's long form.

atheris has wheels for CPython 3.11 to 3.13 on Linux x86-64 only. So it is none of the project's groups: it is pinned by
hash in fuzz.txt (`uv pip compile --generate-hashes --universal --python-version 3.11 --only-binary :all:`) and installed
on first use into tests/experiments/.venv, from which the project's own environment can be seen.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
HANG_S = 10
MEMORY_MB = 2048
LONGEST = 20_000  # bytes


def guided(frames: int, seed: int) -> int:
    """Search with so many frames; 0 when nothing was found. What was found is left in a file that is named."""
    from tests.experiments.hostile import GOOD, TOKENS, bad_frame

    python = _environment()
    with tempfile.TemporaryDirectory() as name:
        corpus, tokens = Path(name) / "corpus", Path(name) / "tokens"
        corpus.mkdir()
        rng = random.Random(seed)
        for number, frame in enumerate([*GOOD, *(bad_frame(rng)[:LONGEST] for _ in range(200))]):
            (corpus / str(number)).write_bytes(frame)
        quoted = ("".join(f"\\x{byte:02x}" for byte in token) for token in TOKENS if len(token) < 64)
        tokens.write_text("".join(f'"{token}"\n' for token in quoted))
        arguments = [
            f"-atheris_runs={frames}", f"-seed={seed}", f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_MB}",
            f"-max_len={LONGEST}", f"-dict={tokens}", f"-artifact_prefix={tempfile.gettempdir()}/rekt-",
            "-print_final_stats=1", "-verbosity=0", str(corpus),
        ]  # fmt: skip
        command = [str(python), "-m", __name__, str(Path(name) / "ledger.db"), str(frames), *arguments]
        return subprocess.run(command, check=False, env=_path()).returncode


def _path() -> dict[str, str]:
    """The environment in which the child finds what this process does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _environment() -> Path:
    """The Python that has atheris; installs it on first use."""
    folder, lock = HERE / ".venv", HERE / "fuzz.txt"
    python, stamp = folder / "bin" / "python", folder / "fuzz.txt"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        subprocess.run([*pip, "-r", str(lock)], check=True)
        stamp.write_bytes(lock.read_bytes())
    return python


def _search() -> None:
    """In the child: atheris gives frame after frame; after the last one the sums are held against each other."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]  # only there in the environment made above

    with atheris.instrument_imports(
        include=["rekt.fields", "rekt.venues"]
    ):  # before anything else imports them
        import rekt.venues.binance  # noqa: F401
    from tests.experiments.fuzz import Judge

    ledger, frames, *arguments = sys.argv[1:]
    judge = Judge(Path(ledger))

    def one(data: bytes) -> None:
        judge.take(data)
        if judge.received == frames_given:
            if faults := judge.faults():
                raise AssertionError("; ".join(faults))
            print(f"decoder: {judge.received} frames, all accounted for", flush=True)

    frames_given = int(frames)
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    _search()
