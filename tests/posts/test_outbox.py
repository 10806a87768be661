from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.posts import outbox
from rekt.publisher import Absent, Entry, Finding, NotPosted, Outcome, Receipt, Unknown, Unreadable
from rekt.stores.sqlite.outbox import Outbox

MINUTE = 60_000
NOW = 1_784_203_200_000
SETTLE = 30_000
ENTRY = Entry("x", "2026-07-16T12", "text", created_ms=NOW, deadline_ms=NOW + 20 * MINUTE)


def sending(entry: Entry = ENTRY) -> Entry:
    """Claimed a moment ago."""
    return outbox.claimed(entry, NOW, 20 * MINUTE, 15_000)


def test_the_way_of_a_post() -> None:
    """Pending is sent, claimed durably first; a receipt ends it."""
    assert outbox.decide(ENTRY, NOW, SETTLE) == outbox.Send()
    claimed = sending()
    assert (claimed.state, claimed.attempts, claimed.first_ms, claimed.spent) == ("sending", 1, NOW, 15_000)
    done = outbox.published(claimed, Receipt("7", spent=20_000), NOW, 15_000)
    assert (done.state, done.remote_id, done.spent) == ("sent", "7", 20_000)
    assert outbox.decide(done, NOW + 10**9, SETTLE) == outbox.Done()


def test_a_process_that_is_gone_leaves_the_unknown() -> None:
    """What is found in sending becomes unknown, is looked up after the settling time, and not sent before."""
    action = outbox.decide(sending(), NOW + 1, SETTLE)
    assert isinstance(action, outbox.Settled)
    assert action.entry.state == "unknown"
    assert outbox.decide(action.entry, NOW + 1, SETTLE) == outbox.Wait(NOW + 1 + SETTLE)
    assert outbox.decide(action.entry, NOW + 1 + SETTLE, SETTLE) == outbox.Look()


def test_the_time_to_settle_begins_when_the_outcome_is_unclear() -> None:
    """A request that hung for 20 s is looked up the whole settling time after that, not after its beginning."""
    unknown = outbox.published(sending(), Unknown("time-out"), NOW + 20_000, 15_000)
    assert outbox.decide(unknown, NOW + SETTLE, SETTLE) == outbox.Wait(NOW + 20_000 + SETTLE)


def test_unknown_is_settled_by_looking() -> None:
    """Found is sent; absent is tried once more; unreadable stays, and is looked up again later."""
    unknown = outbox.published(sending(), Unknown("time-out"), NOW, 15_000)
    assert outbox.found(unknown, Receipt("7"), NOW).state == "sent"
    again = outbox.found(unknown, Absent(), NOW)
    assert outbox.decide(again, NOW + 1, SETTLE) == outbox.Send()
    stays = outbox.found(unknown, Unreadable("503"), NOW + SETTLE)
    assert stays.state == "unknown"
    assert outbox.decide(stays, NOW + SETTLE, SETTLE) == outbox.Wait(NOW + 2 * SETTLE)
    assert outbox.decide(unknown, NOW + 10**6, SETTLE, can_find=False) == outbox.Done()
    twice = outbox.published(outbox.claimed(again, NOW, 0, 0), Unknown("again"), NOW, 0)
    assert outbox.found(twice, Absent(), NOW).state == "failed"


def test_a_duplicate_is_evidence_only_after_an_unclear_attempt() -> None:
    """The service's "same text already" means landed after an unclear attempt, and not posted otherwise."""
    duplicate = NotPosted("duplicate", "the same text")
    assert outbox.published(sending(), duplicate, NOW, 0).state == "failed"
    unclear = outbox.found(outbox.published(sending(), Unknown("cut"), NOW, 0), Absent(), NOW)
    assert outbox.published(sending(unclear), duplicate, NOW, 0).state == "sent"


def test_deadlines() -> None:
    """An hour whose time is over, or whose next chance would come too late, is skipped; one by hand counts from its first attempt."""
    for late in (ENTRY, ENTRY._replace(not_before_ms=NOW + 21 * MINUTE)):
        action = outbox.decide(late, NOW + (20 * MINUTE if late is ENTRY else 0), SETTLE)
        assert isinstance(action, outbox.Settled)
        assert (action.entry.state, action.entry.cause) == ("skipped", "missed")
    by_hand = ENTRY._replace(deadline_ms=None)
    assert outbox.decide(by_hand, NOW + 10**10, SETTLE) == outbox.Send()
    assert sending(by_hand).deadline_ms == NOW + 20 * MINUTE


