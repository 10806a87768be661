"""The command line of the commands' tests."""

from tests.cli.conftest import path, rekt

__all__ = ["path", "rekt"]
