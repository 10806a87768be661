"""Closed days as Parquet files with a manifest each; the bare command writes them."""

from rekt.cli.archive._days import command  # not defined here: the module `list` would hide Python's own

__all__ = ["command"]
