from __future__ import annotations

import pytest

from rekt import registry
from tests.experiments.clock import KINDS, clock
from tests.experiments.disk import faulty_disk, full_disk, overflow
from tests.experiments.holes import holes
from tests.experiments.kill import kill
from tests.experiments.network import HARD, MILD, network
from tests.experiments.posting import posting
from tests.experiments.slow_disk import slow_disk
from tests.experiments.soak import soak
from tests.experiments.together import together
from tests.experiments.venues import venues


def test_kills_under_load() -> None:
    """After a few kill -9 under load all that was committed is there once, and each hole shows."""
    outcome = kill(3, up_s=(0.5, 2.5))
    assert outcome.faults == []
    assert outcome.stored > 0
    assert outcome.seen_before_a_kill > 0
    assert outcome.sent_in_covered_time > 0


def test_kills_with_a_second_recorder_beside() -> None:
    """Where another recorder lives, no event is missing at all, and the whole time is covered."""
    outcome = kill(3, up_s=(0.5, 2.5), beside=True)
    assert outcome.faults == []
    assert outcome.stored > 0
    assert outcome.coverage == 1.0


def test_two_recorders_under_load() -> None:
    """Two recorders on one ledger store each event once, lose none of covered time, and keep the log small."""
    outcome = together(6.0)
    assert outcome.faults == []
    assert outcome.sent_in_covered_time > 0
    assert outcome.duplicates > 0


def test_a_full_disk_and_room_again() -> None:
    """Events that came while the disk was full are all written once there is room, and both are told."""
    outcome = full_disk(2, full_s=(1.0, 3.0))
    assert outcome.faults == []
    assert outcome.told > 0
    assert outcome.sent_in_covered_time > 0


def test_a_faulty_disk_and_a_good_one_again() -> None:
    """Events that came while writes and syncs failed, or the disk was read-only, are all written afterwards."""
    outcome = faulty_disk(3, bad_s=(1.0, 2.0))
    assert outcome.faults == []
    assert outcome.recovered == 3
    assert outcome.sent_in_covered_time > 0


@pytest.mark.timeout(180)
def test_a_full_memory_leaves_a_hole_with_its_cause() -> None:
    """Where writes fail until the memory is too and the exchange cuts, the hole says `queue full`."""
    outcome = overflow(1, rate=1000.0, queue=5_000)
    assert outcome.faults == []
    assert outcome.holes == 1
    assert outcome.sent_in_covered_time > 0


def test_posting_with_faults_and_kills() -> None:
    """Random faults of X and kill -9 in between: each hour is there once, or not at all and told so."""
    outcome = posting(8, seed=3)
    assert outcome.faults == []
    assert outcome.runs == 8
    assert outcome.kills > 0
    assert outcome.posted > 0


@pytest.mark.timeout(180)
def test_network_faults_on_one_connection_of_two() -> None:
    """Each kind of network fault on one connection, the other proven: every event once, and no moment uncovered."""
    found = network(15.0, seed=4, mean_s=0.5, renew_s=12.0)
    assert found.faults == []
    assert found.coverage == 1.0
    assert set(found.given) == {*HARD, *MILD}
    assert found.stored > 0
    assert found.quarantined > 0


@pytest.mark.timeout(180)
def test_holes_with_both_connections_down() -> None:
    """Holes of a cut and of silence are recorded as long as they were, with their causes, and nothing is claimed in them."""
    found = holes(6, parallel=3, seconds=(0.2, 8.0), seed=22)
    assert found.faults == []
    assert found.kinds.keys() >= {"cut", "stall", "unrouted"}
    assert found.sent_in_covered_time > 0


@pytest.mark.timeout(180)
def test_clocks_that_are_set_and_a_machine_that_sleeps() -> None:
    """A clock set by an hour and back, a stop, a sleep of ten minutes: gaps where something was missed, none elsewhere."""
    found = clock(2, stop_s=6.0)
    assert found.faults == []
    assert found.times == dict.fromkeys(KINDS, 2)
    assert found.holes == {"set": 0, "stopped": 1, "slept": 2}
    assert found.coverage["set"] == 1.0
    assert found.sent_in_covered_time > 0


@pytest.mark.timeout(180)
def test_a_soak_of_seconds() -> None:
    """Under steady load all that was delivered is there once, the log is bounded, and each quarter was measured."""
    outcome = soak(6.0)
    assert outcome.faults == []
    assert outcome.stored == outcome.delivered > 0
    assert all(quarter.latency_us and quarter.memory_kib for quarter in outcome.quarters)


@pytest.mark.timeout(180)
def test_a_slow_disk() -> None:
    """While syncs take seconds reading pauses, and goes on afterwards; nothing is dropped, and no hole is left."""
    outcome = slow_disk(1.0, rate=1000.0, queue=5_000)
    assert outcome.faults == ()
    assert outcome.paused >= outcome.cycles >= 1
    assert outcome.stored == outcome.delivered > 5_000


@pytest.mark.timeout(240)
def test_all_venues_at_once() -> None:
    """One process records every venue at once: all that was delivered is there once, and nothing else."""
    outcome = venues(5.0, rate=400.0)
    assert outcome.faults == []
    assert outcome.stored >= outcome.delivered > 0
    assert outcome.by_venue.keys() == set(registry.names("rekt.venues"))
    assert all(outcome.by_venue.values())
