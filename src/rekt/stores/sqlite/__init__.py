"""The ledger: one SQLite file, written by `Ledger`, asked by `Reader`; with the outbox and what ships it elsewhere.

Who imports late takes these from here and not from the modules: two threads that begin to import the package at two
ends would wait for each other, and Python would give one of them a half-made module.
"""

from __future__ import annotations

from rekt.stores.sqlite.ledger import Ledger
from rekt.stores.sqlite.outbox import Outbox
from rekt.stores.sqlite.reads import Reader
from rekt.stores.sqlite.sinks import Follower, Marks

__all__ = ["Follower", "Ledger", "Marks", "Outbox", "Reader"]
