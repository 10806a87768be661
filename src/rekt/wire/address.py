"""Addresses: how they are shown to people, and which proxy leads to them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_LOOPBACK = re.compile(r"127(\.\d{1,3}){1,3}", re.ASCII)


def shown(url: str) -> str:
    """An address as messages and the ledger may show it: without user name and password.

    >>> shown("wss://me:secret@example.com:9443/market/stream?streams=a")
    'wss://example.com:9443/market/stream?streams=a'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def place(url: str) -> str:
    """The host and port of an address.

    >>> place("wss://example.com/ws"), place("http://me:secret@proxy:3128")
    ('example.com:443', 'proxy:3128')
    """
    parts = urlsplit(url)
    host = parts.hostname or "?"
    port = _port(parts)
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"


def place_of_proxy(proxy: str) -> str:
    """The host and port of a proxy, and nothing of its credentials even where they make the address malformed.

    >>> place_of_proxy("http://me:se#c/ret@proxy:3128")
    'proxy:3128'
    """
    return place(f"//{proxy.rpartition('@')[2].rpartition('//')[2]}")


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for this address, as a URL; None for a direct way.

    `https_proxy` serves https and wss, `http_proxy` http and ws, `all_proxy` both; small letters win over capitals.
    Loopback is always direct, and so is what `no_proxy` names: `*`, a host, a domain with all below it
    (`example.com`, `.example.com`, `*.example.com`), an address, a network (`10.0.0.0/8`), each also with a port.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if is_loopback(host) or _excepted(host, _port(parts), _variable("no_proxy", environ)):
        return None
    own = "https_proxy" if parts.scheme in ("https", "wss") else "http_proxy"
    proxy = _variable(own, environ) or _variable("all_proxy", environ)
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address."""
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost") or _LOOPBACK.fullmatch(host):
        return True
    address = _address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _variable(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name, environ.get(name.upper(), "")).strip()


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # no number: whoever connects will say so
        return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _excepted(host: str, port: int | None, no_proxy: str) -> bool:
    address = _address(host)
    return any(
        _matches(host, address, port, entry) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry
    )


def _matches(host: str, address: IPv4Address | IPv6Address | None, port: int | None, entry: str) -> bool:
    if entry == "*":
        return True
    name = entry
    if with_port := re.fullmatch(r"(\[[^]]*\]|[^:]*):(\d{1,5})", entry):
        if int(with_port[2]) != port:
            return False
        name = with_port[1]
    name = name.strip("[]").removeprefix("*").strip(".")
    if address is not None:
        try:
            return address in ip_network(name, strict=False)
        except ValueError:
            return False
    return bool(name) and (host == name or host.endswith("." + name))
