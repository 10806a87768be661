from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rekt.errors import RestError
from rekt.wire.rest import fetch
from tests.wire.proxies import connect_proxy
from tests.wire.server import listening, run


@asynccontextmanager
async def answering(
    answer: bytes, tls: ssl.SSLContext | None = None, asked: list[bytes] | None = None
) -> AsyncIterator[int]:
    """An HTTP server that gives every request the same bytes."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        writer.write(answer)
        await writer.drain()

    async with listening(each, tls) as port:
        yield port


def document(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer with a body."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_body_comes_whole() -> None:
    """The body is what the server sent, unpacked."""
    body = b'{"symbols":[]}' * 1000

    async def main() -> None:
        answer = document(gzip.compress(body), b"Content-Encoding: gzip")
        async with answering(answer) as port:
            assert await fetch(f"http://127.0.0.1:{port}/fapi/v1/exchangeInfo") == body

    run(main())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (document(b"", status=b"500 Oops"), "answered HTTP 500"),
        (
            document(b"", b"Retry-After: 17", status=b"429 Too Many"),
            "too many requests (Retry-After: wait 17 s)",
        ),
        (
            document(b"", b"Retry-After: \x1b[2J", status=b"418 I'm"),
            "too many requests (Retry-After: wait a while)",
        ),
        (document(b"", status=b"451 No"), "does not serve this place"),
        (document(b"", b"Location: http://127.0.0.1:1/", status=b"302 Found"), "redirects are not followed"),
        (document(b"", status=b"204 Empty"), "answered HTTP 204"),
        (b"220 mail.example.com\r\n\r\n", "can't be reached"),
        (b"", "can't be reached"),
        (document(b"abc")[:-1], "can't be reached"),
    ],
)
def test_anything_but_200_is_an_error(answer: bytes, told: str) -> None:
    """Whatever is not the whole document is a sentence with the place."""

    async def main() -> None:
        async with answering(answer) as port:
            with pytest.raises(RestError) as failed:
                await fetch(f"http://me:secret@127.0.0.1:{port}/")
            assert str(failed.value).startswith(f"127.0.0.1:{port} ")
            assert told in str(failed.value)
            assert "secret" not in str(failed.value)
            assert failed.value.retryable

    run(main())


def test_too_large_a_document_is_refused() -> None:
    """A document above the bound is not read to its end, packed or not."""

    async def main() -> None:
        answer = document(gzip.compress(b"x" * 1_000_000), b"Content-Encoding: gzip")
        async with answering(answer) as port:
            with pytest.raises(RestError, match="sent more than 500000 bytes"):
                await fetch(f"http://127.0.0.1:{port}/", max_body=500_000)

    run(main())


def test_silent_server_is_given_up() -> None:
    """The time-out is for the whole document, however slowly its bytes trickle."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await asyncio.sleep(0.05)

    async def main() -> None:
        async with listening(each) as port:
            with pytest.raises(RestError, match=r"did not answer within 0\.4 s"):
                await fetch(f"http://127.0.0.1:{port}/", timeout=0.4)

    run(main())


def test_tls_is_verified(
    server_tls: ssl.SSLContext, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown authority is refused, and accepted once SSL_CERT_FILE names it."""

    async def main() -> None:
        async with answering(document(b"[]"), server_tls) as port:
            with pytest.raises(RestError, match="shows a certificate that is not trusted"):
                await fetch(f"https://localhost:{port}/")
            monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
            assert await fetch(f"https://localhost:{port}/") == b"[]"

    run(main())


def test_proxy_of_the_environment(
    server_tls: ssl.SSLContext, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's proxy leads to other hosts, never to this machine."""
    asked: list[bytes] = []
    requests: list[bytes] = []
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))

    async def main() -> None:
        async with (
            answering(document(b"[]"), server_tls) as target,
            answering(document(b"{}"), asked=requests) as direct,
            connect_proxy(target, asked) as port,
        ):
            monkeypatch.setenv("all_proxy", f"http://mike:secret@127.0.0.1:{port}")
            with pytest.raises(RestError, match="certificate for another name") as failed:
                await fetch("https://exchange.test/")  # the certificate is localhost's
            assert "secret" not in str(failed.value)
            assert f"by the proxy 127.0.0.1:{port}" in str(failed.value)
            assert await fetch(f"http://localhost:{direct}/") == b"{}"

    run(main())
    assert asked[0].startswith(b"CONNECT exchange.test:443 ")
    assert requests[0].startswith(b"GET / HTTP/1.1")


@pytest.mark.parametrize(
    ("url", "proxy", "told"),
    [
        ("ftp://example.com/", "", "example.com is no http address"),
        ("nonsense", "", "is no http address"),
        ("http://127.0.0.1:1/", "", "can't be reached"),
        ("http://nowhere.invalid/", "", "can't be reached"),
        ("http://exchange.test/", "socks5://mike:secret@10.0.0.1:1", "not SOCKS"),
        ("http://exchange.test/", "gopher://mike:secret@10.0.0.1:1", "the proxy is not usable"),
        ("http://exchange.test/", "http://mike:sec#ret@10.0.0.1:1", "the proxy is not usable"),
    ],
)
def test_wrong_addresses(url: str, proxy: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that leads nowhere is a sentence, without a proxy's credentials."""
    monkeypatch.setenv("all_proxy", proxy)

    async def main() -> None:
        with pytest.raises(RestError) as failed:
            await fetch(url, timeout=3)
        assert told in str(failed.value)
        assert not any(word in str(failed.value) for word in ("mike", "secret", "sec"))

    run(main())


def test_httpx_is_not_imported_before_it_is_needed() -> None:
    """A start does not wait for httpx."""
    code = "import sys, rekt.wire.rest; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