def test_refusals() -> None:
    """What can't help is failed at once; what may is tried again, not before the service's own time."""
    assert outbox.published(sending(), NotPosted("credits", "402"), NOW, 0).state == "failed"
    limited = outbox.published(sending(), NotPosted("rate", "429", NOW + 90_000), NOW, 15_000)
    assert (limited.state, limited.not_before_ms, limited.spent) == ("pending", NOW + 90_000, 0)
    away = outbox.published(sending(), NotPosted("unreachable", "refused", NOW), NOW, 0)
    assert away.not_before_ms == NOW + 5_000
    assert outbox.revived(limited) == limited
    assert outbox.revived(outbox.left_out(limited, "missed", "late")).state == "pending"


OUTCOMES = st.sampled_from(
    [
        Receipt("7"),
        Unknown("?"),
        NotPosted("rate", "429", NOW + 60_000),
        NotPosted("unreachable", "away", NOW),
        NotPosted("credits", "402"),
        NotPosted("duplicate", "same"),
    ]
)
FINDINGS = st.sampled_from([Receipt("7"), Absent(), Unreadable("503")])


@given(
    st.lists(OUTCOMES, min_size=30, max_size=30),
    st.lists(FINDINGS, min_size=60, max_size=60),
    st.integers(0, 3),
)
def test_never_sent_blindly(outcomes: list[Outcome], findings: list[Finding], died: int) -> None:
    """Whatever comes, an attempt of unknown fate is followed by another only after a look that found nothing, and all ends."""
    entry, now, clear, sends = ENTRY, NOW, True, 0
    for _ in range(400):
        action = outbox.decide(entry, now, SETTLE)
        if isinstance(action, outbox.Done):
            break
        if isinstance(action, outbox.Wait):
            assert action.until_ms > now
            now = action.until_ms
        elif isinstance(action, outbox.Settled):
            entry = action.entry
            clear = clear and entry.state != "unknown"
        elif isinstance(action, outbox.Look):
            finding = findings[sends % 30 + now % 30]
            entry, clear = outbox.found(entry, finding, now), isinstance(finding, Absent)
        else:
            assert clear
            entry, outcome = outbox.claimed(entry, now, 20 * MINUTE, 1), outcomes[sends % 30]
            sends += 1
            if sends != died:
                entry = outbox.published(entry, outcome, now, 1)
                clear = not isinstance(outcome, Unknown)
    assert entry.state in ("sent", "failed", "skipped", "unknown")
    assert entry.unclear <= outbox.UNCLEAR


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    """An outbox of its own."""
    return Outbox(tmp_path / "t.db")


def test_rendered_once(box: Outbox) -> None:
    """An entry that is there stays as it is, whatever is rendered later; its picture goes when it is sent."""
    first = box.add(ENTRY, b"one")
    assert box.add(ENTRY._replace(text="other"), b"two") == first
    assert box.picture("x", ENTRY.key) == b"one"
    saved = box.save(first._replace(state="sent", remote_id="7"))
    assert saved is not None
    assert box.picture("x", ENTRY.key) is None
    assert box.entry("x", ENTRY.key) == saved


def test_a_stale_change_is_refused(box: Outbox) -> None:
    """Who changes what somebody else has changed is told so, and nothing is overwritten."""
    first = box.add(ENTRY)
    assert box.save(first._replace(state="sending")) is not None
    assert box.save(first._replace(state="failed")) is None
    found = box.entry("x", ENTRY.key)
    assert found is not None
    assert found.state == "sending"


def test_what_a_month_cost(box: Outbox) -> None:
    """Spent is added up by the calendar month of the first attempt."""
    for key, at in (("a", NOW), ("b", NOW + MINUTE), ("c", NOW + 31 * 86_400_000)):
        box.add(ENTRY._replace(key=key, first_ms=at, spent=15_000))
    assert box.spent("x", NOW) == 30_000
    assert box.spent("bluesky", NOW) == 0


def test_one_process_at_a_time(box: Outbox) -> None:
    """The second who wants to work for a service is told that it is not alone; other services are free."""
    with box.alone("x", 0) as mine:
        assert mine
        with box.alone("x", 0) as also, box.alone("bluesky", 0) as other:
            assert (also, other) == (False, True)
    with box.alone("x", 0) as mine:
        assert mine


def test_an_alert_is_raised_once(box: Outbox) -> None:
    """A trouble is new once, and over once."""
    assert [box.raise_alert("feed x", "text", NOW) for _ in range(2)] == [True, False]
    assert box.alerts() == {"feed x": ("text", NOW)}
    assert [box.clear_alert("feed x") for _ in range(2)] == [True, False]
