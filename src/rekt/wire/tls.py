"""How servers prove who they are: one TLS context for sockets and REST alike."""

from __future__ import annotations

import os
import ssl
from pathlib import Path


def client_context() -> ssl.SSLContext:
    """Certificates and host names verified against the system's authorities.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, as OpenSSL does everywhere. Where the system has none at all
    (some builds of Python on macOS), the ones that come with httpx are taken.
    """
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if not (named or paths.cafile or paths.capath):  # pragma: no cover - depends on the system
        import certifi  # noqa: PLC0415 - rarely needed

        context.load_verify_locations(certifi.where())
    return context


def failure(error: ssl.SSLError) -> tuple[str, str]:
    """What a failed TLS handshake means, as the end of a sentence, and what may mend it."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"did not complete TLS: {(error.reason or str(error)).replace('_', ' ').lower()}", ""
    message = error.verify_message.rstrip(".").lower()
    if "mismatch" in message:
        return f"shows a certificate for another name: {message}", ""
    named = os.environ.get("SSL_CERT_FILE", "")
    if named and not Path(named).is_file():
        hint = f"SSL_CERT_FILE names {named}, which is not there"
    else:
        hint = "SSL_CERT_FILE may name the authority to trust, as a proxy that opens TLS needs"
    return f"shows a certificate that is not trusted: {message}", hint
