"""Answers to an HTTP request other than a proper upgrade: documents, refusals, half an answer, silence."""

from __future__ import annotations

from http import HTTPStatus

import picows
from picows import WSUpgradeResponse, WSUpgradeResponseWithListener

from rekt.simulator.faults import Fault


class _Mangled(WSUpgradeResponse):
    """A response of which only some bytes are ever written."""

    text: bytes

    def to_bytes(self) -> bytearray:
        return bytearray(self.text)


class Silent(picows.WSListener):
    """A connection that was taken and is never answered."""

    def __init__(self, transports: set[picows.WSTransport]) -> None:
        self._transports = transports

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transports.add(transport)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Not answered."""

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._transports.discard(transport)


def json_response(status: int, body: bytes) -> WSUpgradeResponseWithListener:
    """An HTTP answer that ends the connection."""
    headers = {"Content-Type": "application/json"}
    if status == HTTPStatus.OK:
        response = WSUpgradeResponse.create_ok_response(body, headers)
    else:
        response = WSUpgradeResponse.create_error_response(status, body, headers)
    return WSUpgradeResponseWithListener(response, None)


def mangled(fault: Fault, silent: Silent) -> WSUpgradeResponseWithListener:
    """How a refused connection ends: see `faults.KINDS`."""
    if fault.how == "status":
        return json_response(fault.code or HTTPStatus.SERVICE_UNAVAILABLE, b'{"code":-1,"msg":"unavailable"}')
    plain = WSUpgradeResponse.create_101_response() if fault.how == "hang" else None
    response = _Mangled()
    response.version = b"HTTP/1.1"
    response.status = HTTPStatus.SWITCHING_PROTOCOLS if plain else HTTPStatus.SERVICE_UNAVAILABLE
    response.headers = (plain or WSUpgradeResponse.create_error_response(503)).headers
    response.body = None
    response.text = b"HTTP/1.1 101 Swit" if fault.how == "garbled" else b""
    return WSUpgradeResponseWithListener(response, silent if plain else None)
