"""What can go wrong on purpose: the kinds of fault, hostile frames, and scripts of faults.

A fault hits connections: one by its id, `open` (all that are open), `next` (the next to open), `every`
(open ones and all later ones, until cleared), or `one` (a seeded choice among the healthy ones).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

Target = int | Literal["open", "next", "every", "one"]

KINDS = {
    "cut": "the connection ends: how=reset (TCP RST), fin (no close frame) or close (frame with code=)",
    "stall": "half open: the socket stays, nothing is sent any more, pings are not answered",
    "unrouted": "acknowledges, answers pings, delivers nothing (the retired path's behaviour)",
    "quiet": "no liquidations while the canary goes on: a quiet market",
    "canary_stop": "the canary stops while liquidations go on",
    "garbage": "hostile frames: count= of them at once, and one before a share= of the liquidations",
    "duplicate": "a share= of the liquidations is sent twice",
    "disorder": "liquidations come out of order, up to depth= late",
    "slow": "bytes dribble out at bytes_per_second=, frames split anywhere",
    "shutdown": "announces the server's end (serverShutdown) and goes on",
    "refuse": "new connections fail: how=status (HTTP code=), close, hang, garbled or unreachable",
}
HOW = {
    "cut": ("reset", "fin", "close"),
    "refuse": ("status", "close", "hang", "garbled", "unreachable"),
}
LASTING = frozenset(KINDS) - {"cut", "shutdown"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and its figures."""

    kind: str
    seconds: float | None = None
    """How long it lasts; None until cleared."""
    how: str = ""
    code: int = 0
    """Close code of a cut (default 1001), HTTP status of a refusal (default 503)."""
    share: float = 0.0
    count: int = 0
    depth: int = 8
    bytes_per_second: int = 2000

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(KINDS)}")
        ways = HOW.get(self.kind, ("",))
        if not self.how:
            object.__setattr__(self, "how", ways[0])
        if self.how not in ways:
            raise ValueError(f"fault {self.kind!r} knows how={', '.join(ways)}, not {self.how!r}")
        if self.kind == "duplicate" and not self.share:
            object.__setattr__(self, "share", 1.0)
        if self.kind == "garbage" and not self.share and not self.count:
            object.__setattr__(self, "count", 1)


@dataclass(frozen=True, slots=True)
class Step:
    """A fault at a time of a script (seconds after the start)."""

    at_s: float
    fault: Fault
    connection: Target = "open"
    spare: int = 0
    """Skip the step unless so many other healthy connections remain."""


def parse_step(text: str) -> Step:
    """A step as on the command line: `12.5 stall connection=one seconds=10`, or as a JSON object."""
    if text.lstrip().startswith("{"):
        given: dict[str, Any] = json.loads(text)
        return _step(given.pop("at"), given.pop("kind"), given)
    words = text.split()
    if len(words) < 2:
        raise ValueError(f"a fault is written 'SECONDS KIND key=value …', not {text!r}")
    given = dict(word.split("=", 1) for word in words[2:])
    return _step(words[0], words[1], given)


def random_script(
    seed: int, *, mean_s: float, until_s: float, kinds: Iterable[str] = (), spare: int = 1
) -> Iterator[Step]:
    """Faults on one connection after the other at random moments, `spare` healthy ones always left."""
    rng = random.Random(f"script {seed}")
    choices = list(kinds) or ["cut", "stall", "unrouted", "garbage", "duplicate", "disorder", "slow"]
    at_s = 0.0
    while (at_s := at_s + rng.expovariate(1 / mean_s)) < until_s:
        kind = rng.choice(choices)
        fault = Fault(
            kind,
            seconds=None if kind not in LASTING else rng.uniform(2, 20),
            how=rng.choice(HOW["cut"]) if kind == "cut" else "",
            share=0.2 if kind in ("garbage", "duplicate") else 0.0,
        )
        yield Step(at_s, fault, "one", spare)


_AMOUNT = re.compile(rb'"\d+(?:\.\d+)?"')
_TIME = re.compile(rb"(?<=:)\d{13}(?=[,}])")
_TEXT = 0x1
_BINARY = 0x2


def hostile_frame(rng: random.Random, sample: bytes) -> tuple[int, bytes]:
    """A frame (opcode, bytes) that no reader may take for a liquidation, made from a good one."""
    match rng.randrange(10):
        case 0:
            return _TEXT, b"{]not json"
        case 1:
            return _TEXT, sample[: rng.randrange(1, max(2, len(sample) - 1))]
        case 2:
            return _BINARY, rng.randbytes(rng.randrange(1, 200))
        case 3:
            return _TEXT, _AMOUNT.sub(b"null", sample)
        case 4:
            return _TEXT, _AMOUNT.sub(b'[{"x":1}]', sample)
        case 5:
            return _TEXT, _AMOUNT.sub(b'"' + b"9" * 60 + b'"', sample)
        case 6:
            return _TEXT, _TIME.sub(rng.choice((b"0", b"-1", b"99999999999999", b"1e400")), sample)
        case 7:
            return _TEXT, b'{"e":' + b"[" * 2000 + b"]" * 2000 + b"}"
        case 8:
            return _TEXT, b""
        case _:
            return _TEXT, sample.replace(b'"s":"', b'"s":"\xff\xfe')


def _step(at: Any, kind: str, given: dict[str, Any]) -> Step:
    types = {f.name: f.type for f in fields(Fault)}
    connection: Target = "open"
    spare = int(given.pop("spare", 0))
    if "connection" in given:
        target = given.pop("connection")
        names = get_args(get_args(Target)[1])
        connection = target if target in names else int(target)
    figures: dict[str, Any] = {}
    for name, value in given.items():
        if name not in types:
            raise ValueError(f"a fault has no {name!r}; it knows connection, spare, {', '.join(types)}")
        cast = {"int": int, "str": str}.get(str(types[name]), float)
        figures[name] = cast(value)
    return Step(float(at), Fault(kind, **figures), connection, spare)
