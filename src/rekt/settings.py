"""What can be set, each key with its kind, its default and a sentence; and what is set, frozen. Read by config.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

Kind = Literal["text", "number", "whole", "flag", "path", "name", "engine", "origin", "secret"]


class Key(NamedTuple):
    """One documented setting: its kind, its default as it would stand in the file, and a sentence on it."""

    kind: Kind
    default: str
    doc: str


SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "TWITTER": {
        "consumer_key": Key("secret", "", "API key of the app at X's developer portal."),
        "consumer_secret": Key("secret", "", "Its secret."),
        "access_token": Key("secret", "", "Access token of the account that posts (read and write)."),
        "access_token_secret": Key("secret", "", "Its secret."),
        "api_url": Key("text", "https://api.x.com", "Where X's API is; every call to X goes there."),
        "allow_links": Key(
            "flag", "no", "Whether posts may hold addresses; X takes $0.20 instead of $0.015."
        ),
    },
    "DATABASE": {
        "path": Key(
            "path",
            "",
            "The ledger's file. Default: data/<name>.db beside the launcher, in an installed rekt <name>.db in "
            "the user's data folder. Everything else that is kept lies in the same folder.",
        ),
        "name": Key(
            "name", "liqui", "Name of QuestDB's table, and of the ledger's file where no path is set."
        ),
        "batch_size": Key(
            "whole",
            "50",
            "Accepted for old files. Nothing waits for a batch to fill; above 1000 it caps a shipped batch.",
        ),
        "engine": Key(
            "engine",
            "sqlite",
            "sqlite: the ledger alone. questdb: `rekt run` also ships every row of it to a QuestDB server.",
        ),
        "url": Key(
            "origin",
            "http://localhost:9000",
            "Where QuestDB's HTTP port is. Unset: the server of `rekt questdb start`, else the default.",
        ),
        "user": Key("text", "", "QuestDB's HTTP user. The server of `rekt questdb start` needs none here."),
        "password": Key("secret", "", "Its password."),
        "ttl_days": Key("whole", "0", "QuestDB drops its rows after so many days; 0 keeps them."),
        "keep_days": Key(
            "whole",
            "0",
            "With engine questdb: the ledger drops the rows of days older than this, once they are proved to be in "
            "QuestDB; the hours' sums stay. At least 8; 0 keeps all.",
        ),
    },
    "VENUES": {
        "enabled": Key("text", "binance", "The venues that are recorded, with commas between them, or all."),
    },
    "POST": {
        "templates": Key(
            "path",
            "",
            "The posts' templates, one a line. Default: tweets.txt beside this file, else in the working "
            "directory, else the built-in ones.",
        ),
        "to": Key("text", "", "Services to post to, such as x, bluesky. Default: all whose keys are set."),
        "picture": Key("flag", "yes", "Whether posts have a picture."),
        "theme": Key("text", "dark", "The picture's: dark or light."),
        "min_coverage": Key(
            "number",
            "0.98",
            "Below this share of the hour recorded at a venue, the text says how many minutes it covers.",
        ),
        "skip_coverage": Key(
            "number",
            "0.5",
            "Below this share of the hour recorded, a venue is left out of the post; with none left, nothing is posted.",
        ),
        "monthly_budget_usd": Key(
            "number", "25", "What X may cost in a calendar month (UTC); then nothing more is posted there."
        ),
        "deadline_minutes": Key(
            "number", "20", "An hour that could not be posted so long after its end is left out."
        ),
        "settle_seconds": Key(
            "number", "30", "How long to wait before an unclear outcome is looked up at the service."
        ),
        "big_usd": Key("number", "0", "Post a single liquidation from this size on, at once. 0: never."),
        "big_percentile": Key(
            "number",
            "0",
            "Or from this percentile of the symbol's last 30 days on, such as 99.9; big_usd is then the least.",
        ),
        "cascade_usd": Key("number", "0", "Post a cascade: so much within cascade_minutes. 0: never."),
        "cascade_minutes": Key("number", "5", "The length of time that cascade_usd is held against."),
        "cooldown_minutes": Key(
            "number", "15", "Between two such posts; what happens meanwhile is added up."
        ),
    },
    "ALERTS": {
        "urls": Key(
            "secret",
            "",
            "Where the operator is told of trouble: Apprise addresses, separated by spaces (mailto, slack, ntfy …).",
        ),
        "feed_seconds": Key("number", "60", "Tell when the feed has shown no sign of life for so long."),
        "sink_seconds": Key("number", "300", "Tell when QuestDB has not got what was recorded so long ago."),
    },
    "DASHBOARD": {
        "host": Key("text", "127.0.0.1", "Address the dashboard listens on; any but loopback needs a token."),
        "port": Key("whole", "8765", "Its port; 0 takes a free one."),
        "token": Key("secret", "", "What a reader must know, where it is set."),
        "hosts": Key("text", "", "Further names that browsers know it by, with commas: dash.example.com."),
    },
}
"""The sections every rekt knows; venues bring one each, named after them in capitals."""


def known_sections(extra: Mapping[str, Mapping[str, Key]]) -> dict[str, Mapping[str, Key]]:
    """Every section with its keys, in the order of documents: the fixed ones, then what adapters bring."""
    return {**SECTIONS, **{name: extra[name] for name in sorted(extra)}}


class Section(Mapping[str, str]):
    """The settings of one section, defaults applied; as a mapping it has the text of each, "" where there is none.

    Its repr names the keys and tells no value.
    """

    def __init__(self, name: str, values: Mapping[str, str]) -> None:
        self.name = name
        self._values = MappingProxyType(dict(values))

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Section({self.name}: {', '.join(self._values)})"

    def text(self, key: str) -> str:
        """The text, "" where nothing is set and there is no default."""
        return self._values[key]

    def optional(self, key: str) -> str | None:
        """The text, None where nothing is set and there is no default."""
        return self._values[key] or None

    def number(self, key: str) -> float:
        """A number, 0 or above."""
        return float(self._values[key])

    def whole(self, key: str) -> int:
        """A whole number, 0 or above."""
        return int(self._values[key])

    def flag(self, key: str) -> bool:
        """Yes or no."""
        return self._values[key].lower() in {"yes", "true", "on", "1"}

    def path(self, key: str) -> Path | None:
        """An absolute path, None where nothing is set."""
        return Path(self._values[key]) if self._values[key] else None


@dataclass(frozen=True)
class Settings:
    """Everything configured, checked and with defaults applied."""

    file: Path | None  # the configuration file in use
    exposed: bool  # the file holds real keys, and others than its owner can read or change it
    home: Path  # the checkout, or the user's data folder where there is none
    ledger_path: Path
    templates_path: Path | None  # None: the built-in ones
    sections: Mapping[str, Section]

    @property
    def data_folder(self) -> Path:
        """The ledger's folder: tapes, posts, archive and the rest lie beside it."""
        return self.ledger_path.parent

    def section(self, name: str) -> Section:
        """One section; a name that nothing brought is a KeyError."""
        return self.sections[name]


KINDS: Mapping[Kind, tuple[str, str]] = {
    "number": (r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?|\.[0-9]+", "a number, 0 or above"),
    "whole": (r"[0-9]{1,18}", "a whole number, 0 or above"),
    "flag": (r"(?i:yes|no|true|false|on|off|1|0)", "yes or no"),
    "engine": (r"sqlite|questdb", "sqlite or questdb"),
    "origin": (r"https?://[^\s/@?#]+/?", "an address such as http://localhost:9000, without a path or user"),
    "name": (r"[A-Za-z_][A-Za-z0-9_]{0,62}", "a name of letters, digits and _ (it names a table and a file)"),
}
"""What the text of a kind must look like, as a pattern and in words; of the others any that can be seen will do."""
