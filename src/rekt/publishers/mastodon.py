"""Mastodon, by plain calls to its REST API. The Idempotency-Key makes a repeat within the hour the same post."""

from __future__ import annotations

import html
import re
import time
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from rekt.config import Key, Section
from rekt.errors import RektError
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
from rekt.wire.address import place
from rekt.wire.http import Answer, Lost, Unsent, exchange

PAGE: Final = 40
PAGES: Final = 10
SKEW_MS: Final = 600_000
ALT_LIMIT: Final = 1_500


class Mastodon:
    """One account, by its access token."""

    limit = 500
    can_find = True

    def __init__(self, settings: Section, folder: Path | None = None) -> None:  # noqa: ARG002 - it keeps nothing
        self._url = settings.text("url").rstrip("/")
        self._token = settings.text("access_token")
        self._visibility = settings.text("visibility")

    def length(self, text: str) -> int:
        return len(text)

    def objection(self, text: str) -> str | None:  # noqa: ARG002 - addresses cost nothing here
        return None

    def price(self, post: Post) -> int:  # noqa: ARG002 - nothing
        return 0

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:
        until = time.monotonic() + within_s
        media, note = self._upload(post, until)
        body: dict[str, Any] = {"status": post.text, "visibility": self._visibility, "language": "en"}
        if media:
            body["media_ids"] = [media]
        headers = {"Idempotency-Key": f"rekt {post.key}"}
        try:
            answer = self._call("POST", "/api/v1/statuses", until, json=body, headers=headers)
        except Unsent as error:
            return NotPosted("unreachable", error.message, now_ms)
        except Lost as error:
            return Unknown(error.message)
        if answer.status == 200:
            status = answer.object().get("id")
            return Receipt(str(status), note) if status else Unknown("the answer can't be read")
        return refusal(answer, now_ms, str(answer.object().get("error", ""))[:200])

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:  # noqa: ARG002 - the protocol's
        """Read the account's posts back to before the first attempt."""
        until = time.monotonic() + within_s
        query: dict[str, Any] = {"limit": PAGE}
        try:
            account = self._me(until)["id"]
            for _ in range(PAGES):
                answer = self._call("GET", f"/api/v1/accounts/{account}/statuses", until, params=query)
                found = answer.objects()
                if answer.status != 200 or found is None:
                    return Unreadable(f"{place(self._url)} does not show the posts: HTTP {answer.status}")
                for one in found:
                    if plain(str(one.get("content", ""))) == post.text.strip():
                        return Receipt(str(one["id"]))
                if not found or _created_ms(found[-1]) < post.first_ms - SKEW_MS:
                    return Absent()
                query["max_id"] = found[-1]["id"]
        except (RektError, KeyError, TypeError, AttributeError) as error:
            return Unreadable(f"{place(self._url)} does not show the posts: {type(error).__name__}")
        return Unreadable(f"more than {PAGE * PAGES} posts since then")

    def verify(self, within_s: float) -> str:
        return f"@{self._me(time.monotonic() + within_s)['acct']} at {place(self._url)}"

    def _me(self, until: float) -> dict[str, Any]:
        answer = self._call("GET", "/api/v1/accounts/verify_credentials", until)
        if answer.status != 200 or not answer.object().get("id"):
            raise RektError(f"{place(self._url)} refuses the token: HTTP {answer.status}")
        return answer.object()

    def _upload(self, post: Post, until: float) -> tuple[str | None, str]:
        if post.picture is None:
            return None, ""
        files = {"file": ("hour.png", post.picture, "image/png")}
        data = {"description": post.alt[:ALT_LIMIT]}
        try:
            answer = self._call("POST", "/api/v2/media", until, files=files, data=data)
            media = answer.object().get("id")
            while answer.status in (202, 206) and media and time.monotonic() < until - 10:
                time.sleep(1)
                answer = self._call("GET", f"/api/v1/media/{media}", until)
        except (Unsent, Lost) as error:
            return None, f"without its picture: {error.message}"
        if answer.status != 200 or not media:
            return None, f"without its picture: HTTP {answer.status}"
        return str(media), ""

    def _call(self, method: str, route: str, until: float, **content: Any) -> Answer:
        headers = {**content.pop("headers", {}), "Authorization": f"Bearer {self._token}"}
        left = max(0.5, until - time.monotonic())
        return exchange(method, self._url + route, within_s=left, headers=headers, **content)


def plain(content: str) -> str:
    r"""A post's HTML as the text it was made from.

    >>> plain("<p>a &lt; b<br />c <a href='#'>#<span>BTC</span></a></p>")
    'a < b\nc #BTC'
    """
    text = re.sub(r"<br\s*/?>", "\n", content)
    text = re.sub(r"</p>\s*<p>", "\n\n", text)
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()


def _created_ms(status: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(str(status["created_at"])).timestamp() * 1000)


SERVICE = Service(
    section="MASTODON",
    keys=MappingProxyType(
        {
            "url": Key("text", "", "The account's server, such as https://mastodon.social."),
            "access_token": Key(
                "secret", "", "A token that may write statuses and media, and read the account."
            ),
            "visibility": Key("text", "public", "public or unlisted; some servers want bots unlisted."),
        }
    ),
    required=("url", "access_token"),
    open=Mastodon,
)
