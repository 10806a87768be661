"""The session that tweepy is given: one host, time-outs, no redirects; and what became of a request without an answer.

tweepy itself has no time-outs and a fixed host. The host is changed before the request is signed: an OAuth 1.0a
signature covers it.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final
from urllib.parse import urlsplit

from rekt.errors import RektError
from rekt.publisher import CONNECT_S, READ_S
from rekt.publishers.x.answers import Reply
from rekt.wire.address import proxy_for

MAX_BODY: Final = 8 << 20


class Fate(RektError):
    """A request without an answer; `sent` tells whether X may have carried it out."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


def session(origin: str) -> Any:
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


def sent(error: BaseException) -> bool:
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


def words(error: BaseException, where: str) -> str:
    """A request that failed, in a sentence that names the host and no address."""
    import requests  # noqa: PLC0415

    if isinstance(error, requests.ConnectTimeout):
        return f"{where} can't be reached: no connection in time"
    if isinstance(error, requests.Timeout):
        return f"{where} did not answer in time"
    if not sent(error):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return f"{where} shows a certificate that is not trusted"
        return f"{where} can't be reached"
    return f"{where} hung up before it answered"
