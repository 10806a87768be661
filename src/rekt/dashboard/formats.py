"""A page of liquidations as JSON, lines of JSON, CSV or Parquet: the same objects in the same order of keys."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rekt.dashboard.numbers import encode
from rekt.tables import NAMES, of_objects

TYPES: Final[Mapping[str, str]] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
Object = Mapping[str, Any]


def acceptable(accept: str) -> str | None:
    """The form that an Accept header asks for first; None where we have none of those it takes."""
    wanted = []
    for position, part in enumerate(accept.split(",") if accept.strip() else ["*/*"]):
        name, _, rest = part.strip().partition(";")
        quality = 1.0
        for parameter in rest.split(";"):
            key, _, value = parameter.strip().partition("=")
            if key == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        wanted.append((-quality, position, name.strip().lower()))
    for quality, _, name in sorted(wanted):
        if quality < 0:
            for form, kind in TYPES.items():
                plain = kind.partition(";")[0]
                if name in ("*/*", plain, plain.partition("/")[0] + "/*"):
                    return form
    return None


def rendered(form: str, items: Sequence[Object], following: str | None) -> bytes:
    """The body. Raises ImportError for Parquet where its package is not there."""
    if form == "ndjson":
        return b"".join(encode(item) + b"\n" for item in items)
    if form == "csv":
        return as_csv(items)
    if form == "parquet":
        return as_parquet(items)
    return encode({"items": items, "next": following})


def as_csv(items: Sequence[Object]) -> bytes:
    """A header and a line each; unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(NAMES)
    writer.writerows([item[column] for column in NAMES] for item in items)
    return text.getvalue().encode()


def as_parquet(items: Sequence[Object]) -> bytes:
    """One file, of the same columns and types as `rekt export` writes."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(of_objects(items), sink, compression="zstd")
    return sink.getvalue()
