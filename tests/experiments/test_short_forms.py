from __future__ import annotations

from tests.experiments.kill import kill
from tests.experiments.together import together


def test_kills_under_load() -> None:
    """After a few kill -9 under load all that was committed is there once, and each hole shows."""
    outcome = kill(3, up_s=(0.5, 2.5))
    assert outcome.faults == []
    assert outcome.stored > 0
    assert outcome.seen_before_a_kill > 0
    assert outcome.sent_in_covered_time > 0


def test_two_recorders_under_load() -> None:
    """Two recorders on one ledger store each event once, lose none of covered time, and keep the log small."""
    outcome = together(6.0)
    assert outcome.faults == []
    assert outcome.sent_in_covered_time > 0
    assert outcome.duplicates > 0
