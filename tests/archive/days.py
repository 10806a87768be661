"""Ledgers whose days are archived: made-up rows of two days, one of them calm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rekt.archive.folder import _seal, digest_of
from rekt.fields import DAY, HOUR
from rekt.model import Connection, Liquidation, Span
from rekt.store import Batch, Run
from rekt.stores.sqlite import Ledger
from tests.stores.events import batch, event, events

FIRST = 1_784_160_000_000  # 2026-07-16, ms
DAYS = ("2026-07-16", "2026-07-17")
HOSTILE = [
    "../../etc/passwd",
    "a/b",
    "x'; DROP TABLE liquidation;--",
    '"><script>',
    "\x1b[2J\u202e",
    "..",
    "\x00",
    "-rf",
]


def rows() -> list[Liquidation]:
    """What happens on the first day: several symbols, statuses and feeds, hostile names among them."""
    found = events(400, start=FIRST, length=DAY)
    return found + [event(n, at=FIRST + n, symbol=name) for n, name in enumerate(HOSTILE)]


def fill(path: Path, *, calm: bool = True) -> None:
    """A first day with rows, recorded but for an hour; a second one recorded whole without any (unless not `calm`)."""
    ledger = Ledger(path)
    ledger.begin(Run("run", FIRST * 1000, None, "run", "0", 1))
    ledger.append(batch(*rows()))
    start, hole = FIRST * 1000, FIRST + 5 * HOUR
    end = FIRST + 2 * DAY + 10_000 if calm else FIRST + DAY + 10_000
    lives = [
        Connection(
            "c1", "run", "binance", "wss://x/m", start, start, hole * 1000, hole * 1000, hole * 1000, "cut"
        ),
        Connection(
            "c2",
            "run",
            "binance",
            "wss://x/m",
            (hole + HOUR) * 1000,
            None,
            None,
            end * 1000,
            end * 1000,
            "cut",
        ),
    ]
    spans = [Span("c1", FIRST - 10_000, hole), Span("c2", hole + HOUR, end)]
    ledger.append(Batch("run", connections=lives, spans=spans))
    ledger.close()


def manifest(folder: Path, day: str = DAYS[0]) -> dict[str, Any]:
    """A manifest as it lies there."""
    found: dict[str, Any] = json.loads((folder / f"{day}.json").read_text("ascii"))
    return found


def forge(folder: Path, table: pa.Table | None = None, **changes: Any) -> None:
    """Change rows and manifest of the first day so that every digest is right again."""
    said = manifest(folder) | changes
    if table is not None:
        pq.write_table(table, folder / said["file"], compression="zstd")
        said |= {"sha256": digest_of(folder / said["file"]), "bytes": (folder / said["file"]).stat().st_size}
    said["seal"] = _seal(said)
    (folder / f"{said['day']}.json").write_text(json.dumps(said), "ascii")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
