"""A copy of the ledger while it is being written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw

from rekt.errors import LedgerError
from rekt.files import sync_file, sync_folder
from rekt.stores.sqlite.schema import failure

if TYPE_CHECKING:
    from pathlib import Path


def backup(source: apsw.Connection, path: Path, target: Path) -> None:
    """Copy the pages in one step, which sees one state; in several, a writer beside it would start it over each time.

    Not VACUUM INTO: that builds every index anew, and takes many times as long. Written under another name, made
    durable, then renamed: the target is whole or not there. Raises LedgerError when it exists already.
    """
    if target.exists() or target.is_symlink():
        raise LedgerError(f"{target} exists already", hint="name a file that does not")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            copy = apsw.Connection(str(part))
            try:
                for pragma in ("journal_mode=OFF", "synchronous=OFF"):
                    copy.execute(f"PRAGMA {pragma}")
                with copy.backup("main", source, "main") as pages:
                    pages.step(-1)
            finally:
                copy.close()
            sync_file(part)
            _name(part, target)
            sync_folder(target.parent)
        finally:
            for leftover in (part, part.with_name(f"{part.name}-wal"), part.with_name(f"{part.name}-shm")):
                leftover.unlink(missing_ok=True)
    except FileExistsError as error:
        raise LedgerError(f"{target} exists already", hint="name a file that does not") from error
    except (apsw.Error, OSError) as error:
        raise failure(error, path, f"copying to {target} from") from error


def _name(part: Path, target: Path) -> None:
    """Give the finished file its name, never taking another's; a link refuses that by itself."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(target) from None
        part.rename(target)
