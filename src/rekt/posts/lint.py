"""Looking through templates before they are needed: `rekt tweet --check`. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rekt.posts.template import Fault, check

# What X takes for an address: letters, a dot, letters of a known ending. To the safe side.
_ADDRESS = re.compile(
    r"https?://\S+|(?<![\w@.])[\w-]+\.(?:com|io|net|org|at|co|me|de|uk|eu|xyz|fi|ai|app|gg|tv)\b",
    re.IGNORECASE,
)
_CASHTAG = re.compile(r"(?<![^\s(\"'])\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?![A-Za-z0-9_])")


def lint(lines: Sequence[str]) -> tuple[int, list[Fault]]:
    """How many templates are good, and every line that is not."""
    found, faults = check(lines)
    for one in found:
        if address := _ADDRESS.search(one.text):
            faults.append(Fault(one.line, f"X takes {address[0]!r} for an address: thirteen times the price"))
        elif len(tags := _CASHTAG.findall(one.text)) > 1:
            faults.append(Fault(one.line, f"X takes one cashtag a post, this has {len(tags)}"))
    return len(found), sorted(faults)
