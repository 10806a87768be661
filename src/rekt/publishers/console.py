"""No service: the post in the data folder's `posts/`, for as long as there are no keys. It may be made again."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from rekt.config import Section
from rekt.publisher import Absent, Finding, NotPosted, Outcome, Post, Receipt, Service


class Console:
    """A folder of text and picture files."""

    limit = 280
    can_find = True

    def __init__(self, settings: Section, folder: Path) -> None:  # noqa: ARG002 - it has no settings
        self._folder = folder / "posts"

    def length(self, text: str) -> int:
        return len(text)

    def objection(self, text: str) -> str | None:  # noqa: ARG002 - nothing is wrong with any
        return None

    def price(self, post: Post) -> int:  # noqa: ARG002 - nothing
        return 0

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:  # noqa: ARG002 - the protocol's
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in post.key)
        text = self._folder / f"{name}.txt"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            text.write_text(post.text + "\n", "utf-8")
            if post.picture is not None:
                text.with_suffix(".png").write_bytes(post.picture)
        except OSError as error:
            return NotPosted("refused", f"{text} can't be written: {error.strerror}")
        return Receipt(str(text))

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:  # noqa: ARG002 - the protocol's
        return Absent()

    def verify(self, within_s: float) -> str:  # noqa: ARG002 - the protocol's
        return str(self._folder)


SERVICE = Service(section="POST", keys=MappingProxyType({}), required=(), open=Console, kept=False)
