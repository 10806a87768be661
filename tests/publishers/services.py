"""Stand-ins for Bluesky, Telegram and Discord on loopback: each checks what the real service checks, and can fail."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PNG = b"\x89PNG\r\n\x1a\n"
FAULTS = ("cut", "500", "cut-accepted", "500-accepted", "html-accepted", "429", "401")


@dataclass
class Seen:
    """What came in, and what is to go wrong next."""

    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    pictures: list[bytes] = field(default_factory=list)
    fault: str = ""
    refuse_pictures: bool = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: Seen

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        kind = self.headers.get("Content-Type", "")
        form: dict[str, Any] = {}
        if kind.startswith("multipart/form-data"):
            whole = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
            for part in whole.get_payload():
                name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
                form[str(name)] = part.get_payload(decode=True)  # type: ignore[union-attr]
        elif kind.startswith("application/json"):
            form = json.loads(body)
        status, value = self.answer(parts.path, dict(parse_qsl(parts.query)), form, body)
        self.send(status, value)

    def answer(self, path: str, query: dict[str, str], form: dict[str, Any], body: bytes) -> tuple[int, Any]:
        raise NotImplementedError

    def send(self, status: int, value: Any) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(value, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def failing(self, accepted: Any = None) -> bool:
        """Whether this request goes wrong; what is to be kept all the same is kept first."""
        fault = self.seen.fault
        if fault.endswith("-accepted") and accepted is not None:
            accepted()
        if not fault:
            return False
        self.seen.fault = ""
        return True

    def hang_up(self) -> tuple[int, Any]:
        self.close_connection = True
        self.connection.shutdown(2)
        return 500, {}

    def fault(self, fault: str, limit: Any) -> tuple[int, Any]:
        """The answer that a fault gives."""
        if fault.startswith("cut"):
            return self.hang_up()
        if fault.startswith("html"):
            return 200, b"<html>sorry</html>"
        return (429, limit) if fault == "429" else (int(fault[:3]), {})

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ValueError):  # hung up on purpose
            self.close_connection = True


class Bluesky(_Handler):
    """A personal data server."""

    def answer(self, path: str, query: dict[str, str], form: dict[str, Any], body: bytes) -> tuple[int, Any]:
        seen, name = self.seen, path.rpartition("/")[2]
        if name == "com.atproto.server.createSession":
            if form != {"identifier": "burn.example.org", "password": "app-pass-word"}:
                return 401, {"error": "AuthenticationRequired", "message": "Invalid identifier or password"}
            return 200, {"did": "did:plc:burn", "accessJwt": "jwt", "handle": "burn.example.org"}
        if name == "com.atproto.repo.getRecord":
            found = seen.posts.get(query["rkey"])
            if found is None:
                return 400, {"error": "RecordNotFound", "message": "Could not locate record"}
            return 200, {"uri": f"at://did:plc:burn/{query['rkey']}", "value": found}
        if self.headers.get("Authorization") != "Bearer jwt":
            return 401, {"error": "AuthMissing"}
        if name == "com.atproto.repo.uploadBlob":
            if seen.refuse_pictures or len(body) > 2_000_000:
                return 400, {"error": "BlobTooLarge"}
            seen.pictures.append(body)
            ref = {"$link": f"bafy{len(seen.pictures)}"}
            return 200, {"blob": {"$type": "blob", "ref": ref, "mimeType": "image/png", "size": len(body)}}
        assert name == "com.atproto.repo.putRecord"
        key, record = form["rkey"], form["record"]
        assert re.fullmatch("[234567abcdefghij][234567a-z]{12}", key)
        if form["swapRecord"] is None and key in seen.posts:
            return 400, {"error": "InvalidSwap", "message": "Record was at bafy"}
        if len(record["text"]) > 300 or form["collection"] != record["$type"]:
            return 400, {"error": "InvalidRecord"}
        fault = seen.fault
        if self.failing(lambda: seen.posts.update({key: record})):
            return self.fault(fault, {"error": "RateLimitExceeded"})
        seen.posts[key] = record
        return 200, {"uri": f"at://did:plc:burn/{key}", "cid": "bafy"}


class Telegram(_Handler):
    """The bot API."""

    def answer(self, path: str, query: dict[str, str], form: dict[str, Any], body: bytes) -> tuple[int, Any]:
        seen = self.seen
        token, _, name = path.removeprefix("/bot").partition("/")
        if token != "123:telegram-token":
            return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
        form = {
            key: value.decode() if isinstance(value, bytes) and key != "photo" else value
            for key, value in form.items()
        }
        if name == "getMe":
            return 200, {"ok": True, "result": {"id": 1, "is_bot": True, "username": "burn_bot"}}
        if name == "getChat":
            return 200, {"ok": True, "result": {"id": -100, "type": "channel"}}
        if form.get("chat_id") != "@burn":
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
        text = form["caption"] if name == "sendPhoto" else form["text"]
        if name == "sendPhoto" and (seen.refuse_pictures or not form["photo"].startswith(PNG)):
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: IMAGE_PROCESS_FAILED"}
        if len(text) > (1024 if name == "sendPhoto" else 4096):
            return 400, {
                "ok": False,
                "error_code": 400,
                "description": "Bad Request: message caption is too long",
            }
        number = str(len(seen.posts) + 1)
        fault = seen.fault
        if self.failing(lambda: seen.posts.update({number: {"text": text}})):
            return self.fault(fault, {"ok": False, "error_code": 429, "parameters": {"retry_after": 3}})
        seen.posts[number] = {"text": text}
        seen.pictures += [form["photo"]] if name == "sendPhoto" else []
        return 200, {"ok": True, "result": {"message_id": int(number), "date": 0, "chat": {"id": -100}}}


class Discord(_Handler):
    """A channel's webhook."""

    def answer(self, path: str, query: dict[str, str], form: dict[str, Any], body: bytes) -> tuple[int, Any]:
        seen = self.seen
        if path != "/api/webhooks/77/discord-token":
            return 404, {"message": "Unknown Webhook", "code": 10015}
        if self.command == "GET":
            return 200, {"id": "77", "name": "burn", "type": 1}
        message = json.loads(form["payload_json"]) if "payload_json" in form else form
        text = message["content"]
        if len(text) > 2000 or message["allowed_mentions"] != {"parse": []} or query.get("wait") != "true":
            return 400, {"message": "Invalid Form Body", "code": 50035}
        number = str(len(seen.posts) + 1)
        fault = seen.fault
        if self.failing(lambda: seen.posts.update({number: {"text": text}})):
            return self.fault(fault, {"message": "You are being rate limited.", "retry_after": 1.5})
        seen.posts[number] = {
            "text": text,
            "alt": [one["description"] for one in message.get("attachments", [])],
        }
        seen.pictures += [form["files[0]"]] if "files[0]" in form else []
        return 200, {"id": number, "content": text}


@contextmanager
def standing_in(kind: type[_Handler]) -> Iterator[tuple[str, Seen]]:
    """A stand-in for a while: its address and what it saw."""
    seen = Seen()
    handler = type(kind.__name__, (kind,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join()
