"""One account at X, through tweepy's v2 client with OAuth 1.0a user keys.

X has no idempotency key. So whatever may have been carried out is Unknown, and settled by reading the account's own
timeline.
"""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any, Final

from rekt.config import Section
from rekt.errors import RektError
from rekt.fields import iso_ms
from rekt.publisher import Absent, Finding, NotPosted, Outcome, Post, Receipt, Unknown, Unreadable
from rekt.publishers.x.answers import Reply, judge, said, same
from rekt.publishers.x.session import Fate, sent, session, words
from rekt.wire.address import place

POST, POST_WITH_URL, ALT_TEXT, READ = 15_000, 200_000, 5_000, 1_000  # micro-dollars, since 20 April 2026
ALT_LIMIT: Final = 1_000
PICTURE_BYTES: Final = 5_000_000
PICTURE_S: Final = (
    50.0  # one slow request and the post: with less left it goes without its picture, or its words
)
PAGE: Final = 100
PAGES: Final = 10
SKEW_MS: Final = 600_000  # the clocks of X and this machine differ by less: else the keys are refused
KEYS: Final = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")

_CASHTAG = re.compile(r"(?<![^\s(\"'])\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?![A-Za-z0-9_])")


class X:
    """One account."""

    limit = 280
    can_find = True

    def __init__(self, settings: Section, folder: Path | None = None) -> None:  # noqa: ARG002 - it keeps nothing
        self._keys = [settings.text(key) for key in KEYS]
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
        except Fate as fate:
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
                    return Unreadable(f"X does not show the account's posts: {said(reply)}", spent)
                spent += READ * len(posts)
                for one in posts:
                    if isinstance(one, dict) and same(str(one.get("text", "")), post.text):
                        return Receipt(str(one["id"]) if one.get("id") else None, spent=spent)
                following = meta.get("next_token")
                if not following:
                    return Absent(spent)
                query["pagination_token"] = following
        except (Fate, RektError) as error:
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
            getattr(outcome, "reason", "") or f"X does not say whose keys these are: {said(reply)}"
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
        except Fate as fate:
            return None, f"without its picture: {fate.message}", 0
        data = reply.object().get("data")
        media = str(data["id"]) if isinstance(data, dict) and data.get("id") else None
        if media is None or not 200 <= reply.status < 300:
            return None, f"without its picture: {said(reply)}", 0
        if not post.alt:
            return media, "", 0
        if until - time.monotonic() < PICTURE_S:
            return media, "without words for its picture: too little time was left", 0
        alt = {"id": media, "metadata": {"alt_text": {"text": post.alt[:ALT_LIMIT]}}}
        try:
            reply = self._request(self._client(), "POST", "/2/media/metadata", until, json=alt)
        except Fate as fate:
            return media, f"without words for its picture: {fate.message}", ALT_TEXT if fate.sent else 0
        if not 200 <= reply.status < 300:
            return media, f"without words for its picture: {said(reply)}", 0
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
        client.session = session(self._origin)
        return client

    def _ask(self, client: Any, until: float, call: Any) -> Reply:
        """Make a call of tweepy's and give the answer itself, whatever tweepy makes of it. Raises Fate."""
        import requests  # noqa: PLC0415
        import tweepy  # noqa: PLC0415

        asked = client.session
        asked.until, asked.reply = until, None
        where = place(self._origin)
        try:
            call()
        except tweepy.TweepyException:
            pass  # an answer, told by its status
        except requests.RequestException as error:
            if asked.reply is None:
                raise Fate(words(error, where), sent=sent(error)) from None
        except (ValueError, TypeError, AttributeError, KeyError, OSError) as error:
            if asked.reply is None:
                message = f"{where}: {type(error).__name__} while asking"
                raise Fate(message, sent=isinstance(error, OSError)) from None
        finally:
            asked.close()
        if asked.reply is None:
            raise Fate(f"{where}: no answer", sent=True)
        reply: Reply = asked.reply
        return reply
