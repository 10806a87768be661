# ruff: noqa: S608 - what is put together are constants of this file
"""What an archive asks of the ledger besides the numbers: its days, and whether one has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rekt.fields import DAY
from rekt.stores.sqlite.reads import Reader
from rekt.stores.sqlite.sinks import SEALED

if TYPE_CHECKING:
    from rekt.model import Window

_ASIDE = "(notional IS NULL OR status <> 'FILLED')"


class State(NamedTuple):
    """The same as before: no row of the window came, changed or went (within one ledger)."""

    rows: int
    seq: int  # the highest of them; 0 without rows


class DayReader(Reader):
    """Reads the ledger as an archive needs it."""

    def recorded_days(self, end: int) -> list[int]:
        """The days (ms) before a time of which something is known: with events, and all since the first connection."""
        found = {
            day
            for (day,) in self._rows(
                f"SELECT DISTINCT start / {DAY} FROM bucket WHERE scope = 1 UNION"
                f" SELECT DISTINCT trade_time / {DAY} FROM liquidation WHERE {_ASIDE}"
            )
        }
        opened = self._rows("SELECT min(opened_us) FROM connection")[0][0]
        if opened is not None:
            found.update(range(opened // 1000 // DAY, end // DAY))
        return [day * DAY for day in sorted(found) if (day + 1) * DAY <= end]

    def state(self, window: Window) -> State:
        """How many rows a window has and the highest `seq` of them; by the index alone."""
        return State(
            *self._rows(
                "SELECT count(*), coalesce(max(seq), 0) FROM liquidation WHERE trade_time >= ? AND trade_time < ?",
                *window,
            )[0]
        )

    def pruned_before(self) -> int:
        """The time (ms) before which days were closed for good and their rows dropped; 0: none were."""
        return int(self.meta(SEALED) or 0)
