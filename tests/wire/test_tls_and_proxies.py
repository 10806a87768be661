from __future__ import annotations

import ssl
from base64 import b64encode
from pathlib import Path

import pytest
import trustme

from rekt.errors import WireError
from rekt.wire.connection import Connection
from tests.wire.proxies import connect_proxy, socks_proxy
from tests.wire.server import Peer, everything, run, serving


async def hello(peer: Peer) -> None:
    """What the servers of these tests say."""
    peer.send(b"hello")


def port_of(url: str) -> int:
    """The port of a server's address."""
    return int(url.split(":")[2].split("/", maxsplit=1)[0])


def test_untrusted_certificate_is_refused(server_tls: ssl.SSLContext) -> None:
    """A certificate of an unknown authority: no connection, and a sentence that says why."""

    async def main() -> None:
        async with serving(hello, server_tls) as url:
            with pytest.raises(
                WireError, match=rf"localhost:{port_of(url)} shows a certificate that is not trusted"
            ):
                await Connection.open(url)

    run(main())


def test_ssl_cert_file_names_the_authority(
    server_tls: ssl.SSLContext, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is accepted once SSL_CERT_FILE names its authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))

    async def main() -> None:
        async with serving(hello, server_tls) as url:
            assert await everything(await Connection.open(url)) == [b"hello"]

    run(main())


def test_ssl_cert_file_that_is_not_there_is_told(
    server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt SSL_CERT_FILE is named in the hint."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authority.pem")

    async def main() -> None:
        async with serving(hello, server_tls) as url:
            with pytest.raises(
                WireError, match=r"SSL_CERT_FILE names /nowhere/authority\.pem, which is not there"
            ):
                await Connection.open(url)

    run(main())


def test_wrong_host_name_is_refused(
    authority: trustme.CA, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate for another name is refused."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("example.com").configure_cert(tls)

    async def main() -> None:
        async with serving(hello, tls) as url:
            with pytest.raises(WireError, match=r"localhost:\d+ shows a certificate for another name"):
                await Connection.open(url)

    run(main())


def test_plain_server_behind_wss_is_told(client_tls: ssl.SSLContext) -> None:
    """TLS with a server that has none fails with a sentence."""

    async def main() -> None:
        async with serving(hello) as url:
            with pytest.raises(WireError, match=r"localhost:\d+ (did not complete TLS|did not answer)"):
                await Connection.open(url.replace("ws:", "wss:"), ssl_context=client_tls, timeout_s=1)

    run(main())


@pytest.mark.parametrize("secure", [False, True])
def test_connect_proxy_of_the_environment(
    secure: bool, authority: trustme.CA, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy that the environment names is asked to lead to the exchange; TLS goes through to the end."""
    asked: list[bytes] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("exchange.test").configure_cert(tls)
    scheme = "wss" if secure else "ws"

    async def main() -> None:
        async with (
            serving(hello, tls if secure else None) as url,
            connect_proxy(port_of(url), asked) as port,
        ):
            variable = "HTTPS_PROXY" if secure else "http_proxy"
            monkeypatch.setenv(variable, f"http://me:s%40crt@localhost:{port}")
            connection = await Connection.open(
                f"{scheme}://exchange.test/stream", ssl_context=client_tls if secure else None
            )
            assert await everything(connection) == [b"hello"]

    run(main())
    (request,) = asked
    assert request.startswith(b"CONNECT exchange.test:%d HTTP/1.1\r\n" % (443 if secure else 80))
    assert b"Basic " + b64encode(b"me:s@crt") in request


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_proxy(scheme: str) -> None:
    """A SOCKS5 proxy resolves the name and leads to the exchange."""
    asked: list[bytes] = []

    async def main() -> None:
        async with serving(hello) as url, socks_proxy(port_of(url), asked) as port:
            proxy = f"{scheme}://127.0.0.1:{port}"
            connection = await Connection.open("ws://exchange.test/stream", proxy=proxy)
            assert await everything(connection) == [b"hello"]

    run(main())
    assert asked == [b"\x05\x01\x00\x03\x0dexchange.test\x00\x50"]


def test_refusing_proxy_is_told_without_its_credentials() -> None:
    """A proxy that refuses is named, with what it answered, and without user name and password."""

    async def main() -> None:
        async with connect_proxy(1, [], refuse=True) as port:
            with pytest.raises(WireError) as refused:
                await Connection.open("wss://exchange.test/ws", proxy=f"http://mike:secret@127.0.0.1:{port}")
            assert f"exchange.test:443 (by the proxy 127.0.0.1:{port}) can't be reached" in str(refused.value)
            assert "407" in str(refused.value)
            assert "mike" not in str(refused.value)
            assert "secret" not in str(refused.value)

    run(main())


@pytest.mark.parametrize(
    "proxy",
    [
        "http://mike:sec/ecret@127.0.0.1:1",
        "http://mike:sec#ecret@127.0.0.1:1",
        "http://mike:1234?ecret@127.0.0.1:1",
        "http://mike:secret@127.0.0.1:port",
        "gopher://mike:secret@127.0.0.1:1",
        "socks5://mike:secret@127.0.0.1",
        "socks5://mike:secret@127.0.0.1:1",
        "http://mike:secret@127.0.0.1:1",
        "https://mike:secret@127.0.0.1:1",
        "http://mike:secret@nowhere.invalid:1",
    ],
)
def test_unusable_proxy_never_shows_its_credentials(proxy: str) -> None:
    """However a proxy's address is wrong, no part of its credentials is in the words about it."""

    async def main() -> None:
        with pytest.raises(WireError) as refused:
            await Connection.open("wss://exchange.test/ws", proxy=proxy, timeout_s=2)
        text = str(refused.value)
        assert "proxy" in text
        assert not any(word in text for word in ("mike", "ecret", "1234"))
        assert refused.value.__cause__ is None

    run(main())
