"""`rekt export`: liquidations into a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rekt.cli import _common
from rekt.errors import UsageError

if TYPE_CHECKING:
    from rekt.model import Liquidation

ROWS = 20_000  # written at a time
FORMS = (".parquet", ".csv", ".jsonl")


def command(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What to write: FILE.parquet, .csv or .jsonl.")
    ],
    hour: _common.HourOption = None,
    last: _common.LastOption = None,
    start: _common.FromOption = None,
    end: _common.ToOption = None,
) -> None:
    """Write liquidations into a Parquet, CSV or JSON-lines file, by trade time, exact to the digit.

    Never overwrites: the file is whole or not there.
    """
    asked = _common.asked(hour, last, start, end, _common.now_ms())
    if file.suffix not in FORMS:
        raise UsageError(f"{file} names no form", hint=f"end it in {', '.join(FORMS)}")
    if file.exists() or file.is_symlink():
        raise UsageError(f"{file} exists already", hint="name a file that does not")
    if file.suffix == ".parquet":
        from rekt import groups

        groups.need("data", "rekt export")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with _common.ledger(ctx) as ledger, ExitStack() as stack:
            write = stack.enter_context(_writer(file.suffix, part))
            tell = stack.enter_context(_common.progress("exporting"))
            count, length = 0, asked.window.end - asked.window.start
            events = ledger.liquidations(asked.window)
            while rows := list(islice(events, ROWS)):
                write(rows)
                count += len(rows)
                tell(rows[-1].trade_time - asked.window.start, length, f"{count:,}")
        try:
            os.link(part, file)  # never takes another's name
        except FileExistsError:
            raise UsageError(f"{file} exists already", hint="name a file that does not") from None
    finally:
        part.unlink(missing_ok=True)
    _common.console().print(f"{count:,} liquidations in {file} ({_common.size(file.stat().st_size)})")


@contextmanager
def _writer(form: str, part: Path) -> Iterator[Callable[[list[Liquidation]], object]]:
    """Opens the file; gives a function that takes rows."""
    from rekt.objects import liquidation_object

    if form == ".parquet":
        import pyarrow.parquet as pq

        from rekt.tables import of_events, schema

        with pq.ParquetWriter(part, schema(), compression="zstd") as writer:
            yield lambda rows: writer.write_table(of_events(rows))
        return
    with part.open("w", encoding="utf-8", newline="") as stream:
        if form == ".csv":
            from rekt.tables import NAMES

            table = csv.DictWriter(stream, NAMES)
            table.writeheader()
            yield lambda rows: table.writerows(liquidation_object(row) for row in rows)
        else:
            from rekt.log import json_line

            yield lambda rows: stream.writelines(json_line(liquidation_object(row)) + "\n" for row in rows)
