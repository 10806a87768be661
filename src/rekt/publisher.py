"""What a publisher is: it takes a post to one service and says truthfully what came of it.

The three outcomes are the heart of posting once. `Receipt`: it is there. `NotPosted`: it is certainly not there.
`Unknown`: the request may have been carried out (a time-out after sending, a cut connection, a 5xx, an answer that
can't be read). Unknown is never guessed away: it is settled by `find`, which reads the service's own record.

A module in `publishers/` exposes a `Service` as SERVICE; its file's name is the service's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from rekt.config import Key, Section
from rekt.wire.http import Answer

Cause = Literal[
    "", "keys", "credits", "budget", "rate", "duplicate", "refused", "unreachable", "missed", "coverage"
]
State = Literal["pending", "sending", "sent", "unknown", "failed", "skipped"]

CONNECT_S: Final = 5.0
READ_S: Final = 20.0


class Post(NamedTuple):
    """What goes out."""

    key: str  # `2026-07-16T12`, or what else tells it from all others: once for each service and key
    text: str
    picture: bytes | None = None  # PNG
    alt: str = ""  # the picture in words
    first_ms: int = 0  # when it was first tried: no record of it can be older


class Receipt(NamedTuple):
    """It is posted."""

    remote_id: str | None
    note: str = ""  # what went less well: "without its picture: …"
    spent: int = 0  # micro-dollars
    not_before_ms: int = 0  # the service wants no other post before


class NotPosted(NamedTuple):
    """It is certainly not posted."""

    cause: Cause
    reason: str
    retry_ms: int | None = None  # when trying again can help; None: not at all
    spent: int = 0


class Unknown(NamedTuple):
    """It may be posted or not."""

    reason: str
    spent: int = 0


class Absent(NamedTuple):
    """The service's record was read far enough back, and it is not there."""

    spent: int = 0


class Unreadable(NamedTuple):
    """The service's record could not be read, or has none that can be."""

    reason: str
    spent: int = 0


Outcome = Receipt | NotPosted | Unknown
Finding = Receipt | Absent | Unreadable


class Entry(NamedTuple):
    """One post to one service as the outbox keeps it; times in ms."""

    service: str
    key: str
    text: str
    alt: str = ""
    template: str = ""  # what it was made from, so that the next one differs
    state: State = "pending"
    cause: Cause = ""
    reason: str = ""
    remote_id: str | None = None
    attempts: int = 0
    unclear: int = 0  # attempts of which nobody knew what came
    created_ms: int = 0
    first_ms: int = 0  # the first attempt
    attempt_ms: int = 0  # the last attempt; where its fate is unknown: when that was seen
    look_ms: int = 0  # the last look at the service's record
    not_before_ms: int = 0
    deadline_ms: int | None = None  # None: counted from the first attempt
    spent: int = 0  # micro-dollars
    revision: int = 0  # grows with every change


class Publisher(Protocol):
    """One service, with its keys. Every method ends within about `within_s`."""

    limit: int  # of the text, as `length` measures it
    can_find: bool  # whether `find` can ever tell

    def length(self, text: str) -> int:
        """The text's length as the service counts it."""
        ...

    def objection(self, text: str) -> str | None:
        """Why the service (or its bill) should not be given this text."""
        ...

    def price(self, post: Post) -> int:
        """What publishing it costs, micro-dollars."""
        ...

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:
        """Post it. Never raises for what the network or the service does."""
        ...

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:
        """Look for it in the service's own record, comparing the whole text."""
        ...

    def verify(self, within_s: float) -> str:
        """Prove the keys without posting; whose account it is. Raises RektError."""
        ...


class Service(NamedTuple):
    """A kind of publisher: its settings, and how one is made from them."""

    section: str
    keys: Mapping[str, Key]
    required: tuple[str, ...]  # the settings without which there is none
    open: Callable[[Section, Path], Publisher]  # its settings, and the data folder
    kept: bool = True  # False: nothing to do once only, so the outbox is not asked

    def missing(self, section: Section) -> list[str]:
        """The required settings that are not there."""
        return [key for key in self.required if not section.text(key)]


def refusal(answer: Answer, now_ms: int, detail: str = "") -> NotPosted | Unknown:
    """What an answer without success means at services that follow HTTP's own sense of the codes."""
    said = f"HTTP {answer.status}" + (f": {detail}" if detail else "")
    if answer.status in (401, 403):
        return NotPosted("keys", f"the keys are refused ({said})")
    if answer.status == 429:
        wait_s = retry_after_s(answer)
        return NotPosted("rate", f"too many requests ({said})", now_ms + round(wait_s * 1000))
    if 400 <= answer.status < 500 and answer.status != 408:
        return NotPosted("refused", f"refused ({said})")
    return Unknown(f"the service answered {said}")


def retry_after_s(answer: Answer, default: float = 60.0) -> float:
    """How long the service wants to be left alone."""
    try:
        return max(1.0, float(answer.headers.get("retry-after", "")))
    except ValueError:
        return default
