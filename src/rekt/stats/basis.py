"""What totals rest on, in words: whose they are, what each venue leaves out, which price values its events. Pure.

Totals of several venues are added up although they don't measure the same: one tells every liquidation, another the
largest of a second; one the price it was filled at, another the price at which the position was bankrupt. So
whoever shows such totals says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rekt.model import VenueTally

SAMPLING: Final[Mapping[str, str]] = {
    "all": "every liquidation",
    "largest_per_symbol_second": "the largest per symbol and second",
    "latest_per_symbol_second": "the latest per symbol and second",
    "batched": "liquidations gathered in batches",
    "unspecified": "some liquidations, nobody says which",
}
"""What a venue tells."""

PRICE: Final[Mapping[str, str]] = {
    "average_fill": "the average fill price",
    "order": "the order's price",
    "bankruptcy": "the bankruptcy price",
    "mark": "the mark price",
    "trade": "the trade's price",
}
"""What values it."""

LIMITED: Final = frozenset(["largest_per_symbol_second", "latest_per_symbol_second"])
_AND: Final = " and "  # between the kinds of a venue whose markets differ


def title(venue: str) -> str:
    """A venue's name as people write it; nothing in it can become an address or a mention.

    >>> title("toyex"), title("toy"), title("a.b/@c")
    ('Toyex', 'TOY', 'ABC')
    """
    name = "".join(c for c in venue if c.isalnum() or c in "_-")[:20]
    return name.upper() if len(name) <= 3 else name.capitalize()


def titles(venues: Sequence[str], most: int = 3) -> str:
    """Several venues' names in a line; above `most` how many they are. Empty where none is named.

    >>> titles(["toyex"]), titles(["toyex", "toy"]), titles(["a", "b", "c", "d"])
    ('Toyex', 'Toyex and TOY', '4 venues')
    """
    if len(venues) > most:
        return f"{len(venues)} venues"
    names = [title(one) for one in venues]
    return _AND.join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def told(sampling: str | None) -> str:
    """What a venue of this sampling tells; of one unknown here its own word."""
    return _words(SAMPLING, sampling)


def priced(price_kind: str | None) -> str:
    """At which price its events are valued."""
    return _words(PRICE, price_kind)


def limited(sampling: str | None) -> bool:
    """Whether a venue tells one event per symbol and second at most."""
    return sampling in LIMITED


class Kind(NamedTuple):
    """What one venue's events are; None: not known here."""

    venue: str
    sampling: str | None
    price_kind: str | None


def kinds(venues: Iterable[VenueTally]) -> list[Kind]:
    """Those of a window's venues."""
    return [Kind(one.venue, one.sampling, one.price_kind) for one in venues]


def sentences(venues: Sequence[Kind]) -> list[str]:
    """What these venues' totals rest on: for one what it tells; for several what differs among them."""
    known = [one for one in venues if one.sampling is not None]
    if not known:
        return []
    if len(venues) == 1:
        one = known[0]
        if limited(one.sampling):
            return [f"A lower bound: {title(one.venue)} tells at most one liquidation per symbol and second."]
        return [f"{title(one.venue)} tells {told(one.sampling)}, at {priced(one.price_kind)}."]
    samplings = _grouped((told(one.sampling), one.venue) for one in known)
    prices = _grouped((priced(one.price_kind), one.venue) for one in known)
    found = []
    if len(samplings) > 1:
        found.append(f"A lower bound, of mixed sampling. {_listed(samplings)}.")
    else:
        found.append(f"Each venue tells {next(iter(samplings))}.")
    if len(prices) > 1:
        found.append(f"Prices of mixed kinds. {_listed(prices)}.")
    return found


def _grouped(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for words, venue in named:
        groups.setdefault(words, []).append(venue)
    return groups


def _listed(groups: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{', '.join(map(title, venues))}: {words}" for words, venues in groups.items())


def _words(table: Mapping[str, str], kind: str | None) -> str:
    return _AND.join(table.get(one, one) for one in kind.split(_AND)) if kind else "unknown"
