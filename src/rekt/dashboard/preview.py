"""The next post: its words and its picture as they would go out now, and what became of the last ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, Protocol

from rekt.fields import HOUR, iso_ms
from rekt.model import Window
from rekt.posts.chart import Chart, alt_text, draw
from rekt.posts.compose import Draft, compose
from rekt.posts.gate import Terms
from rekt.posts.mood import History
from rekt.posts.schedule import hour_key
from rekt.posts.subject import Subject, day, history, subject
from rekt.posts.template import Template
from rekt.publisher import Entry
from rekt.stats.coverage import Traits
from rekt.stats.status import entry_object
from rekt.store import Facts

OUTCOMES: Final = 6  # of the last posts
KEPT_MS: Final = 30_000  # a divisor of the hour
NOT_WANTED: Final = "posts go without a picture: [POST] picture is no"
NOT_INSTALLED: Final = (
    "no picture: what draws it is not installed (pip install 'rekt[post]'; in a checkout `rekt tweet --dry-run"
    " --image FILE` installs it)"
)


class Posting(NamedTuple):
    """How posts are made, as configured."""

    templates: Callable[[], Sequence[Template]]
    terms: Terms = Terms()
    theme: str | None = "dark"  # the picture's; None: posts have none


class Posts(Facts, Protocol):
    """A ledger and its outbox, for reading."""

    def last_template(self, service: str, before_key: str) -> str:
        """What the newest post but this one was made from; a service of "" stands for all."""
        ...

    def posts(self, count: int = 20) -> list[Entry]:
        """The newest entries of the outbox."""
        ...


class Preview:
    """Makes the post of the running hour from a ledger: anew every half a minute, so that words and picture agree."""

    def __init__(self, posting: Posting, traits: Mapping[str, Traits]) -> None:
        self._posting = posting
        self._traits = traits
        self._past: tuple[object, History] = (None, History())
        self._made: dict[int, tuple[Draft, Chart]] = {}  # the newest two

    def post(self, book: Posts, now: int) -> dict[str, Any]:
        """The object *post*."""
        at = now // KEPT_MS
        draft, data = self._make(book, at, now)
        lacking = self.lacking()
        return {
            "hour": iso_ms(draft.hour), "text": draft.text, "weighted_length": draft.weighted_length,
            "would": draft.would, "reason": draft.reason or None,
            "picture": None if lacking else f"/api/v1/post.png?at={at}",
            "picture_alt": alt_text(data), "picture_lacking": lacking,
            "outcomes": [entry_object(one) for one in book.posts(OUTCOMES)],
        }  # fmt: skip

    def lacking(self) -> str | None:
        """Why there is no picture."""
        if self._posting.theme is None:
            return NOT_WANTED
        return NOT_INSTALLED if find_spec("matplotlib") is None else None

    def chart(self, book: Posts, at: int | None, now: int) -> tuple[int, Chart]:
        """What the picture shows, and its number: that of the words which named it, where they are not too old."""
        known = self._made.get(at) if at is not None else None
        if at is not None and known is not None:
            return at, known[1]
        return now // KEPT_MS, self._make(book, now // KEPT_MS, now)[1]

    def picture(self, data: Chart) -> bytes:
        """The picture as a PNG; takes a second, so not for the event loop. Raises ImportError."""
        return draw(data, self._posting.theme or "dark")

    def _make(self, book: Posts, at: int, now: int) -> tuple[Draft, Chart]:
        made = self._made.get(at)
        if made is None:
            end = now - now % HOUR + HOUR
            window, traits = Window(end - HOUR, end), self._traits
            hour = subject(book, window, now, traits=traits, terms=self._posting.terms)
            made = (self._draft(book, hour), day(book, hour, now, traits=traits))
            self._made = {**dict(list(self._made.items())[-1:]), at: made}
        return made

    def _draft(self, book: Posts, hour: Subject) -> Draft:
        start = hour.summary.window.start
        of = (start, tuple(hour.venues))
        if self._past[0] != of:  # what was before an hour does not change with it
            self._past = (of, history(book, hour))
        return compose(
            hour.summary._replace(final=True),  # would it be posted if the hour ended like this?
            self._posting.templates(),
            terms=self._posting.terms,
            history=self._past[1],
            last=book.last_template("", hour_key(start)),
            venues=hour.venues,
            without=hour.without,
        )
