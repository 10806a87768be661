"""How long a call may last: every service slow, cut or silent, with older posts still open, on a clock of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from rekt.posts import delivery
from rekt.posts.delivery import Terms, deliver
from rekt.posts.schedule import CALL_S, TELL_S
from rekt.publisher import (
    CONNECT_S,
    Absent,
    Entry,
    Finding,
    NotPosted,
    Outcome,
    Post,
    Receipt,
    Unknown,
    Unreadable,
)

NOW = 1_784_203_200_000
MINUTE = 60_000


@dataclass
class Clock:
    """Time that passes only when something takes it."""

    passed_s: float = 0.0

    def ms(self) -> int:
        return NOW + round(self.passed_s * 1000)

    def timer(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.passed_s += seconds


@dataclass
class Memory:
    """An outbox that forgets nothing and costs no time."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def entry(self, service: str, key: str) -> Entry | None:
        return self.entries.get(key)

    def picture(self, service: str, key: str) -> bytes | None:
        return b"picture"

    def save(self, entry: Entry) -> Entry | None:
        self.entries[entry.key] = entry._replace(revision=entry.revision + 1)
        return self.entries[entry.key]

    def open_entries(self, service: str) -> list[Entry]:
        return [one for one in self.entries.values() if one.state in ("pending", "sending", "unknown")]

    def spent(self, service: str, month_ms: int) -> int:
        return 0

    @contextmanager
    def alone(self, service: str, until_s: float) -> Iterator[bool]:
        yield True


class Slow:
    """A service that takes what share it likes of the time it is given, and one connect more at most."""

    limit, can_find = 280, True

    def __init__(self, clock: Clock, answers: Iterator[tuple[float, Outcome, Finding]]) -> None:
        self._clock, self._answers = clock, answers
        self.asked = 0

    def _next(self, within_s: float) -> tuple[float, Outcome, Finding]:
        self.asked += 1
        assert within_s > 0
        share, outcome, finding = next(self._answers)
        self._clock.passed_s += share * (within_s + CONNECT_S)
        return share, outcome, finding

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:
        outcome = self._next(within_s)[1]
        if isinstance(outcome, NotPosted) and outcome.retry_ms is not None:
            return outcome._replace(retry_ms=now_ms + outcome.retry_ms)
        return outcome

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:
        return self._next(within_s)[2]

    def price(self, post: Post) -> int:
        return 0

    def length(self, text: str) -> int:
        return len(text)

    def objection(self, text: str) -> str | None:
        return None

    def verify(self, within_s: float) -> str:
        return ""


SHARES = st.one_of(st.just(1.0), st.floats(0, 1))
OUTCOMES = st.sampled_from(
    [Unknown("cut"), NotPosted("unreachable", "away", 0), NotPosted("rate", "429", 45_000), Receipt("7")]
)
FINDINGS = st.sampled_from([Unreadable("503"), Absent(), Receipt("7")])


@given(
    answers=st.lists(st.tuples(SHARES, OUTCOMES, FINDINGS), min_size=60, max_size=60),
    older=st.lists(st.sampled_from(["pending", "sending", "unknown"]), max_size=6),
    settle_s=st.sampled_from([0.0, 0.3, 30.0, 120.0]),
)
def test_a_call_ends_in_time_whatever_the_service_does(
    answers: list[tuple[float, Outcome, Finding]], older: list[str], settle_s: float
) -> None:
    """However slow each request is and whatever comes of it, delivering leaves the time that is kept for the rest."""
    clock, box = Clock(), Memory()
    box.entries["2026-07-16T12"] = Entry(
        "x", "2026-07-16T12", "text", created_ms=NOW, deadline_ms=NOW + 20 * MINUTE
    )
    for n, state in enumerate(older):
        key = f"2026-07-16T{n:02}"
        entry = Entry("x", key, "old", created_ms=NOW - MINUTE, deadline_ms=NOW + 20 * MINUTE)
        box.entries[key] = entry._replace(state=state, attempt_ms=NOW - 10 * MINUTE)  # type: ignore[arg-type]
    slow = Slow(clock, iter(answers * 20))
    until_s = CALL_S - TELL_S
    deliver(
        box, "x", "2026-07-16T12", slow, Terms(round(settle_s * 1000), 20 * MINUTE, 10**9), until_s,
        clock=clock.ms, sleep=clock.sleep, timer=clock.timer,
    )  # fmt: skip
    assert clock.passed_s <= until_s
    assert slow.asked >= 1


def test_the_worst_that_can_come() -> None:
    """All requests as slow as they may be, all unclear: two attempts and the looks, then unknown, with nothing begun late."""
    clock, box = Clock(), Memory()
    box.entries["k"] = Entry("x", "k", "text", created_ms=NOW, deadline_ms=NOW + 20 * MINUTE)

    def answers() -> Iterator[tuple[float, Outcome, Finding]]:
        while True:
            yield 1.0, Unknown("time-out"), Unreadable("time-out")

    entry = deliver(
        box, "x", "k", Slow(clock, answers()), Terms(30_000, 20 * MINUTE, 10**9), CALL_S - TELL_S,
        clock=clock.ms, sleep=clock.sleep, timer=clock.timer,
    )  # fmt: skip
    assert entry is not None
    assert (entry.state, entry.attempts) == ("unknown", 1)
    assert clock.passed_s <= CALL_S - TELL_S
    assert delivery.MARGIN_S > CONNECT_S
