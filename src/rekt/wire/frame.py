"""What comes off a wire: frames, and how a connection ended."""

from __future__ import annotations

from typing import NamedTuple


class Frame(NamedTuple):
    """One message as the venue sent it, and when it was read off the socket (µs since 1970)."""

    received_us: int
    data: bytes


class Disconnected(NamedTuple):
    """Why a connection ended.

    `cause` is one of a few words that the ledger keeps: what the caller gave to `close` or `abort` (stopped, renewed,
    stall, mis-routed), or else `cut` (the other side ended it), `queue full` (so it was, but because we had stopped
    reading), `frame too large` or `protocol error` (we refused what came). `detail` is a sentence for people.
    """

    cause: str
    detail: str
