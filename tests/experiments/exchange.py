"""The simulated exchange as a process of its own: it takes no time from whoever measures or records.

It keeps no list of what it sent, so that it can run for hours; how many it delivered it tells at its end.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from typing import IO, cast

END_S = 15.0


@dataclass(frozen=True)
class Exchange:
    """Where a running exchange is reached."""

    ws_url: str
    rest_url: str
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, *arguments: str) -> Exchange:
        """Start `python -m rekt.simulator` with these arguments; RuntimeError where it does not listen."""
        process = subprocess.Popen(
            [sys.executable, "-m", "rekt.simulator", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = {}
        for line in cast("IO[str]", process.stdout):
            name, _, url = line.strip().partition(" ")
            said[name] = url
            if name == "rest":
                return cls(said["ws"], said["rest"], process)
        raise RuntimeError(f"the exchange does not listen: {process.communicate()[1]}")

    def stop(self) -> int:
        """End it in order, its connections with a close frame; gives how many liquidations it delivered to anyone.

        Stopped again it gives -1.
        """
        if self.process.poll() is None:
            self.process.terminate()
        elif self.process.stderr is None or self.process.stderr.closed:
            return -1
        try:
            _, errors = self.process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        found = re.search(r"(\d+) delivered", errors)
        if found is None:
            raise RuntimeError(f"the exchange did not tell what it sent: {errors}")
        return int(found[1])
