from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# In a process of its own: what the allocator is told stays for a process's life.
LOOK = """
import ctypes
from rekt import app

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

look = ctypes.CDLL(None).mallinfo2
look.restype = Info

if {tuned}:
    app.tune()
large = bytearray(4 << 20)
del large
before = look().hblkhd
kept = bytearray(1 << 20)
print(look().hblkhd - before >= 1 << 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library, which has no such habit")
@pytest.mark.parametrize("tuned", [True, False])
def test_a_large_piece_that_was_freed_does_not_make_the_heap_grow(*, tuned: bool) -> None:
    """Large pieces stay outside of the heap, whatever was freed before; without our word glibc takes them into it."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(tuned=tuned)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.strip() == str(tuned)
