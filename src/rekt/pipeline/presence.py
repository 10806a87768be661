"""Which processes record into a ledger now: each holds a lock on a file beside it, which the kernel lets go with it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class Presence:
    """This process records into that ledger, until `close`. Several at once are legal."""

    def __init__(self, ledger: Path) -> None:
        self._path = ledger.with_name(f"{ledger.name}.recorder-{os.getpid()}")
        while True:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            # Shared: two recorders of one process (tests have them) count as one; who looks asks for it alone.
            fcntl.flock(self._file, fcntl.LOCK_SH)
            with suppress(OSError):
                if self._path.stat().st_ino == os.fstat(self._file).st_ino:
                    break
            os.close(self._file)  # somebody tidied it up before it was locked

    def close(self) -> None:
        """No longer; closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            if not _held(self._path):
                with suppress(OSError):
                    self._path.unlink()


def recorders(ledger: Path) -> list[int]:
    """The process ids of those that record into a ledger now."""
    found = []
    for path in ledger.parent.glob(f"{_plain(ledger.name)}.recorder-*"):
        pid = path.name.rpartition("-")[2]
        if not pid.isdigit():
            continue
        if _held(path):
            found.append(int(pid))
        else:  # of a process that was killed
            with suppress(OSError):
                path.unlink()
    return sorted(found)


def _held(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _plain(name: str) -> str:
    """A file name as a pattern that means just itself."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)
