"""No venue is named where all of them are meant: a new one is a new file, and no other is touched."""

from __future__ import annotations

import re
from pathlib import Path

import rekt
from rekt import registry
from rekt.config import SECTIONS
from rekt.stores.questdb import takeover

SOURCE = Path(rekt.__file__).parent
OWN = ("venues", "simulator/scenes")
KINDS = (".py", ".js", ".html", ".css", ".svg")
WORDS = {"gate": r"""["'\[]gate["'\]]"""}  # also a word of English: only where it stands as a name
DEFAULT = SECTIONS["VENUES"]["enabled"].default
ALLOWED = {
    "settings.py": [f'"enabled": Key("text", "{DEFAULT}", '],  # the venue that is recorded by default
    "stores/questdb/takeover.py": [f'VENUE = "{takeover.VENUE}"'],  # the one of the original's tables
}


def test_no_venue_s_name_stands_elsewhere() -> None:
    """In the source, comments and page included, names of venues stand in their own files and scenes alone."""
    names = registry.names("rekt.venues")
    assert set(WORDS) <= set(names)
    pattern = re.compile("|".join(WORDS.get(name, rf"\b{name}\b") for name in names), re.IGNORECASE)
    found, used = [], []
    for file in sorted(SOURCE.rglob("*")):
        path = file.relative_to(SOURCE).as_posix()
        if file.suffix not in KINDS or path.startswith(OWN):
            continue
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if not pattern.search(line):
                continue
            allowed = [text for text in ALLOWED.get(path, ()) if text in line]
            used += allowed
            if not allowed:
                found.append(f"{path}:{number}: {line.strip()}")
    assert found == []
    assert used == [
        text for texts in ALLOWED.values() for text in texts
    ]  # nothing is allowed that is not there
