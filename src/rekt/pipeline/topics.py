"""Which topics each connection of an endpoint asks for, where a venue wants them symbol by symbol. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Shares:
    """Divides topics among connections, each within the venue's limit.

    A topic stays where it is for as long as it is wanted, so that a change of the list costs no connection; what is
    new goes where there is room, and into a further share where there is none.
    """

    def __init__(self, per_connection: int) -> None:
        self._room = per_connection
        self._shares: list[dict[str, None]] = []

    def __len__(self) -> int:
        return len(self._shares)

    def __getitem__(self, number: int) -> Collection[str]:
        """The topics of one share, oldest first."""
        return self._shares[number].keys()

    def want(self, topics: Iterable[str]) -> None:
        """These are wanted from now on, and no others."""
        wanted = dict.fromkeys(topics)
        for share in self._shares:
            for gone in [topic for topic in share if topic not in wanted]:
                del share[gone]
            for topic in share:
                wanted.pop(topic, None)
        for topic in wanted:
            if not any(len(share) < self._room for share in self._shares):
                self._shares.append({})
            next(share for share in self._shares if len(share) < self._room)[topic] = None
