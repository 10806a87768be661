from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.wire import address
from rekt.wire.address import is_loopback, place, place_of_proxy, proxy_for, shown

VENUE = "wss://fstream.example.com/market/stream?streams=btcusdt@markPrice@1s"


def test_examples() -> None:
    """The examples in the docstrings hold."""
    assert doctest.testmod(address).failed == 0


def test_addresses_are_shown_without_credentials_and_otherwise_unchanged() -> None:
    """User name and password go; an @ elsewhere stays."""
    assert shown(VENUE) == VENUE
    assert shown("wss://me:secret@[::1]:8443/a@b?c=d@e") == "wss://[::1]:8443/a@b?c=d@e"
    assert place("ws://[::1]/") == "[::1]:80"
    assert place("nonsense") == "?"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://other:1"}, "http://p:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://other:1"}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"ALL_PROXY": "socks5://p:1"}, "socks5://p:1"),
        ({"all_proxy": "socks5://p:1", "HTTPS_PROXY": "http://q:1"}, "http://q:1"),
        ({"https_proxy": " proxy.example:3128 "}, "http://proxy.example:3128"),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, None),
        ({"https_proxy": "http://p:1", "NO_PROXY": "a.test, .example.com"}, None),
        ({"https_proxy": "http://p:1", "NO_PROXY": "a.test fstream.example.com"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "*.example.com"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "EXAMPLE.com:443"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "example.com:9443"}, "http://p:1"),
        ({"https_proxy": "http://p:1", "no_proxy": "ample.com,stream.example.com,.,:,[]"}, "http://p:1"),
        ({"https_proxy": "http://p:1", "no_proxy": "", "NO_PROXY": "*"}, "http://p:1"),
    ],
)
def test_the_environment_names_the_proxy(environ: dict[str, str], proxy: str | None) -> None:
    """The usual variables, by the usual rules."""
    assert proxy_for(VENUE, environ) == proxy
    assert proxy_for(VENUE.replace("wss:", "https:"), environ) == proxy


def test_plain_addresses_have_a_proxy_of_their_own() -> None:
    """`http_proxy` serves http and ws."""
    environ = {"http_proxy": "http://plain:1", "https_proxy": "http://secure:1"}
    assert proxy_for("ws://example.com/", environ) == "http://plain:1"
    assert proxy_for("http://example.com/", environ) == "http://plain:1"


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("[2001:db8::1]", "[2001:db8::1]", True),
        ("[2001:db8::1]:443", "[2001:db8::1]", True),
        ("0.0.0.0/0", "example.com", False),
        ("1.2.3.4/99,example.com", "example.com", True),
        ("2.3", "10.1.2.3", False),
    ],
)
def test_no_proxy_knows_networks(no_proxy: str, host: str, direct: bool) -> None:
    """Addresses and networks are compared as such, not as text."""
    proxy = proxy_for(f"wss://{host}/", {"https_proxy": "http://p:1", "no_proxy": no_proxy})
    assert (proxy is None) is direct


LABEL = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
NAME = st.lists(LABEL, min_size=2, max_size=4).map(".".join)


@given(NAME, st.lists(NAME), st.sampled_from([", ", ",", " ", ",,"]), st.sampled_from(["", ".", "*."]))
def test_no_proxy_is_a_domain_and_all_below_it(
    host: str, entries: list[str], between: str, before: str
) -> None:
    """An entry excepts exactly the names that equal it or end in a dot and it."""
    environ = {"all_proxy": "http://p:1", "no_proxy": between.join(before + entry for entry in entries)}
    excepted = any(host == entry or host.endswith(f".{entry}") for entry in entries)
    assert (proxy_for(f"wss://{host}/ws", environ) is None) is excepted


@given(
    st.sampled_from(["ws", "wss", "http", "https"]),
    st.one_of(
        st.just("localhost"),
        st.just("LOCALHOST."),
        LABEL.map(lambda label: f"{label}.localhost"),
        st.tuples(*[st.integers(0, 255)] * 3).map(lambda rest: "127." + ".".join(map(str, rest))),
        st.sampled_from(["[::1]", "[::ffff:127.0.0.1]", "127.1"]),
    ),
    st.dictionaries(
        st.sampled_from(["http_proxy", "HTTPS_PROXY", "https_proxy", "all_proxy", "no_proxy"]), NAME
    ),
)
def test_loopback_is_always_direct(scheme: str, host: str, environ: dict[str, str]) -> None:
    """Whatever the environment says, no proxy leads to this machine."""
    assert proxy_for(f"{scheme}://{host}:8080/", environ) is None


def test_what_is_no_loopback() -> None:
    """Names and addresses that only look like it."""
    assert not any(
        map(is_loopback, ["localhost.example.com", "mylocalhost", "128.0.0.1", "127.evil.com", "::2", ""])
    )


@given(st.text(), st.text(), st.sampled_from(["http", "https", "socks5", ""]))
def test_a_proxy_is_shown_without_its_credentials(user: str, password: str, scheme: str) -> None:
    """However odd they are: what stands before the last @ is never shown."""
    assert place_of_proxy(f"{scheme}://{user}:{password}@proxy.test:3128") == "proxy.test:3128"


@given(st.text(), st.dictionaries(st.sampled_from(["https_proxy", "no_proxy"]), st.text()))
def test_no_environment_makes_it_fail(host: str, environ: dict[str, str]) -> None:
    """Odd variables are no reason to stop."""
    proxy_for("wss://example.com/", environ)
    is_loopback(host)
