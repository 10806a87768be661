from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.experiments.fuzz import Judge, recorded, wire
from tests.experiments.hostile import DEEP, GOOD, TOKENS, bad_frame, event

_PIECE = st.sampled_from(TOKENS) | st.binary(max_size=8)


@st.composite
def _frame(draw: st.DrawFn) -> bytes:
    """Anything, or a good frame with a part replaced."""
    if draw(st.booleans()):
        return bad_frame(random.Random(draw(st.integers(0, 1 << 32))))
    frame = draw(st.sampled_from(GOOD))
    start = draw(st.integers(0, len(frame)))
    end = draw(st.integers(start, len(frame)))
    return frame[:start] + draw(_PIECE) + frame[end:]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """One ledger for all examples: what the ones leave must not spoil the others."""
    found = Judge(tmp_path_factory.mktemp("fuzz") / "ledger.db")
    yield found
    found.close()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(frames=st.lists(_frame(), max_size=20))
def test_every_frame_comes_to_something(judge: Judge, frames: list[bytes]) -> None:
    """Whatever comes decodes or is refused, and received = control + stored + duplicate + quarantined."""
    for frame in frames:
        judge.take(frame)
    judge.flush()
    assert judge.unaccounted() == []


def test_the_ledger_of_all_that_is_sound(judge: Judge) -> None:
    """After them, and frames at the limits of size, nesting and count, the roll-ups equal a recount."""
    many = json.dumps([event(number) for number in range(20_000)]).encode()
    for frame in (
        b"[" * DEEP, b'{"o":' * DEEP, b'{"error":' + b"[" * 900 + b"]" * 900 + b"}", b'{"x":"' + b"y" * (4 << 20) + b'"}',
        b'{"code":' + b"9" * 5000 + b"}", b'{"error":' + b"9" * 5000 + b"}", many, many,
    ):  # fmt: skip
        judge.take(frame)
    assert judge.faults() == []


def test_hostile_bytes_on_a_socket() -> None:
    """Whatever a server sends, what was whole before is given, and the connection ends with a cause."""
    outcome = asyncio.run(wire(150))
    assert outcome.faults == []
    assert set(outcome.causes) == {"cut", "frame too large", "protocol error"}


@pytest.mark.timeout(180)
def test_hostile_frames_to_a_recorder() -> None:
    """Among hostile frames at full speed every good event is stored, and memory and log stay small."""
    outcome = asyncio.run(recorded(2_000))
    assert outcome.faults == []
    assert outcome.good > 100
    assert outcome.counters.quarantined > 1_000
