"""Apprise, for the long tail of services: e-mail, Slack, Matrix, ntfy and some 170 more, each by an address.

It returns no id and can't tell "may have been sent" from "failed": what it does not confirm is of unknown fate.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rekt.config import Key, Section
from rekt.errors import RektError
from rekt.publisher import Finding, NotPosted, Outcome, Post, Receipt, Service, Unknown, Unreadable


class Apprise:
    """Every address of a setting."""

    limit = 1024
    can_find = False

    def __init__(self, settings: Section, folder: Path | None = None) -> None:  # noqa: ARG002 - it keeps nothing
        self._urls = settings.text("urls").split()

    def length(self, text: str) -> int:
        return len(text)

    def objection(self, text: str) -> str | None:  # noqa: ARG002 - addresses cost nothing here
        return None

    def price(self, post: Post) -> int:  # noqa: ARG002 - nothing
        return 0

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:  # noqa: ARG002 - it has time-outs of its own
        with _quiet():
            from apprise import AppriseAttachment  # noqa: PLC0415 - 150 ms that a start need not wait for
            from apprise.attachment.memory import AttachMemory  # noqa: PLC0415

            try:
                known = self._known()
            except RektError as error:
                return NotPosted("refused", error.message)
            attach = None
            if post.picture is not None:
                attach = AppriseAttachment()
                attach.add(AttachMemory(content=post.picture, name="hour.png", mimetype="image/png"))  # type: ignore[no-untyped-call]
            if known.notify(body=post.text, attach=attach):
                return Receipt(None)
        return Unknown("not every service confirmed it")

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:  # noqa: ARG002 - the protocol's
        return Unreadable("Apprise can't read what was sent: look there yourself")

    def verify(self, within_s: float) -> str:  # noqa: ARG002 - nothing is asked
        with _quiet():
            self._known()
        return f"{len(self._urls)} addresses, understood (not tried)"

    def _known(self) -> Any:
        """Apprise with our addresses. Raises RektError, which tells the place of a bad one and not what it says."""
        import apprise  # noqa: PLC0415

        known = apprise.Apprise()
        for place, url in enumerate(self._urls, 1):
            if not known.add(url):
                raise RektError(f"Apprise does not understand address {place} of {len(self._urls)}")
        return known


@contextmanager
def _quiet() -> Iterator[None]:
    """What Apprise logs may hold addresses, and what it imports warns of its own age."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


SERVICE = Service(
    section="APPRISE",
    keys=MappingProxyType({"urls": Key("secret", "", "Apprise addresses to post to, separated by spaces.")}),
    required=("urls",),
    open=Apprise,
)
