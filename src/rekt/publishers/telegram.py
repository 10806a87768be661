"""Telegram, by its bot API. It has no idempotency and a bot can't read what it sent: an unclear outcome stays so."""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from rekt.config import Key, Section
from rekt.errors import RektError
from rekt.publisher import Finding, NotPosted, Outcome, Post, Receipt, Service, Unknown, Unreadable, refusal
from rekt.wire.http import Answer, Lost, Unsent, exchange

PICTURE_BYTES: Final = 10_000_000


class Telegram:
    """One bot writing to one chat or channel."""

    limit = 1024  # of a caption, in UTF-16 units
    can_find = False

    def __init__(self, settings: Section, folder: Path | None = None) -> None:  # noqa: ARG002 - it keeps nothing
        self._url = f"{settings.text('api_url').rstrip('/')}/bot{settings.text('bot_token')}"
        self._chat = settings.text("chat_id")

    def length(self, text: str) -> int:
        return len(text.encode("utf-16-le")) // 2

    def objection(self, text: str) -> str | None:  # noqa: ARG002 - addresses cost nothing here
        return None

    def price(self, post: Post) -> int:  # noqa: ARG002 - nothing
        return 0

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:
        """A photo with a caption; words alone where the photo is refused."""
        until, note = time.monotonic() + within_s, ""
        try:
            if post.picture is not None and len(post.picture) <= PICTURE_BYTES:
                data = {"chat_id": self._chat, "caption": post.text}
                files = {"photo": ("hour.png", post.picture, "image/png")}
                answer = self._call("sendPhoto", until, data=data, files=files)
                if answer.status not in (400, 413):
                    return _outcome(answer, now_ms)
                note = f"without its picture: {_detail(answer)}"
            body = {"chat_id": self._chat, "text": post.text, "link_preview_options": {"is_disabled": True}}
            return _outcome(self._call("sendMessage", until, json=body), now_ms, note)
        except Unsent as error:
            return NotPosted("unreachable", error.message, now_ms)
        except Lost as error:
            return Unknown(error.message)

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:  # noqa: ARG002 - the protocol's
        return Unreadable("Telegram shows a bot nothing of what it sent: look into the chat")

    def verify(self, within_s: float) -> str:
        until = time.monotonic() + within_s
        bot = self._call("getMe", until)
        if bot.status != 200:
            raise RektError(f"Telegram refuses the token: HTTP {bot.status}")
        chat = self._call("getChat", until, params={"chat_id": self._chat})
        if chat.status != 200:
            raise RektError(f"Telegram: the bot does not see the chat {self._chat}: {_detail(chat)}")
        return f"@{bot.object()['result'].get('username', '?')} in {self._chat}"

    def _call(self, name: str, until: float, **content: Any) -> Answer:
        left = max(0.5, until - time.monotonic())
        return exchange("POST", f"{self._url}/{name}", within_s=left, **content)


def _outcome(answer: Answer, now_ms: int, note: str = "") -> Outcome:
    found = answer.object()
    result = found.get("result")
    if answer.status == 200:
        if found.get("ok") and isinstance(result, dict) and result.get("message_id"):
            return Receipt(str(result["message_id"]), note)
        return Unknown("the answer can't be read")
    if answer.status == 429:
        more = found.get("parameters")
        wait = more.get("retry_after", 30) if isinstance(more, dict) else 30
        return NotPosted("rate", "too many messages", now_ms + round(float(wait) * 1000))
    if answer.status == 404:
        return NotPosted("keys", "Telegram does not know the bot's token (HTTP 404)")
    return refusal(answer, now_ms, _detail(answer))


def _detail(answer: Answer) -> str:
    return str(answer.object().get("description", f"HTTP {answer.status}"))[:200]


SERVICE = Service(
    section="TELEGRAM",
    keys=MappingProxyType(
        {
            "bot_token": Key("secret", "", "The token that @BotFather gave."),
            "chat_id": Key("text", "", "The chat or channel, such as @burning_money or -1001234567890."),
            "api_url": Key("text", "https://api.telegram.org", "Where the bot API is."),
        }
    ),
    required=("bot_token", "chat_id"),
    open=Telegram,
)
