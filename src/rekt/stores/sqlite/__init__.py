"""The ledger: one SQLite file, written by `Ledger`, asked by `Reader`."""

from __future__ import annotations

from rekt.stores.sqlite.ledger import Ledger
from rekt.stores.sqlite.reads import Reader

__all__ = ["Ledger", "Reader"]
