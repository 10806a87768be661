"""Bluesky, by plain calls to its XRPC API.

A record's key is derived from the post's: written with `swapRecord: null` it can be created once, ever. So a repeat
does no harm, and whether a post is there is one read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from rekt.config import Key, Section
from rekt.errors import RektError
from rekt.fields import iso_ms
from rekt.publisher import (
    Absent,
    Finding,
    NotPosted,
    Outcome,
    Post,
    Receipt,
    Service,
    Unknown,
    Unreadable,
    refusal,
)
from rekt.wire.http import Answer, Lost, Unsent, exchange

PICTURE_BYTES: Final = 2_000_000
COLLECTION: Final = "app.bsky.feed.post"
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"  # base32, sortable


def record_key(key: str) -> str:
    """The record key (TID) of a post: its time and ten bits of its name.

    >>> record_key("2026-07-16T12"), record_key("2026-07-16T12") == record_key("2026-07-16T13")
    ('3mqr6qz4w22dh', False)
    """
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d", key):
        us = round(datetime.strptime(key, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()) * 1_000_000
    else:
        found = re.search(r"\d{13}", key)  # ms
        us = int(found[0]) * 1000 if found else 0
    bits = int.from_bytes(blake2b(key.encode(), digest_size=2).digest()) & 1023
    number = (us << 10) | bits
    return "".join(_DIGITS[number >> shift & 31] for shift in range(60, -1, -5))


class Bluesky:
    """One account, by an app password."""

    limit = 300
    can_find = True

    def __init__(self, settings: Section, folder: Path | None = None) -> None:  # noqa: ARG002 - it keeps nothing
        self._url = settings.text("url").rstrip("/")
        self._handle = settings.text("handle")
        self._password = settings.text("app_password")

    def length(self, text: str) -> int:
        """Code points: never fewer than the graphemes that Bluesky counts."""
        return len(text)

    def objection(self, text: str) -> str | None:  # noqa: ARG002 - addresses cost nothing here
        return None

    def price(self, post: Post) -> int:  # noqa: ARG002 - nothing
        return 0

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:
        """Create the record; one that is there already with this text is the same post."""
        until = time.monotonic() + within_s
        try:
            session = self._session(until)
        except Unsent as error:
            return NotPosted("unreachable", error.message, now_ms)
        except Lost as error:  # nothing but a log-in is lost
            return NotPosted("unreachable", error.message, now_ms)
        if isinstance(session, Answer):
            outcome = refusal(session, now_ms, _detail(session))
            why = outcome.reason
            return outcome if isinstance(outcome, NotPosted) else NotPosted("unreachable", why, now_ms)
        embed, note = self._picture(post, session, until)
        record: dict[str, Any] = {
            "$type": COLLECTION,
            "text": post.text,
            "createdAt": iso_ms(now_ms),
            "langs": ["en"],
        }
        if embed:
            record["embed"] = embed
        body = {
            "repo": session["did"],
            "collection": COLLECTION,
            "rkey": record_key(post.key),
            "record": record,
            "swapRecord": None,
        }
        try:
            answer = self._call("POST", "com.atproto.repo.putRecord", until, session, json=body)
        except Unsent as error:
            return NotPosted("unreachable", error.message, now_ms)
        except Lost as error:
            return Unknown(error.message)
        if answer.status == 200:
            uri = answer.object().get("uri")
            return Receipt(str(uri), note) if uri else Unknown("the answer can't be read")
        if answer.object().get("error") == "InvalidSwap":
            found = self.find(post, now_ms, max(1.0, until - time.monotonic()))
            if isinstance(found, Receipt):
                return found
            return NotPosted("duplicate", "there is another post for this hour already")
        return refusal(answer, now_ms, _detail(answer))

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:  # noqa: ARG002 - the protocol's
        """Read the record of this key."""
        until = time.monotonic() + within_s
        try:
            session = self._session(until)
            if isinstance(session, Answer):
                return Unreadable(f"Bluesky refuses the log-in: HTTP {session.status}")
            query = {"repo": session["did"], "collection": COLLECTION, "rkey": record_key(post.key)}
            answer = self._call("GET", "com.atproto.repo.getRecord", until, session, params=query)
        except (Unsent, Lost) as error:
            return Unreadable(error.message)
        found = answer.object()
        if answer.status == 200 and isinstance(found.get("value"), dict):
            if found["value"].get("text") == post.text:
                return Receipt(str(found.get("uri")))
            return Unreadable("there is another post for this hour")
        if answer.status in (400, 404) and "RecordNotFound" in str(found.get("error")):
            return Absent()
        return Unreadable(f"Bluesky does not show the record: HTTP {answer.status}")

    def verify(self, within_s: float) -> str:
        session = self._session(time.monotonic() + within_s)
        if isinstance(session, Answer):
            raise RektError(f"Bluesky refuses the log-in: HTTP {session.status} {_detail(session)}")
        return f"@{session.get('handle', self._handle)}"

    def _session(self, until: float) -> dict[str, Any] | Answer:
        """A session, or the answer that refuses it. Raises Unsent or Lost."""
        body = {"identifier": self._handle, "password": self._password}
        answer = self._call("POST", "com.atproto.server.createSession", until, None, json=body)
        found = answer.object()
        return found if answer.status == 200 and found.get("did") and found.get("accessJwt") else answer

    def _picture(
        self, post: Post, session: Mapping[str, Any], until: float
    ) -> tuple[dict[str, Any] | None, str]:
        if post.picture is None:
            return None, ""
        if len(post.picture) > PICTURE_BYTES:
            return None, "without its picture: it is too large for Bluesky"
        try:
            answer = self._call(
                "POST",
                "com.atproto.repo.uploadBlob",
                until,
                session,
                content=post.picture,
                headers={"Content-Type": "image/png"},
            )
        except (Unsent, Lost) as error:
            return None, f"without its picture: {error.message}"
        blob = answer.object().get("blob")
        if answer.status != 200 or not isinstance(blob, dict):
            return None, f"without its picture: HTTP {answer.status}"
        image = {"image": blob, "alt": post.alt, "aspectRatio": {"width": 1200, "height": 675}}
        return {"$type": "app.bsky.embed.images", "images": [image]}, ""

    def _call(
        self, method: str, name: str, until: float, session: Mapping[str, Any] | None, **content: Any
    ) -> Answer:
        headers = dict(content.pop("headers", {}))
        if session is not None:
            headers["Authorization"] = f"Bearer {session['accessJwt']}"
        left = max(0.5, until - time.monotonic())
        return exchange(method, f"{self._url}/xrpc/{name}", within_s=left, headers=headers, **content)


def _detail(answer: Answer) -> str:
    found = answer.object()
    return str(found.get("message") or found.get("error") or "")[:200]


SERVICE = Service(
    section="BLUESKY",
    keys=MappingProxyType(
        {
            "handle": Key("text", "", "The account, such as name.bsky.social."),
            "app_password": Key("secret", "", "An app password of it (not the account's own)."),
            "url": Key("text", "https://bsky.social", "The account's server."),
        }
    ),
    required=("handle", "app_password"),
    open=Bluesky,
)
