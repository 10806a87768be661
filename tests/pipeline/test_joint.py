from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from rekt.model import Connection, Span
from rekt.pipeline.joint import Joint


def joint() -> Joint:
    """One whose rows are named j0, j1 and so on."""
    number = itertools.count()
    return Joint(lambda ms: Connection(f"j{next(number)}", "run", "x", "all", ms * 1000))


def test_only_what_all_parts_proved_is_proved() -> None:
    """One part from 100 to 900, the other from 300 on: proved is 300 to 900."""
    both = joint()
    both.need("a")
    both.need("b")
    both.put("a", [Span("1", 100, 900)])
    assert both.changes({}, 0) == ([], [])
    both.put("b", [Span("2", 300, 1000)])
    rows, spans = both.changes({}, 0)
    assert [row.id for row in rows] == ["j0"]
    assert spans == [Span("j0", 300, 900)]


def test_a_break_of_one_part_ends_the_whole_with_its_cause() -> None:
    """When one of two parts is cut, the row ends where it did, as cut; the next begins when it is back."""
    both = joint()
    for part in "ab":
        both.need(part)
    both.put("a", [Span("1", 0, 5000)])
    both.put("b", [Span("2", 0, 5000)])
    both.changes({}, 0)
    both.put("a", [Span("1", 0, 9000)])
    assert both.changes({}, 0) == ([], [])
    both.put("b", [Span("3", 8000, 9500)])
    rows, spans = both.changes({"2": "cut", "1": None}, 0)
    assert [(row.id, row.closed_us, row.cause) for row in rows] == [
        ("j0", 5_000_000, "cut"),
        ("j1", None, None),
    ]
    assert spans == [Span("j1", 8000, 9000)]


def test_two_connections_of_a_part_stand_in_for_one_another() -> None:
    """A cut of one of a part's two connections breaks nothing."""
    both = joint()
    for part in "ab":
        both.need(part)
    both.put("a", [Span("1", 0, 4000), Span("2", 100, 9000)])
    both.put("b", [Span("3", 0, 9000)])
    assert both.changes({"1": "cut"}, 0)[1] == [Span("j0", 0, 9000)]


def test_a_part_that_comes_later_takes_nothing_back() -> None:
    """A further share of the symbols counts from its first proof on, and costs no hole."""
    both = joint()
    both.need("a")
    both.put("a", [Span("1", 0, 5000)])
    both.changes({}, 0)
    both.put("b", [Span("2", 5500, 6000)])
    both.put("a", [Span("1", 0, 6000)])
    rows, spans = both.changes({}, 0)
    assert [row.id for row in rows] == ["j0"]
    assert spans == [Span("j0", 0, 6000)]


def test_it_ends_with_the_recorder() -> None:
    """A recorder that stops in order closes the row."""
    both = joint()
    both.put("a", [Span("1", 0, 5000)])
    both.changes({}, 0)
    (row,) = both.close(7_000_000, "stopped")
    assert (row.id, row.closed_us, row.cause) == ("j0", 7_000_000, "stopped")
    assert both.close(8_000_000, "stopped") == []


_stretches = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), max_size=8)


@given(_stretches, _stretches)
def test_nothing_is_claimed_that_a_part_lacks(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    """Whatever two parts prove, told second by second: each ms claimed was proved by both."""
    proved: list[set[int]] = []
    both = joint()
    told: list[list[Span]] = []
    for part, stretches in (("a", one), ("b", other)):
        both.need(part)
        told.append(
            [Span(f"{part}{n}", start, start + length) for n, (start, length) in enumerate(sorted(stretches))]
        )
        proved.append({ms for span in told[-1] for ms in range(span.start_ms, span.end_ms + 1)})
    claimed: dict[tuple[str, int], Span] = {}
    for now in range(0, 500, 7):
        for part, spans in zip("ab", told, strict=True):
            both.put(
                part, [span._replace(end_ms=min(span.end_ms, now)) for span in spans if span.start_ms <= now]
            )
        for span in both.changes({}, 0)[1]:
            claimed[span.connection, span.start_ms] = span
    for span in claimed.values():
        assert set(range(span.start_ms, span.end_ms + 1)) <= (proved[0] & proved[1])
