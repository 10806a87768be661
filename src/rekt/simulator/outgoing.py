"""A connection's way out: from publications to bytes, through the faults in force.

The frames of a batch are joined into one write. Everything passes here, replies and pongs too, so that a
stalled connection is silent about everything.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rekt.simulator.faults import Fault, hostile_frame
from rekt.simulator.scene import Kind, Publication, Session
from rekt.simulator.truth import Life, Record, Sent

TEXT = 0x1
BINARY = 0x2
PING = 0x9
PONG = 0xA


class Piece(NamedTuple):
    """A frame on its way out, and what it means for the ground truth."""

    frame: bytes
    kind: Kind | None = None
    sent: Sent | None = None


class Outgoing:
    """Encodes, disturbs, writes and notes what was written."""

    def __init__(
        self,
        session: Session,
        life: Life,
        record: Record,
        rng: random.Random,
        *,
        write: Callable[[bytes], None],
        overflow: Callable[[], None],
        buffer_bytes: int,
        now_s: Callable[[], float],
        now_ns: Callable[[], int],
    ) -> None:
        self.faults: dict[str, Fault] = {}
        self._session = session
        self._life = life
        self._record = record
        self._random = rng
        self._write = write
        self._overflow = overflow
        self._buffer_bytes = buffer_bytes
        self._now_s = now_s
        self._now_ns = now_ns
        self._held: list[Piece] = []
        self._dribble: deque[tuple[bytes, Piece]] = deque()
        self._dribble_bytes = 0
        self._dribbled_s = 0.0
        self._sample = b'{"e":"x","E":1700000000000,"o":{"s":"X","q":"1","T":1700000000000}}'

    def suffer(self, fault: Fault) -> None:
        """Put a lasting fault in force."""
        self.faults[fault.kind] = fault
        if fault.kind == "slow":
            self._dribbled_s = self._now_s()
        if fault.kind == "garbage":
            self.write([self._hostile() for _ in range(fault.count)])
            if not fault.share:
                del self.faults["garbage"]

    def recover(self, kind: str | None) -> None:
        """End a lasting fault (None: all); what it held back goes out."""
        for name in list(self.faults) if kind is None else [kind]:
            self.faults.pop(name, None)
        if "disorder" not in self.faults:
            held, self._held = self._held, []
            self.write(held)
        if "slow" not in self.faults:
            self.drip(everything=True)

    def publish(self, batch: Sequence[tuple[Publication, Sent | None]]) -> None:
        """Write what this session gets of a batch."""
        faults = self.faults
        if not self._session.routed or "unrouted" in faults or "stall" in faults:
            return
        quiet, canary_stop = "quiet" in faults, "canary_stop" in faults
        encode, opcode = self._session.encode, BINARY if self._session.binary else TEXT
        pieces: list[Piece] = []
        for publication, sent in batch:
            kind = publication.kind
            if (quiet and kind is Kind.LIQUIDATION) or (canary_stop and kind is Kind.CANARY):
                continue
            for message in encode(publication):
                pieces.append(Piece(framed(opcode, message), kind, sent))
                if kind is Kind.LIQUIDATION:
                    self._sample = message
        self.write(self._disturbed(pieces) if faults else pieces)
        self.drip()

    def reply(self, opcode: int, messages: Iterable[bytes]) -> None:
        """Write control frames."""
        self.write([Piece(framed(opcode, message)) for message in messages])

    def say(self, messages: Iterable[bytes]) -> None:
        """Write data frames that are no publication: replies, greetings, heartbeats."""
        self.reply(BINARY if self._session.binary else TEXT, messages)

    def write(self, pieces: list[Piece]) -> None:
        """Write frames now, or queue them where bytes dribble."""
        if not pieces or "stall" in self.faults:
            return
        if "slow" not in self.faults and not self._dribble:
            self._write(b"".join([piece.frame for piece in pieces]))
            self._note(pieces)
            return
        if not self._dribble:
            self._dribbled_s = self._now_s()  # no time is saved up while there is nothing to write
        self._dribble.extend((piece.frame, piece) for piece in pieces)
        self._dribble_bytes += sum(len(piece.frame) for piece in pieces)
        if self._dribble_bytes > self._buffer_bytes:
            self._overflow()

    def drip(self, *, everything: bool = False) -> None:
        """Write as many queued bytes as the time since the last drip allows, frames cut anywhere."""
        if not self._dribble or "stall" in self.faults:
            return
        now_s = self._now_s()
        allowed = self._dribble_bytes
        if not everything and (fault := self.faults.get("slow")) is not None:
            allowed = int((now_s - self._dribbled_s) * fault.bytes_per_second)
        if allowed < 1:
            return
        self._dribbled_s = now_s
        while self._dribble and allowed > 0:
            data, piece = self._dribble.popleft()
            part = data[:allowed]
            allowed -= len(part)
            self._dribble_bytes -= len(part)
            self._write(part)
            if len(part) < len(data):
                self._dribble.appendleft((data[len(part) :], piece))
            else:
                self._note([piece])

    def _hostile(self) -> Piece:
        self._life.garbage += 1
        self._record.counts.garbage += 1
        return Piece(framed(*hostile_frame(self._random, self._sample)))

    def _disturbed(self, pieces: list[Piece]) -> list[Piece]:
        garbage, duplicate = self.faults.get("garbage"), self.faults.get("duplicate")
        result: list[Piece] = []
        for piece in pieces:
            if piece.kind is Kind.LIQUIDATION:
                if garbage and self._random.random() < garbage.share:
                    result.append(self._hostile())
                if duplicate and self._random.random() < duplicate.share:
                    result.append(piece)
            result.append(piece)
        disorder = self.faults.get("disorder")
        if disorder is None:
            return result
        self._held += [piece for piece in result if piece.kind is Kind.LIQUIDATION]
        result = [piece for piece in result if piece.kind is not Kind.LIQUIDATION]
        while len(self._held) > disorder.depth:
            result.append(self._held.pop(self._random.randrange(len(self._held))))
        return result

    def _note(self, pieces: Iterable[Piece]) -> None:
        now_ns = self._now_ns()
        for piece in pieces:
            if piece.kind is Kind.LIQUIDATION and piece.sent is not None:
                self._life.liquidations += 1
                self._record.written(piece.sent, self._life.id, now_ns)
            elif piece.kind is Kind.CANARY:
                self._life.canaries += 1
                self._record.counts.canaries += 1


def framed(opcode: int, payload: bytes) -> bytes:
    """A whole, unmasked websocket frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload
