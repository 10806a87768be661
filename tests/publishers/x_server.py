"""X as far as posting needs it, on loopback: verifies OAuth 1.0a signatures, enforces X's rules, fails as scripted.

Run by hand: `python -m tests.publishers.x_server 8099`, then REKT_TWITTER_API_URL=http://127.0.0.1:8099 and the four
keys of `KEYS`.
"""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from oauthlib.oauth1 import RequestValidator, ResourceEndpoint
from twitter_text import parse_tweet

KEYS = {
    "consumer_key": "consumerkey0consumerkey0",
    "consumer_secret": "consumersecret0%consumersecret0",
    "access_token": "4242-accesstoken0accesstoken0",
    "access_token_secret": "accesssecret0accesssecret0",
}
ACCOUNT = "4242"
PNG = b"\x89PNG\r\n\x1a\n"
TAGS = re.compile(r"(?:^|\s)\$[A-Za-z]{1,6}\b")


class _Validator(RequestValidator):  # type: ignore[misc]  # oauthlib comes without types
    """Our four keys, each nonce once."""

    enforce_ssl = False
    timestamp_lifetime = 300
    nonce_length = client_key_length = access_token_length = (5, 80)
    safe_characters = property(
        lambda self: set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    )
    dummy_client = dummy_access_token = "dummydummydummydummy"

    def __init__(self) -> None:
        super().__init__()
        self.nonces: set[tuple[str, str]] = set()

    def validate_timestamp_and_nonce(
        self, client_key: str, timestamp: str, nonce: str, *_: Any, **__: Any
    ) -> bool:
        """A request is heard once."""
        fresh = (timestamp, nonce) not in self.nonces
        self.nonces.add((timestamp, nonce))
        return fresh

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == KEYS["consumer_key"]

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        return token == KEYS["access_token"]

    def validate_realms(self, *_: Any, **__: Any) -> bool:
        return True

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return KEYS["consumer_secret"]

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return KEYS["access_token_secret"]


@dataclass
class Tweet:
    """A post that was taken."""

    id: str
    text: str
    media: list[str]
    created: float


