"""Making new files durable: a name that is there stands for a whole file, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Have a file's bytes on the disk."""
    _sync(path, os.O_RDWR)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable."""
    _sync(folder, os.O_RDONLY)


def put(part: Path, target: Path) -> None:
    """Give a finished file its name, durably; one that had it is replaced in one step."""
    sync_file(part)
    part.replace(target)
    sync_folder(target.parent)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
