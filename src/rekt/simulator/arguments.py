"""The dialogue of venues that subscribe by objects: `{"op":"subscribe","args":[{…},…]}`, a text `ping` between.

Several venues speak it. What an argument may be, and how it is refused, is the scene's; a channel's name is its
argument's values joined by spaces, in the order the scene puts them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from rekt.simulator.scene import Publication, Session

Argument = dict[str, str]


class Manners(NamedTuple):
    """What the venue puts up with on one connection."""

    patience_s: int
    """Seconds of silence after which it closes."""
    pushes_count: bool
    """Whether what it says itself breaks the silence; otherwise the client's pings alone do."""
    requests: int
    """Subscribing and unsubscribing requests, in the connection's life (the venues count an hour)."""
    channels: int
    request_bytes: int


class Arguments(Session):
    """One connection: what it has subscribed, and for how long nothing was heard on it."""

    def __init__(
        self,
        argument: Callable[[Argument], Argument | bytes],
        malformed: bytes,
        manners: Manners,
        *,
        routed: bool = True,
        backlog: Callable[[str], Iterable[bytes]] = lambda _: (),
    ) -> None:
        """`argument`: one as the venue repeats it, or the refusal; `backlog`: what a new channel begins with."""
        self.routed = routed
        self._argument = argument
        self._malformed = malformed
        self._manners = manners
        self._backlog = backlog
        self._streams: dict[str, None] = {}
        self._requests = 0
        self._silent_s = 0

    @property
    def streams(self) -> Collection[str]:
        return self._streams.keys()

    def encode(self, publication: Publication) -> Iterable[bytes]:
        channels = publication.channels
        told = [publication.payload for name in channels if name in self._streams]
        if not channels:
            told = [publication.payload]
        if told and self._manners.pushes_count:
            self._silent_s = 0
        return told

    def beat(self, now_ms: int) -> Sequence[bytes]:  # noqa: ARG002 (a second is a second)
        self._silent_s += 1
        if self._silent_s > self._manners.patience_s:
            self.closing = f"nothing for {self._manners.patience_s} s"
        return ()

    def receive(self, message: bytes) -> Sequence[bytes]:
        if message == b"ping":
            self._silent_s = 0
            return [b"pong"]
        if self._manners.pushes_count:  # each message is answered
            self._silent_s = 0
        try:
            request = msgspec.json.decode(message, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [self._malformed]
        if len(message) > self._manners.request_bytes:
            return [self._malformed]
        self._requests += 1
        if self._requests > self._manners.requests:
            self.closing = "too many requests"
            return ()
        return [reply for argument in request.args for reply in self._answers(request.op, argument)]

    def _answers(self, op: str, asked: Argument) -> Sequence[bytes]:
        argument = self._argument(asked)
        if isinstance(argument, bytes):
            return [argument]
        name = channel(argument)
        backlog: Iterable[bytes] = ()
        if op == "unsubscribe":
            self._streams.pop(name, None)
        elif name not in self._streams:
            if len(self._streams) == self._manners.channels:
                self.closing = "too many channels"
                return ()
            self._streams[name] = None
            backlog = self._backlog(name) if self.routed else ()
        return [msgspec.json.encode({"event": op, "arg": argument, "connId": "x"}), *backlog]


class _Request(msgspec.Struct):
    op: Literal["subscribe", "unsubscribe"]
    args: list[Argument]


def channel(argument: Mapping[str, Any]) -> str:
    """The name of the channel of an argument."""
    return " ".join(str(value) for value in argument.values())
