"""What X's answers mean. Pure; after X's documents of August 2026."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple
from unicodedata import normalize

from rekt.publisher import NotPosted, Outcome, Receipt, Unknown

RATE_S: Final = 60.0  # to wait where X does not say how long
_LINKS = re.compile(r"(?:\s*https://t\.co/\w+)+\s*$")


class Reply(NamedTuple):
    """An answer of X, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def object(self) -> dict[str, Any]:
        """The JSON object in it; an empty one where there is none."""
        with suppress(ValueError):
            found = json.loads(self.body)
            if isinstance(found, dict):
                return found
        return {}


def judge(reply: Reply, now_ms: int, *, price: int = 0, before: int = 0, note: str = "") -> Outcome:
    """What X's answer to a post means. `price`: of the post; `before`: spent already."""
    words = said(reply)
    if 200 <= reply.status < 300:
        data = reply.object().get("data")
        if isinstance(data, dict) and data.get("id"):
            return Receipt(str(data["id"]), note, price + before, _free_ms(reply, now_ms, default_ms=0))
        return Unknown(f"X's answer can't be read ({words})", price + before)
    found = reply.object()
    errors = found.get("errors")
    codes = (
        {str(one.get("code")) for one in errors if isinstance(one, dict)}
        if isinstance(errors, list)
        else set()
    )
    if reply.status == 429 or "88" in codes:
        wait = _free_ms(reply, now_ms, default_ms=now_ms + round(RATE_S * 1000))
        return NotPosted("rate", f"X's rate limit ({words})", wait, before)
    if reply.status == 402:
        return NotPosted("credits", f"X's credits are used up ({words})", None, before)
    if reply.status == 401:
        return NotPosted("keys", f"X refuses the keys, or this clock is off ({words})", None, before)
    if reply.status == 403:
        if "453" in codes:
            return NotPosted("keys", f"X: the app's access level does not allow this ({words})", None, before)
        if "duplicate content" in str(found).lower() or "187" in codes:
            return NotPosted("duplicate", f"X has the same text already ({words})", None, before)
        return NotPosted("refused", f"X does not permit it ({words})", None, before)
    if 400 <= reply.status < 500 and reply.status != 408:
        return NotPosted("refused", f"X refuses it ({words})", None, before)
    return Unknown(f"X answered {words}", price + before)


def same(shown: str, text: str) -> bool:
    """Whether a post as X shows it is this text: X escapes HTML and appends the picture's address.

    >>> same("a &lt; b · 2026-07-16 12:00 UTC https://t.co/Ab12", "a < b · 2026-07-16 12:00 UTC")
    True
    """
    wanted = normalize("NFC", text).strip()
    return any(normalize("NFC", html.unescape(s)).strip() == wanted for s in (shown, _LINKS.sub("", shown)))


def _free_ms(reply: Reply, now_ms: int, *, default_ms: int) -> int:
    """The latest reset of the limits that have nothing left."""
    resets = []
    for kind in ("x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour"):
        with suppress(KeyError, ValueError):
            if int(reply.headers[f"{kind}-remaining"]) <= 0:
                resets.append(int(reply.headers[f"{kind}-reset"]) * 1000)
    if not resets and reply.status == 429:
        with suppress(KeyError, ValueError):
            resets.append(int(reply.headers["x-rate-limit-reset"]) * 1000)
    return max(resets) + 1000 if resets and max(resets) >= now_ms else default_ms


def said(reply: Reply) -> str:
    """The answer in a few words."""
    found = reply.object()
    errors = found.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    words = found.get("detail") or first.get("message") or first.get("detail") or found.get("title") or ""
    shown = "".join(c for c in str(words) if c.isprintable())[:200]
    return f"HTTP {reply.status}: {shown}" if shown else f"HTTP {reply.status}"
