"""What connections have subscribed, and the dialogue in JSON for it that more than one venue speaks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from rekt.simulator.scene import Kind, Publication, Session

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
STREAMS_PER_CONNECTION = 1024


class Subscriber(Session):
    """One connection that gets publications as they are, by the channels it asked for; its dialogue is its venue's."""

    def __init__(self, *, routed: bool = True) -> None:
        self._streams: dict[str, None] = {}
        self.routed = routed

    @property
    def streams(self) -> Collection[str]:
        return self._streams.keys()

    def encode(self, publication: Publication) -> Iterable[bytes]:
        channels = publication.channels
        if channels and not any(name in self._streams for name in channels):
            return ()
        return (publication.payload,)


def nothing(now_ms: int) -> Publication:
    """Where a venue announces nothing: a publication on a channel that nobody has."""
    return Publication(Kind.NOTICE, ("",), b"", now_ms)


class Dialogue(Session):
    """One connection: what it has subscribed, and whether its payloads are wrapped."""

    def __init__(self, streams: Iterable[str], *, combined: bool, routed: bool, nested_errors: bool) -> None:
        self._streams = dict.fromkeys(streams)
        self._combined = combined
        self._nested_errors = nested_errors
        self.routed = routed

    @property
    def streams(self) -> Collection[str]:
        return self._streams.keys()

    def encode(self, publication: Publication) -> Iterable[bytes]:
        channels = publication.channels
        if not channels:
            return (publication.payload,)
        if publication.recorded is not None and self._combined:
            return (publication.recorded,) if any(name in self._streams for name in channels) else ()
        wanted = [name for name in channels if name in self._streams]
        if not self._combined:
            return [publication.payload] * len(wanted)
        return [b'{"stream":"%b","data":%b}' % (name.encode(), publication.payload) for name in wanted]

    def receive(self, message: bytes) -> Sequence[bytes]:
        try:
            request = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [self._error(3, "Invalid JSON: expected value at line 1 column 1")]
        if not isinstance(request, dict):
            return [self._error(2, "Invalid request: expected an object")]
        method, params, number = request.get("method"), request.get("params", []), request.get("id")
        if type(number) is not int or number < 0:
            return [self._error(2, "Invalid request: request ID must be an unsigned integer")]
        if method is None:
            return [self._error(2, "Invalid request: missing field `method` at line 1 column 1", number)]
        if method not in METHODS:
            expected = ", ".join(f"`{name}`" for name in METHODS)
            text = (
                f"Invalid request: unknown variant `{method}`, expected one of {expected} at line 1 column 1"
            )
            return [self._error(2, text, number)]
        if method == "LIST_SUBSCRIPTIONS":
            return [_result(list(self._streams), number)]
        if not isinstance(params, list):
            return [self._error(2, "Invalid request: params must be an array", number)]
        if method.endswith("PROPERTY"):
            return [self._property(method, params, number)]
        if not params or not all(isinstance(name, str) for name in params):
            return [self._error(2, "Invalid request: stream names must be strings", number)]
        if method == "UNSUBSCRIBE":
            for name in params:
                self._streams.pop(name, None)
        else:
            wanted = self._streams | dict.fromkeys(params)
            if len(wanted) > STREAMS_PER_CONNECTION:
                return [self._error(2, "Invalid request: too many streams, 1024 a connection", number)]
            self._streams = wanted
        return [_result(None, number)]

    def _property(self, method: str, params: list[Any], number: int) -> bytes:
        if not params or params[0] != "combined":
            return self._error(0, "Unknown property", number)
        if method == "GET_PROPERTY":
            return _result(self._combined, number)
        if len(params) != 2 or not isinstance(params[1], bool):
            return self._error(1, "Invalid value type: expected Boolean", number)
        self._combined = params[1]
        return _result(None, number)

    def _error(self, code: int, text: str, number: int | None = None) -> bytes:
        error: dict[str, Any] = {"code": code, "msg": text}
        if not self._nested_errors:
            return msgspec.json.encode(error)
        return msgspec.json.encode({"error": error} if number is None else {"error": error, "id": number})


def _result(result: object, number: int) -> bytes:
    return msgspec.json.encode({"result": result, "id": number})
