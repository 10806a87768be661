"""Discord, by a channel's webhook. `wait=true` makes it answer with the message; it has no idempotency to rely on."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from rekt.config import Key, Section
from rekt.errors import RektError
from rekt.publisher import Finding, NotPosted, Outcome, Post, Receipt, Service, Unknown, Unreadable, refusal
from rekt.wire.http import Lost, Unsent, exchange

PICTURE_BYTES: Final = 10_000_000
ALT_LIMIT: Final = 1_024


class Discord:
    """One channel."""

    limit = 2000
    can_find = False

    def __init__(self, settings: Section, folder: Path | None = None) -> None:  # noqa: ARG002 - it keeps nothing
        self._url = settings.text("webhook_url").split("?")[0].rstrip("/")

    def length(self, text: str) -> int:
        return len(text)

    def objection(self, text: str) -> str | None:  # noqa: ARG002 - addresses cost nothing here
        return None

    def price(self, post: Post) -> int:  # noqa: ARG002 - nothing
        return 0

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:
        message: dict[str, Any] = {"content": post.text, "allowed_mentions": {"parse": []}}
        content: dict[str, Any] = {"json": message}
        if post.picture is not None and len(post.picture) <= PICTURE_BYTES:
            message["attachments"] = [{"id": 0, "filename": "hour.png", "description": post.alt[:ALT_LIMIT]}]
            files = {"files[0]": ("hour.png", post.picture, "image/png")}
            content = {"data": {"payload_json": json.dumps(message)}, "files": files}
        try:
            answer = exchange("POST", self._url, params={"wait": "true"}, within_s=within_s, **content)
        except Unsent as error:
            return NotPosted("unreachable", error.message, now_ms)
        except Lost as error:
            return Unknown(error.message)
        found = answer.object()
        if answer.status == 200:
            return Receipt(str(found["id"])) if found.get("id") else Unknown("the answer can't be read")
        if answer.status == 429:
            try:
                wait = float(found.get("retry_after", 30))
            except (TypeError, ValueError):
                wait = 30.0
            return NotPosted("rate", "too many messages", now_ms + round(wait * 1000))
        if answer.status == 404:
            return NotPosted("keys", "Discord does not know this webhook (HTTP 404)")
        return refusal(answer, now_ms, str(found.get("message", ""))[:200])

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:  # noqa: ARG002 - the protocol's
        return Unreadable("a webhook is shown nothing of its channel: look into it")

    def verify(self, within_s: float) -> str:
        answer = exchange("GET", self._url, within_s=within_s)
        if answer.status != 200:
            raise RektError(f"Discord refuses the webhook: HTTP {answer.status}")
        return f"webhook {answer.object().get('name', '?')}"


SERVICE = Service(
    section="DISCORD",
    keys=MappingProxyType({"webhook_url": Key("secret", "", "The channel's webhook address.")}),
    required=("webhook_url",),
    open=Discord,
)
