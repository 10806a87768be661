"""credentials.ini and the environment, read once into frozen settings."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["text", "number", "whole", "flag", "path", "secret"]


class Key(NamedTuple):
    """One documented setting: its kind, its default as it would stand in the file, and a sentence on it."""

    kind: Kind
    default: str
    doc: str
