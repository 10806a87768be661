"""Frames and websocket bytes that mean harm, made from good ones by a seeded random: what the fuzz experiments send."""

from __future__ import annotations

import json
import random
import time
from typing import NamedTuple

from rekt.simulator.faults import hostile_frame
from tests.venues.samples_binance import SAMPLES
from tests.wire.server import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode

GOOD = tuple(sample.frame for sample in SAMPLES)
TOKENS = (
    b"null", b"true", b"-1", b"0", b"1e999", b"1E-9", b"NaN", b"9" * 25, b"9" * 5000, b'""', b'"x"', b"[]", b"{}", b"[[",
    b'"\\u0000"', b'"\\ud800"', b'"\\n"', b'"\xff"', b"\x00", b'"o":', b'"e":"forceOrder",', b'"data":', b'"E":', b'"T":',
    b'"s":"\'; DROP TABLE liquidation;--"', b'"s":"../../etc/passwd"', b'"s":"<script>alert(1)</script>"',
    b'"s":"$(reboot)"', b'"s":"\\u001b[2J"', b'"st":3', b"1791565602047", b'"error":', b'"result":', b'"code":', b",", b":",
)  # fmt: skip
DEEP = 100_000


def event(number: int, symbol: str = "BTCUSDT") -> dict[str, object]:
    """A good liquidation of now, another one for each number."""
    now = int(time.time() * 1000)
    order = {
        "s": symbol, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "1", "p": "100", "ap": f"{100 + number}.5",
        "X": "FILLED", "l": "1", "z": "1", "T": now, "ps": "BTCUSDT", "st": 1,
    }  # fmt: skip
    return {"e": "forceOrder", "E": now, "o": order}


def canary() -> bytes:
    """A tick of now."""
    now = int(time.time() * 1000)
    return b'{"stream":"c","data":{"e":"markPriceUpdate","E":%d,"s":"BTCUSDT","p":"81000.1"}}' % now


def mutated(rng: random.Random, sample: bytes) -> bytes:
    """A good frame with one to four parts replaced, cut, doubled or put in."""
    data = sample
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((0, 0, 1, 1, 2, 5, 20, 60)))
        middle = rng.choice((b"", rng.randbytes(rng.randint(1, 4)), rng.choice(TOKENS), data[start:end] * 2))
        data = data[:start] + middle + data[end:]
    return data


def bad_frame(rng: random.Random) -> bytes:
    """Any frame that a venue should never send; some decode all the same."""
    match rng.randrange(40):
        case 0:  # count: one frame, many events
            orders = [event(rng.randrange(1 << 30)) for _ in range(rng.choice((2, 100, 2000)))]
            return json.dumps(orders).encode()
        case 1:  # nesting
            return (
                rng.choice((b'{"error":', b'{"data":', b"", b'{"o":')) + rng.choice((b"[", b'{"o":')) * DEEP
            )
        case 2:  # nesting that ends well, just below and above what a decoder may bear
            depth = rng.choice((500, 900, 1000, 1100, 5000))
            return b'{"error":' + b"[" * depth + b"]" * depth + b"}"
        case 3:  # size
            return b'{"e":"' + b"x" * rng.choice((10_000, 1_000_000)) + b'"}'
        case 4:  # digits
            return b'{"code":' + b"9" * rng.choice((18, 19, 20, 400, 5000)) + b',"msg":"\\u001b[2Jx\\ny"}'
        case 5 | 6 | 7 | 8:  # answers that are errors
            return b'{"error":{"code":%d,"msg":"no"}}' % rng.randrange(1000)
        case 9 | 10 | 11 | 12 | 13 | 14:
            return hostile_frame(rng, GOOD[0])[1]
        case 15:
            return rng.randbytes(rng.randrange(300))
        case _:
            return mutated(rng, rng.choice(GOOD))


class Stream(NamedTuple):
    """Bytes after a handshake: what messages come whole before anything is wrong with them, and whether anything is."""

    data: bytes
    good: list[bytes]
    hostile: bool


def stream(rng: random.Random, max_frame: int) -> Stream:
    """Good messages, whole and in fragments, then perhaps bytes that break the protocol."""
    data, good = bytearray(), []
    for _ in range(rng.randrange(6)):
        message = rng.choice(
            (b"", rng.randbytes(rng.randrange(200)), rng.randbytes(rng.randrange(max_frame)))
        )
        good.append(message)
        data += (
            _fragments(rng, message) if rng.random() < 0.5 else encode(message, rng.choice((TEXT, BINARY)))
        )
        if rng.random() < 0.3:
            data += encode(rng.randbytes(rng.randrange(126)), rng.choice((PING, PONG)))
    hostile = rng.random() < 0.9
    if hostile:
        data += _hostile_bytes(rng, max_frame)
    return Stream(bytes(data), good, hostile)


def _fragments(rng: random.Random, message: bytes) -> bytes:
    cuts = sorted(rng.randrange(len(message) + 1) for _ in range(rng.randint(1, 5)))
    parts = [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True)]
    data = b""
    for number, part in enumerate(parts):
        data += encode(part, CONTINUATION if number else TEXT, fin=number == len(parts) - 1)
        if rng.random() < 0.2:
            data += encode(b"between", PING)
    return data


def _hostile_bytes(rng: random.Random, max_frame: int) -> bytes:
    match rng.randrange(12):
        case 0:  # a length that nobody has memory for
            return (
                b"\x81\x7f"
                + rng.choice((2**63 - 1, 2**63, 2**64 - 1, 2**40, max_frame + 1)).to_bytes(8)
                + b"x" * 99
            )
        case 1:  # cut within a header or a payload
            whole = encode(rng.randbytes(rng.choice((10, 300, 70_000))))
            return whole[: rng.randrange(1, len(whole))]
        case 2:  # reserved bits
            return bytes([0x81 | rng.choice((0x10, 0x20, 0x40, 0x70)), 1]) + b"x"
        case 3:  # unknown opcodes
            return bytes([0x80 | rng.choice((3, 4, 5, 6, 7, 11, 12, 13, 14, 15)), 1]) + b"x"
        case 4:  # masked, which a server must not do
            return b"\x81\x81abcdx"
        case 5:  # a control frame that is too long, or in fragments
            return rng.choice(
                (encode(b"x" * 126, PING), encode(b"x", PING, fin=False), encode(b"y" * 300, CLOSE))
            )
        case 6:  # fragments out of order
            return rng.choice((encode(b"x", CONTINUATION), encode(b"a", fin=False) + encode(b"b", TEXT)))
        case 7:  # fragments without end
            part = encode(b"z" * 1000, CONTINUATION, fin=False)
            return encode(b"z", fin=False) + part * (2 * max_frame // 1000)
        case 8:  # very many empty fragments
            return encode(b"", fin=False) + encode(b"", CONTINUATION, fin=False) * 5_000
        case 9:  # a close frame with one byte, a bad code, a bad text
            return encode(rng.choice((b"\x03", b"\x00\x00", b"\x03\xe8\xff\xfe", b"\xff\xff\x1b[2J")), CLOSE)
        case 10:  # not UTF-8: text all the same, which the decoder refuses
            return encode(b"\xff\xfe\xc0\x80")
        case _:
            return rng.randbytes(rng.randint(1, 400))
