"""X, through tweepy's v2 client with OAuth 1.0a user keys.

X has no idempotency key. So whatever may have been carried out is Unknown, and settled by reading the account's own
timeline. The answers and what they mean are those of X's documents of August 2026.

tweepy has no time-outs and a fixed host; its session is replaced by one that has both. The host is changed before the
request is signed: an OAuth 1.0a signature covers it.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from unicodedata import normalize
from urllib.parse import urlsplit

from rekt.config import Section
from rekt.errors import RektError
from rekt.fields import iso_ms
from rekt.publisher import (
    CONNECT_S,
    READ_S,
    Absent,
    Finding,
    NotPosted,
    Outcome,
    Post,
    Receipt,
    Service,
    Unknown,
    Unreadable,
)
from rekt.wire.address import place, proxy_for

POST, POST_WITH_URL, ALT_TEXT, READ = 15_000, 200_000, 5_000, 1_000  # micro-dollars, since 20 April 2026
ALT_LIMIT: Final = 1_000
PICTURE_BYTES: Final = 5_000_000
PICTURE_S: Final = 50.0  # with less time than this left, the post goes without its picture
PAGE: Final = 100
PAGES: Final = 10
SKEW_MS: Final = 600_000  # the clocks of X and this machine differ by less: else the keys are refused
RATE_S: Final = 60.0  # to wait where X does not say how long
MAX_BODY: Final = 8 << 20

_CASHTAG = re.compile(r"(?<![^\s(\"'])\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?![A-Za-z0-9_])")
_LINKS = re.compile(r"(?:\s*https://t\.co/\w+)+\s*$")
_KEYS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


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


class _Fate(RektError):
    """A request without an answer; `sent` tells whether X may have carried it out."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class X:
    """One account."""

    limit = 280
    can_find = True

    def __init__(self, settings: Section, folder: Path | None = None) -> None:  # noqa: ARG002 - it keeps nothing
        self._keys = [settings.text(key) for key in _KEYS]
        self._origin = settings.text("api_url").rstrip("/")
        self._links = settings.flag("allow_links")

    def length(self, text: str) -> int:
        """Weighted as X does, by X's own rules."""
        from twitter_text import parse_tweet  # noqa: PLC0415 - a dry run needs it not

        return int(parse_tweet(text).weightedLength)

    def objection(self, text: str) -> str | None:
        """An address makes a post thirteen times dearer, a second cashtag makes X refuse it."""
        from twitter_text.extract_urls import extract_urls  # noqa: PLC0415
        from twitter_text.parse_tweet import parse_tweet  # noqa: PLC0415

        if not self._links and (urls := extract_urls(text)):
            return f"X would make an address of {urls[0]!r}, which costs ${POST_WITH_URL / 1e6:.2f} a post"
        if len(tags := _CASHTAG.findall(text)) > 1:
            return f"X takes one cashtag, this has {len(tags)}: {' '.join(tags)}"
        measured = parse_tweet(text)
        if not measured.valid:
            return (
                f"the text has {measured.weightedLength} of {self.limit} characters, or some that X refuses"
            )
        return None

    def price(self, post: Post) -> int:
        """What the post and the words of its picture cost."""
        from twitter_text.extract_urls import extract_urls  # noqa: PLC0415

        text = POST_WITH_URL if extract_urls(post.text) else POST
        return text + (ALT_TEXT if post.picture and post.alt else 0)

    def publish(self, post: Post, now_ms: int, within_s: float) -> Outcome:
        """Upload the picture, then post; the picture may fail, the post must not."""
        if why := self.objection(post.text):
            return NotPosted("refused", why)
        until = time.monotonic() + within_s
        media, note, spent = None, "", 0
        if post.picture is not None:
            media, note, spent = self._upload(post, until)
        client = self._client()
        try:
            reply = self._ask(
                client,
                until,
                lambda: client.create_tweet(text=post.text, media_ids=[media] if media else None),
            )
        except _Fate as fate:
            if fate.sent:
                return Unknown(fate.message, self.price(post))
            return NotPosted("unreachable", fate.message, now_ms, spent)
        return judge(reply, now_ms, price=self.price(post._replace(picture=None)), before=spent, note=note)

    def find(self, post: Post, now_ms: int, within_s: float) -> Finding:  # noqa: ARG002 - the protocol's
        """Read the account's posts back to before the first attempt, and compare whole texts."""
        until = time.monotonic() + within_s
        spent = 0
        try:
            account, client = self._me(until)["id"], self._client()
            query: dict[str, Any] = {"max_results": PAGE, "tweet.fields": "created_at"}
            query["start_time"] = iso_ms((post.first_ms - SKEW_MS) // 1000 * 1000)
            for _ in range(PAGES):
                reply = self._request(client, "GET", f"/2/users/{account}/tweets", until, params=query)
                found = reply.object()
                posts, meta = found.get("data", []), found.get("meta")
                if reply.status != 200 or not isinstance(posts, list) or not isinstance(meta, dict):
                    return Unreadable(f"X does not show the account's posts: {_said(reply)}", spent)
                spent += READ * len(posts)
                for one in posts:
                    if isinstance(one, dict) and same(str(one.get("text", "")), post.text):
                        return Receipt(str(one["id"]) if one.get("id") else None, spent=spent)
                following = meta.get("next_token")
                if not following:
                    return Absent(spent)
                query["pagination_token"] = following
        except (_Fate, RektError) as error:
            return Unreadable(error.message, spent)
        return Unreadable(f"X has more than {PAGE * PAGES} posts since then", spent)

    def verify(self, within_s: float) -> str:
        """Whose keys these are."""
        me = self._me(time.monotonic() + within_s)
        return f"@{me.get('username') or me['id']} at {place(self._origin)}"

    def _me(self, until: float) -> dict[str, Any]:
        reply = self._request(self._client(), "GET", "/2/users/me", until)
        me = reply.object().get("data")
        if reply.status == 200 and isinstance(me, dict) and me.get("id"):
            return me
        outcome = judge(reply, 0)
        raise RektError(
            getattr(outcome, "reason", "") or f"X does not say whose keys these are: {_said(reply)}"
        )

    def _upload(self, post: Post, until: float) -> tuple[str | None, str, int]:
        """The picture's id, or None and why not; and what its words cost."""
        picture = post.picture or b""
        if until - time.monotonic() < PICTURE_S:
            return None, "without its picture: too little time was left", 0
        if len(picture) > PICTURE_BYTES:
            return None, "without its picture: it is too large for X", 0
        body = {
            "media": base64.b64encode(picture).decode(),
            "media_category": "tweet_image",
            "media_type": "image/png",
        }
        try:
            reply = self._request(self._client(), "POST", "/2/media/upload", until, json=body)
        except _Fate as fate:
            return None, f"without its picture: {fate.message}", 0
        data = reply.object().get("data")
        media = str(data["id"]) if isinstance(data, dict) and data.get("id") else None
        if media is None or not 200 <= reply.status < 300:
            return None, f"without its picture: {_said(reply)}", 0
        if not post.alt:
            return media, "", 0
        alt = {"id": media, "metadata": {"alt_text": {"text": post.alt[:ALT_LIMIT]}}}
        try:
            reply = self._request(self._client(), "POST", "/2/media/metadata", until, json=alt)
        except _Fate as fate:
            return media, f"without words for its picture: {fate.message}", ALT_TEXT if fate.sent else 0
        if not 200 <= reply.status < 300:
            return media, f"without words for its picture: {_said(reply)}", 0
        return media, "", ALT_TEXT

    def _request(self, client: Any, method: str, route: str, until: float, **content: Any) -> Reply:
        return self._ask(client, until, lambda: client.request(method, route, user_auth=True, **content))

    def _client(self) -> Any:
        import requests  # noqa: PLC0415 - tweepy and requests take longer than all the rest
        import tweepy  # noqa: PLC0415

        client = tweepy.Client(
            consumer_key=self._keys[0],
            consumer_secret=self._keys[1],
            access_token=self._keys[2],
            access_token_secret=self._keys[3],
            return_type=requests.Response,
        )
        client.session = _session(self._origin)
        return client

    def _ask(self, client: Any, until: float, call: Any) -> Reply:
        """Make a call of tweepy's and give the answer itself, whatever tweepy makes of it. Raises _Fate."""
        import requests  # noqa: PLC0415
        import tweepy  # noqa: PLC0415

        session = client.session
        session.until, session.reply = until, None
        where = place(self._origin)
        try:
            call()
        except tweepy.TweepyException:
            pass  # an answer, told by its status
        except requests.RequestException as error:
            if session.reply is None:
                raise _Fate(_words(error, where), sent=_sent(error)) from None
        except (ValueError, TypeError, AttributeError, KeyError, OSError) as error:
            if session.reply is None:
                message = f"{where}: {type(error).__name__} while asking"
                raise _Fate(message, sent=isinstance(error, OSError)) from None
        finally:
            session.close()
        if session.reply is None:
            raise _Fate(f"{where}: no answer", sent=True)
        reply: Reply = session.reply
        return reply


def _session(origin: str) -> Any:
    """A session of requests to one host, with time-outs, without redirects, that keeps the answer as it came."""
    import requests  # noqa: PLC0415
    import urllib3.exceptions as urllib3  # noqa: PLC0415

    class Session(requests.Session):
        until = 0.0
        reply: Reply | None = None

        def request(self, method: str, url: str, **more: Any) -> Any:  # type: ignore[override]  # as tweepy calls it
            url = origin + urlsplit(url).path
            self.trust_env = False
            proxy = proxy_for(url, os.environ)
            left = max(0.5, self.until - time.monotonic())
            more["headers"] = {**(more.get("headers") or {}), "Connection": "close"}
            more |= {"timeout": (min(CONNECT_S, left), min(READ_S, left)), "allow_redirects": False}
            more |= {"stream": True, "verify": os.environ.get("SSL_CERT_FILE") or True}
            more["proxies"] = {"http": proxy, "https": proxy} if proxy else {}
            response = super().request(method, url, **more)
            body = bytearray()
            limit = time.monotonic() + min(READ_S, left)
            try:
                while chunk := response.raw.read1(1 << 16, decode_content=True):  # what there is, at once
                    body += chunk
                    if len(body) > MAX_BODY or time.monotonic() > limit:
                        raise requests.Timeout("the answer did not end in time")
            except urllib3.HTTPError as error:
                raise requests.ConnectionError("the answer broke off") from error
            response._content = bytes(body)  # noqa: SLF001 - what reading it all would have set
            self.reply = Reply(response.status_code, response.headers, bytes(body))
            return response

    return Session()


def judge(reply: Reply, now_ms: int, *, price: int = 0, before: int = 0, note: str = "") -> Outcome:
    """What X's answer to a post means. `price`: of the post; `before`: spent already."""
    said = _said(reply)
    if 200 <= reply.status < 300:
        data = reply.object().get("data")
        if isinstance(data, dict) and data.get("id"):
            return Receipt(str(data["id"]), note, price + before, _free_ms(reply, now_ms, default_ms=0))
        return Unknown(f"X's answer can't be read ({said})", price + before)
    found = reply.object()
    errors = found.get("errors")
    codes = (
        {str(one.get("code")) for one in errors if isinstance(one, dict)}
        if isinstance(errors, list)
        else set()
    )
    if reply.status == 429 or "88" in codes:
        wait = _free_ms(reply, now_ms, default_ms=now_ms + round(RATE_S * 1000))
        return NotPosted("rate", f"X's rate limit ({said})", wait, before)
    if reply.status == 402:
        return NotPosted("credits", f"X's credits are used up ({said})", None, before)
    if reply.status == 401:
        return NotPosted("keys", f"X refuses the keys, or this clock is off ({said})", None, before)
    if reply.status == 403:
        if "453" in codes:
            return NotPosted("keys", f"X: the app's access level does not allow this ({said})", None, before)
        if "duplicate content" in str(found).lower() or "187" in codes:
            return NotPosted("duplicate", f"X has the same text already ({said})", None, before)
        return NotPosted("refused", f"X does not permit it ({said})", None, before)
    if 400 <= reply.status < 500 and reply.status != 408:
        return NotPosted("refused", f"X refuses it ({said})", None, before)
    return Unknown(f"X answered {said}", price + before)


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


def _said(reply: Reply) -> str:
    """The answer in a few words."""
    found = reply.object()
    errors = found.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    words = found.get("detail") or first.get("message") or first.get("detail") or found.get("title") or ""
    shown = "".join(c for c in str(words) if c.isprintable())[:200]
    return f"HTTP {reply.status}: {shown}" if shown else f"HTTP {reply.status}"


def _sent(error: BaseException) -> bool:
    """Whether a request that failed may have reached X."""
    import requests  # noqa: PLC0415
    import urllib3.exceptions as urllib3  # noqa: PLC0415

    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)):
        return False
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        return False
    if isinstance(error, requests.exceptions.InvalidSchema):
        return False
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(
        reason, (urllib3.NewConnectionError, urllib3.ConnectTimeoutError, urllib3.NameResolutionError)
    ):
        return False
    return "CERTIFICATE_VERIFY_FAILED" not in str(reason)


def _words(error: BaseException, where: str) -> str:
    import requests  # noqa: PLC0415

    if isinstance(error, requests.ConnectTimeout):
        return f"{where} can't be reached: no connection in time"
    if isinstance(error, requests.Timeout):
        return f"{where} did not answer in time"
    if not _sent(error):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return f"{where} shows a certificate that is not trusted"
        return f"{where} can't be reached"
    return f"{where} hung up before it answered"


SERVICE = Service(section="TWITTER", keys={}, required=_KEYS, open=X)