@dataclass
class State:
    """What the stand-in knows and was told to do."""

    tweets: list[Tweet] = field(default_factory=list)
    media: dict[str, str | None] = field(default_factory=dict)  # id → alt text
    requests: list[tuple[str, str, int]] = field(default_factory=list)  # method, path, status
    script: list[str] = field(default_factory=list)  # faults for the next posts, in order
    media_fault: str = ""
    read_fault: str = ""
    remaining: int = 100
    reset: int = 0
    slow_s: float = 0.0
    before_accept: Callable[[], None] = lambda: None
    accepted: Callable[[], None] = lambda: None
    lock: threading.RLock = field(default_factory=threading.RLock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        state, path = self.server.state, urlsplit(self.path)
        if not self._signed(body):
            self._answer(
                401, {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
            )
            return
        route = (self.command, path.path)
        if route == ("GET", "/2/users/me"):
            self._read(lambda: {"data": {"id": ACCOUNT, "name": "Burning", "username": "burning_money"}})
        elif route == ("GET", f"/2/users/{ACCOUNT}/tweets"):
            self._read(lambda: self._timeline(parse_qs(path.query)))
        elif route == ("POST", "/2/media/upload"):
            self._upload(json.loads(body))
        elif route == ("POST", "/2/media/metadata"):
            asked = json.loads(body)
            alt = asked["metadata"]["alt_text"]["text"]
            with state.lock:
                known = asked["id"] in state.media and len(alt) <= 1000
                if known:
                    state.media[asked["id"]] = alt
            self._answer(
                200 if known else 400, {"data": {"id": asked["id"]}} if known else {"detail": "bad media"}
            )
        elif route == ("POST", "/2/tweets"):
            self._tweet(json.loads(body))
        else:
            self._answer(404, {"title": "Not Found", "status": 404})

    def _signed(self, body: bytes) -> bool:
        headers = dict(self.headers.items())
        form = headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        url = f"http://{self.headers['Host']}{self.path}"
        endpoint = ResourceEndpoint(self.server.validator)
        with self.server.state.lock:
            valid, _ = endpoint.validate_protected_resource_request(
                url, self.command, body.decode() if form else "", headers, realms=[]
            )
        return bool(valid)

    def _read(self, answer: Callable[[], dict[str, Any]]) -> None:
        if self.server.state.read_fault == "html":
            self._html(200)
        elif self.server.state.read_fault:
            self._answer(int(self.server.state.read_fault), {"title": "Service Unavailable"})
        else:
            self._answer(200, answer())

    def _timeline(self, query: dict[str, list[str]]) -> dict[str, Any]:
        start = 0.0
        if "start_time" in query:
            start = datetime.fromisoformat(query["start_time"][0]).timestamp()
        size = int(query.get("max_results", ["10"])[0])
        with self.server.state.lock:
            found = [one for one in reversed(self.server.state.tweets) if one.created >= start]
        first = int(query.get("pagination_token", ["0"])[0])
        page = found[first : first + size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if first + size < len(found):
            meta["next_token"] = str(first + size)
        if not page:
            return {"meta": meta}
        shown = [
            {
                "id": one.id,
                "text": html.escape(one.text, quote=False)
                + (" https://t.co/AbC123xyz9" if one.media else ""),
                "created_at": datetime.fromtimestamp(one.created, UTC)
                .isoformat(timespec="milliseconds")
                .replace("+00:00", "Z"),
            }
            for one in page
        ]
        return {"data": shown, "meta": meta}

    def _upload(self, asked: dict[str, Any]) -> None:
        state = self.server.state
        if state.media_fault:
            self._answer(int(state.media_fault), {"title": "media", "status": int(state.media_fault)})
            return
        picture = base64.b64decode(asked["media"])
        if (
            asked.get("media_category") != "tweet_image"
            or not picture.startswith(PNG)
            or len(picture) > 5_000_000
        ):
            self._answer(400, {"detail": "bad media"})
            return
        with state.lock:
            media = str(9_000_000 + len(state.media))
            state.media[media] = None
        self._answer(200, {"data": {"id": media, "media_key": f"3_{media}", "size": len(picture)}})

    def _tweet(self, asked: dict[str, Any]) -> None:
        state = self.server.state
        with state.lock:
            fault = state.script.pop(0) if state.script else ""
        if fault in ("402", "401", "403", "453", "429", "500", "html500", "cut", "slow"):
            self._refuse(fault)
            return
        state.before_accept()
        with state.lock:
            status, answer = self._accept(asked)
        if status == 201:
            state.accepted()
        if fault == "cut-accepted":
            self._hang_up()
        elif fault == "500-accepted":
            self._answer(503, {"title": "Service Unavailable"})
        elif fault == "html-accepted":
            self._html(200)
        elif fault == "slow-accepted":
            time.sleep(state.slow_s)
            self._hang_up()
        else:
            self._answer(status, answer)

    def _refuse(self, fault: str) -> None:
        """A fault in which nothing is posted."""
        state = self.server.state
        if fault == "cut":
            self._hang_up()
        elif fault == "slow":
            time.sleep(state.slow_s)
            self._hang_up()
        elif fault == "html500":
            self._html(502)
        elif fault == "500":
            self._answer(500, {"title": "Internal Server Error"})
        elif fault == "429":
            state.remaining, state.reset = 0, int(time.time()) + 2
            self._answer(429, {"title": "Too Many Requests", "status": 429, "detail": "Too Many Requests"})
            state.remaining = 100
        elif fault == "402":
            self._answer(
                402, {"title": "CreditsDepleted", "detail": "No credits", "type": "x/problems/credits"}
            )
        elif fault == "453":
            self._answer(403, {"errors": [{"message": "You currently have access to a subset", "code": 453}]})
        else:
            detail = {"401": "Unauthorized", "403": "You are not permitted to perform this action."}[fault]
            self._answer(int(fault), {"title": "x", "status": int(fault), "detail": detail})

    def _accept(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Take the post, if X's rules allow it."""
        state, text = self.server.state, asked.get("text", "")
        denied = {
            "title": "Forbidden",
            "status": 403,
            "detail": "You are not permitted to perform this action.",
        }
        media = asked.get("media", {}).get("media_ids", [])
        if not parse_tweet(text).valid or len(TAGS.findall(text)) > 1:
            return 403, denied
        if any(not isinstance(one, str) or one not in state.media for one in media):
            return 400, {"detail": "Your media IDs are invalid."}
        if any(one.text == text for one in state.tweets):
            return 403, {**denied, "detail": "You are not allowed to create a Tweet with duplicate content."}
        tweet = Tweet(str(1_800_000_000_000_000_000 + len(state.tweets)), text, list(media), time.time())
        state.tweets.append(tweet)
        return 201, {"data": {"id": tweet.id, "text": text, "edit_history_tweet_ids": [tweet.id]}}

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def _html(self, status: int) -> None:
        self._send(status, "text/html", b"<html><body>Something went wrong</body></html>")

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        state = self.server.state
        state.requests.append((self.command, urlsplit(self.path).path, status))
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-rate-limit-limit", "100")
            self.send_header("x-rate-limit-remaining", str(state.remaining))
            self.send_header("x-rate-limit-reset", str(state.reset or int(time.time()) + 900))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # who asked is gone: killed, or tired of waiting
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.state = State()
        self.validator = _Validator()

    def handle_error(self, *_: Any) -> None:
        """A killed client's broken connection is nothing to tell of."""


class XServer:
    """The stand-in, running in a thread."""

    def __init__(self, port: int = 0) -> None:
        self._server = _Server(port)
        self.state = self._server.state
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def texts(self) -> list[str]:
        """What was posted."""
        return [one.text for one in self.state.tweets]

    def environment(self) -> dict[str, str]:
        """The settings that lead here."""
        keys = {f"REKT_TWITTER_{name.upper()}": value for name, value in KEYS.items()}
        return {"REKT_TWITTER_API_URL": self.url, **keys}

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def x_server() -> Iterator[XServer]:
    """A stand-in for a while."""
    server = XServer()
    try:
        yield server
    finally:
        server.close()


if __name__ == "__main__":
    XServer(int(sys.argv[1]))
    threading.Event().wait()
