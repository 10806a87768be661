from __future__ import annotations

import pytest

from tests.experiments.questdb import SHAPES, absent, kills, takeover


@pytest.mark.timeout(180)
def test_a_server_that_is_killed() -> None:
    """After two kill -9 of the server under load, ledger and table agree exactly."""
    outcome = kills(2, rate=300, up_s=(1.5, 2.5))
    assert outcome.faults == []
    assert outcome.kills == 2
    assert outcome.events > 0


@pytest.mark.timeout(180)
def test_a_server_that_comes_late() -> None:
    """A server that is started after a while gets everything, without a restart of the recorder."""
    outcome = absent(4, rate=300)
    assert outcome.faults == []
    assert outcome.behind_at_most > 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_server_that_is_killed_while_it_takes_over(shape: str) -> None:
    """The server dies in the middle of taking over a table of the original: the same process ends it, nothing lost."""
    outcome = takeover(shape, 1, rate=200, rows=1_000_000)
    assert outcome.faults == []
    assert outcome.kills == 1
    assert outcome.events > 0
