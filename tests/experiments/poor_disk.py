"""The real program on a disk that can be made slow or faulty while it runs.

    POOR_DISK=/tmp/how .venv/bin/python -m tests.experiments.poor_disk -v run

A layer of SQLite's own kind (a VFS) lies between the ledger and the system's files. The file that POOR_DISK names says
what it does; nothing there, or an empty file, is a good disk:

    slow 0.25      every sync takes so many seconds longer
    write ioerr    every write fails with an I/O error
    sync ioerr     every sync does
    write readonly every write fails as on a file system that became read-only

With POOR_DISK_QUEUE=5000 the recorder's memory for what can't be written is full at so many items, so that a short
test need not fill all of it. Syncs and writes of all of the ledger's files pass here, the log's too. Everything else is `rekt` as it is.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import apsw

from rekt.cli.main import main
from rekt.pipeline import committer

_HOW = Path(os.environ["POOR_DISK"])
_GOOD = apsw.vfs_names()[0]  # the system's own
_ERRORS = {"ioerr": apsw.IOError, "readonly": apsw.ReadOnlyError}


def _obey(act: str) -> None:
    try:
        kind, what = _HOW.read_text().split()
    except (OSError, ValueError):  # a good disk, or just being told
        return
    if kind == "slow" and act == "sync":
        time.sleep(float(what))
    elif kind == act:
        raise _ERRORS[what](f"a disk that was told to fail: {act}")


class _File(apsw.VFSFile):
    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's names
        _obey("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        _obey("sync")
        super().xSync(flags)


class _Disk(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("poor", _GOOD, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:  # noqa: N802
        return _File(_GOOD, name, flags)


if __name__ == "__main__":
    disk = _Disk()
    committer.LIMIT = int(os.environ.get("POOR_DISK_QUEUE", committer.LIMIT))
    main()
