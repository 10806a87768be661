"""The command `rekt`."""

import sys

from rekt import __version__


def main() -> None:
    """Print the version."""
    sys.stdout.write(f"rekt {__version__}\n")
