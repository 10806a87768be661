"""The small ledger and the command line of the commands' tests."""

from tests.cli.conftest import ledger, path, rekt

__all__ = ["ledger", "path", "rekt"]
