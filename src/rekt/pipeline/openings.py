"""When a venue lets us open another connection: so much time between two, so many in a while."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from rekt.venue import Venue

log = logging.getLogger("rekt.recorder")

LONG_S = 10.0  # a wait that is worth telling
LOOK_S = 1.0


@dataclass(eq=False)
class _Opening:
    """A connection that is being opened, or that was."""

    at: float = math.inf  # loop time at which it stood


class Openings:
    """Those of one venue by this process, held within `Venue.apart_s` and `Venue.openings`."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._one_by_one = asyncio.Lock()
        self._next_at = 0.0
        self._counted: list[_Opening] = []  # as many of the newest as the venue allows in a while

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for it, then open the connection inside.

        One that is still being opened counts, so that no number of them together oversteps the limit. One that fails
        does not: after an outage of the network nothing would be left of the limit.
        """
        async with self._one_by_one:
            await self._wait()
            self._next_at = asyncio.get_running_loop().time() + self._venue.apart_s
            opening = _Opening()
            if self._venue.openings is not None:
                self._counted.append(opening)
        try:
            yield
        except BaseException:
            with suppress(ValueError):  # no longer kept
                self._counted.remove(opening)
            raise
        opening.at = asyncio.get_running_loop().time()  # the venue counted it no later

    async def _wait(self) -> None:
        """Until the limits let us open another one, by when those that count were opened."""
        loop, told = asyncio.get_running_loop(), False
        while (wait_s := self._ready_at() - loop.time()) > 0:
            if LONG_S < wait_s < math.inf and not told:
                told = True
                log.warning(
                    "%s: opening no connection for %.0f s: it limits how many", self._venue.name, wait_s
                )
            await asyncio.sleep(min(wait_s, LOOK_S))  # one that counts may fail meanwhile

    def _ready_at(self) -> float:
        if self._venue.openings is None or len(self._counted) < self._venue.openings[0]:
            return self._next_at
        most, seconds = self._venue.openings
        self._counted = sorted(self._counted, key=lambda opening: opening.at)[-most:]
        return max(self._next_at, self._counted[0].at + seconds)
