"""The proof of an archived day: against its manifest, and where they are given the ledger and what tapes give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rekt.archive.check import check
from rekt.archive.difference import IDENTITY, difference
from rekt.archive.folder import Folder, day_window
from rekt.archive.seal import Source, differing, numbers
from rekt.errors import ArchiveError
from rekt.model import Liquidation
from rekt.store import Listing
from rekt.tables import NAMES


def verify(
    folder: Folder,
    day: str,
    *,
    ledger: Source | None = None,
    tapes: Listing | None = None,
    now_ms: int,
    settle: Mapping[str, int],
    told: Callable[[int], object] = lambda _: None,
) -> list[str]:
    """What is wrong with a day, in sentences; nothing when all is right. `told` is called with the rows read so far.

    Of days that were pruned from the ledger its sums and coverage are compared, not the rows. Tapes are compared by
    identity (uid, venue, symbol, trade time): receive times and late values are a recorder's own.
    """
    try:
        manifest = folder.manifest(day)
    except ArchiveError as error:
        return [str(error)]
    if manifest is None:
        return ["it is not archived"]
    window, file = day_window(day), folder.file(manifest)
    found = check(manifest, file, told=told)
    if ledger is not None:
        if window.start >= ledger.pruned_before():
            found += _against(file, ledger.liquidations(window), NAMES, "the ledger")
        found += differing(manifest, numbers(ledger, window, now_ms, settle))
    if tapes is not None:
        found += _against(file, tapes.liquidations(window), IDENTITY, "the tapes")
    return found


def _against(file: Path, events: Iterable[Liquidation], columns: Sequence[str], name: str) -> list[str]:
    import pyarrow as pa

    try:
        return difference(file, events, columns).words(name)
    except (pa.ArrowException, OSError, KeyError):  # check has said so already
        return [f"its rows can't be held against {name}"]
