"""What becomes of one post at one service: the states and what may follow each. Pure; every function is given `now`.

    pending ──claimed──▶ sending ──▶ sent
       ▲                    │ ├────▶ failed     the service says no, and trying again can't help
       ├── not posted ◀─────┘ └────▶ unknown    nobody can say whether it landed
       └── looked, absent ◀─────────────┘ └──▶ sent (looked, found)
    pending ──deadline──▶ skipped

`sending` is durable before the request is made. Whoever finds an entry in `sending` whose process is gone knows that
nothing is known: it is `unknown`. An unknown entry is never sent again before a look at the service's own record has
shown that it is not there; and after two attempts of unknown fate it is not sent any more.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rekt.publisher import (
    Absent,
    Cause,
    Entry,
    Finding,
    Outcome,
    Receipt,
    Unknown,
    Unreadable,
)

MINUTE: Final = 60_000
UNCLEAR: Final = 2  # attempts of unknown fate; then only looks
LOOKS_MS: Final = 48 * 60 * MINUTE  # an unknown entry is looked up for so long
BACKOFF_MS: Final = (5_000, 10_000, 20_000, 40_000, 60_000)
LOOK_AGAIN_MS: Final = 15_000  # at least, after a look that told nothing
REASON: Final = 300  # characters kept


class Send(NamedTuple):
    """Claim it, then publish it."""


class Look(NamedTuple):
    """Look for it in the service's record."""


class Wait(NamedTuple):
    """Nothing can be done before."""

    until_ms: int


class Settled(NamedTuple):
    """This is what became of it."""

    entry: Entry


class Done(NamedTuple):
    """There is nothing left to do."""


Action = Send | Look | Wait | Settled | Done


def decide(entry: Entry, now_ms: int, settle_ms: int, *, can_find: bool = True) -> Action:
    """What to do next with an entry that nobody else is at work on."""
    if entry.state == "pending":
        deadline = entry.deadline_ms
        if deadline is not None and max(now_ms, entry.not_before_ms) >= deadline:
            return Settled(_missed(entry))
        return Wait(entry.not_before_ms) if entry.not_before_ms > now_ms else Send()
    if entry.state == "sending":
        return Settled(recovered(entry, now_ms))
    if entry.state == "unknown" and can_find and now_ms < entry.attempt_ms + LOOKS_MS:
        due = entry.attempt_ms + settle_ms
        if entry.look_ms >= entry.attempt_ms:  # one look already told nothing
            due = max(due, entry.look_ms + max(settle_ms, LOOK_AGAIN_MS))
        return Look() if due <= now_ms else Wait(due)
    return Done()


def claimed(entry: Entry, now_ms: int, deadline_ms: int, price: int) -> Entry:
    """About to be sent: to be made durable before the request is. The price counts until it is known not to be owed."""
    return entry._replace(
        state="sending",
        cause="",
        reason="",
        attempts=entry.attempts + 1,
        first_ms=entry.first_ms or now_ms,
        attempt_ms=now_ms,
        deadline_ms=now_ms + deadline_ms if entry.deadline_ms is None else entry.deadline_ms,
        spent=entry.spent + price,
    )


def recovered(entry: Entry, now_ms: int) -> Entry:
    """An entry in `sending` whose process is gone; when it went nobody knows, so the time to settle begins now."""
    reason = "the process ended while it was posting"
    return entry._replace(state="unknown", unclear=entry.unclear + 1, attempt_ms=now_ms, reason=reason)


def published(entry: Entry, outcome: Outcome, now_ms: int, price: int) -> Entry:
    """An entry in `sending` after its attempt; `price` is what was counted for it."""
    entry = entry._replace(spent=max(0, entry.spent - price + outcome.spent))
    if isinstance(outcome, Receipt):
        return _sent(entry, outcome)
    if isinstance(outcome, Unknown):
        reason = _short(outcome.reason)
        return entry._replace(state="unknown", unclear=entry.unclear + 1, attempt_ms=now_ms, reason=reason)
    if outcome.cause == "duplicate" and entry.unclear:
        reason = "an attempt of unknown fate had landed: the service has the text already"
        return entry._replace(state="sent", reason=reason)
    why = entry._replace(cause=outcome.cause, reason=_short(outcome.reason))
    if outcome.retry_ms is None:
        return why._replace(state="failed")
    wait = BACKOFF_MS[min(entry.attempts, len(BACKOFF_MS)) - 1] if outcome.cause != "rate" else 0
    return why._replace(state="pending", not_before_ms=max(outcome.retry_ms, now_ms + wait))


def found(entry: Entry, finding: Finding, now_ms: int) -> Entry:
    """An unknown entry after a look."""
    entry = entry._replace(look_ms=now_ms, spent=entry.spent + finding.spent)
    if isinstance(finding, Receipt):
        return _sent(entry, finding)
    if isinstance(finding, Unreadable):
        return entry._replace(reason=_short(finding.reason))
    assert isinstance(finding, Absent)  # noqa: S101 - the only one left
    if entry.unclear >= UNCLEAR:
        reason = f"tried {entry.attempts} times, and it is not there"
        return entry._replace(state="failed", cause="refused", reason=reason)
    return entry._replace(
        state="pending", reason=f"not there after: {entry.reason}"[:REASON], not_before_ms=0
    )


def revived(entry: Entry) -> Entry:
    """An entry asked for by name again: certainly not posted, so it may be tried anew, its deadline too."""
    if entry.state not in ("failed", "skipped"):
        return entry
    return entry._replace(state="pending", cause="", reason="", not_before_ms=0, deadline_ms=None)


def left_out(entry: Entry, cause: Cause, reason: str) -> Entry:
    """An entry that is not to be posted."""
    return entry._replace(state="skipped", cause=cause, reason=_short(reason))


def _missed(entry: Entry) -> Entry:
    why = f": {entry.reason}" if entry.reason else ""
    return entry._replace(
        state="skipped", cause=entry.cause or "missed", reason=f"its time is over{why}"[:REASON]
    )


def _sent(entry: Entry, receipt: Receipt) -> Entry:
    return entry._replace(
        state="sent",
        cause="",
        remote_id=receipt.remote_id,
        reason=_short(receipt.note),
        not_before_ms=receipt.not_before_ms,
    )


def _short(reason: str) -> str:
    return reason[:REASON]
