"""One HTTP request that is answered, certainly not sent, or of unknown fate: what posting must be able to tell.

    answer = exchange("POST", url, json={...}, within_s=25)      # raises Unsent or Lost

TLS is verified, the environment's proxy used as elsewhere, redirects are not followed, and each request has a
connection of its own: one that was kept open may be dead without anybody knowing.
"""

from __future__ import annotations

import json as json_
import os
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from rekt.errors import WireError
from rekt.wire.address import place, proxy_for
from rekt.wire.tls import client_context

CONNECT_S: Final = 5.0
READ_S: Final = 20.0
MAX_BODY: Final = 8 << 20


class Unsent(WireError):
    """Nothing reached the server."""


class Lost(WireError):
    """The server may have carried the request out; its answer did not come, or not whole."""


class Answer(NamedTuple):
    """What a server answered; the names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one where it is none."""
        try:
            found = json_.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def objects(self) -> list[dict[str, Any]] | None:
        """The body as a JSON list of objects; None where it is none."""
        try:
            found = json_.loads(self.body)
        except ValueError:
            return None
        good = isinstance(found, list) and all(isinstance(one, dict) for one in found)
        return found if good else None


def exchange(
    method: str,
    url: str,
    *,
    within_s: float,
    headers: Mapping[str, str] | None = None,
    **content: Any,
) -> Answer:
    """Send one request (`content` as httpx takes it: json, data, files, content, params) and read its answer.

    Raises Unsent or Lost, whose texts name the host and never the address, which may hold a key.
    """
    import httpx  # noqa: PLC0415 - 50 ms that a start need not wait for

    where = place(url)
    limit = time.monotonic() + within_s
    timeout = httpx.Timeout(min(READ_S, within_s), connect=min(CONNECT_S, within_s))
    try:
        client = httpx.Client(
            verify=client_context() if url.startswith("https:") else False,
            proxy=proxy_for(url, os.environ),
            trust_env=False,
            timeout=timeout,
            headers={"User-Agent": "rekt", "Connection": "close", **(headers or {})},
        )
    except (ImportError, ValueError, OSError):
        raise Unsent(f"{where}: the proxy or the certificates can't be used") from None
    try:
        with client, client.stream(method, url, **content) as response:
            body = bytearray()
            for chunk in response.iter_raw() if method == "HEAD" else response.iter_bytes():
                body += chunk
                if len(body) > MAX_BODY or time.monotonic() > limit:
                    raise Lost(f"{where} did not end its answer in time")
            return Answer(
                response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(body)
            )
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        raise Unsent(f"{where} can't be reached: {_words(error)}") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise Unsent(f"{where} is no http address") from None
    except httpx.TimeoutException:
        raise Lost(f"{where} did not answer in time") from None
    except (httpx.HTTPError, OSError) as error:
        raise Lost(f"{where} hung up: {_words(error)}") from None


def _words(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
