"""One REST document, in full or not at all."""

from __future__ import annotations

import asyncio
import os
import ssl

from rekt.errors import RestError
from rekt.wire.address import place, place_of_proxy, proxy_for
from rekt.wire.tls import client_context, failure

MAX_BODY = 32 * 1024 * 1024  # bytes, decompressed; the largest document known has 2 MiB
_HINTS = {403: "the venue may not serve this place", 451: "the venue does not serve this place"}


async def fetch(url: str, *, timeout: float = 20.0, max_body: int = MAX_BODY) -> bytes:  # noqa: ASYNC109 - its name
    """The body of a document. Raises RestError: a sentence on what failed, and where.

    TLS is verified and the environment's proxy used as for the websocket. Redirects are not followed: the address is
    the configuration's, and no answer changes it.
    """
    import httpx  # noqa: PLC0415 - 50 ms and more that a start need not wait for

    proxy = proxy_for(url, os.environ)
    where = place(url) if proxy is None else f"{place(url)} (by the proxy {place_of_proxy(proxy)})"
    try:
        async with (
            asyncio.timeout(timeout),
            httpx.AsyncClient(
                verify=client_context() if url.startswith("https:") else False,
                proxy=proxy,
                trust_env=False,
                timeout=timeout,
                headers={"User-Agent": "rekt"},
            ) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise _answered(where, response.status_code, response.headers.get("Retry-After"))
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > max_body:
                    raise RestError(f"{where} sent more than {max_body} bytes, so the document was not read")
            return bytes(body)
    except (TimeoutError, httpx.TimeoutException):
        raise RestError(f"{where} did not answer within {timeout:g} s") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ImportError, ValueError) as error:
        raise _unusable(error, where, proxy) from None  # their texts hold the whole address
    except (httpx.HTTPError, OSError) as error:
        raise _unreached(error, where) from None


def _answered(where: str, status: int, retry_after: str | None) -> RestError:
    if status in (418, 429):
        wait = f"{retry_after} s" if retry_after and retry_after.isdecimal() else "a while"
        return RestError(
            f"{where} answered HTTP {status}: too many requests", hint=f"Retry-After: wait {wait}"
        )
    hint = "redirects are not followed" if 300 <= status < 400 else _HINTS.get(status, "")
    return RestError(f"{where} answered HTTP {status}", hint=hint)


def _unusable(error: Exception, where: str, proxy: str | None) -> RestError:
    if isinstance(error, ImportError):
        return RestError(f"{where} can't be reached: documents need an http:// or https:// proxy, not SOCKS")
    return RestError(
        f"{where} is no http address" if proxy is None else "the address of the proxy is not usable"
    )


def _unreached(error: Exception, where: str) -> RestError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        why, hint = failure(cause)
        return RestError(f"{where} {why}", hint=hint)
    return RestError(f"{where} can't be reached: {str(error)[:300] or type(error).__name__}")
