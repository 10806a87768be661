"""What is said to a venue on one connection: first messages, subscriptions within its limits, heartbeats, answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from rekt.model import Liquidation
from rekt.venue import Endpoint, Notice

log = logging.getLogger("rekt.recorder")

ANSWER_S = 15.0  # so long a venue may take to acknowledge a subscription by topic

Send = Callable[[bytes | None], None]  # a text frame; None: a websocket ping


class Dialogue:
    """Speaks for one connection, for as long as `run` is not cancelled.

    Messages go out `pause_s` apart; heartbeats and answers at once, being few. A subscription that the venue refuses,
    or does not answer, is asked for again topic by topic, so that one bad symbol costs no other; a topic refused alone
    is told and left.
    """

    def __init__(
        self, venue: str, endpoint: Endpoint, send: Send, topics: Callable[[], Collection[str]]
    ) -> None:
        self._venue = venue
        self._endpoint = endpoint
        self._send = send
        self._topics = topics  # those wanted now
        self._asked: set[str] = set()
        self._refused: set[str] = set()
        self._waiting: deque[bytes] = deque(endpoint.messages)
        self.silent: set[str] = set()  # topics whose subscription was not answered in time
        self._unanswered: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._requests = deque(
            "" for _ in endpoint.messages
        )  # the numbers of all that was asked; "": a first message
        self._named = False  # whether this venue's answers say what they answer
        self._number = 0
        self._compared = False
        self._complete = endpoint.topics is None
        self._wake = asyncio.Event()

    @property
    def needed(self) -> bool:
        """Whether there is anything to say by itself."""
        endpoint = self._endpoint
        return bool(endpoint.messages or endpoint.heartbeat or endpoint.topics)

    @property
    def asked(self) -> int:
        """How many topics are subscribed, or asked for."""
        return len(self._asked)

    @property
    def refused(self) -> Collection[str]:
        """The topics that the venue refuses."""
        return self._refused

    @property
    def complete(self) -> bool:
        """Whether all topics wanted at first were asked for and answered: before, a canary proves only a part.

        Once it is, it stays so: a symbol listed later is not missed in what was there before.
        """
        if self._compared and not self._waiting and not self._unanswered:
            self._complete = True
        return self._complete

    def look(self) -> None:
        """The topics that are wanted may have changed."""
        self._wake.set()

    def answer(self, notice: Notice) -> bool:
        """Take a venue's answer; True where it was to a subscription by topic, and is dealt with here.

        One that does not say what it answers is taken for that of the oldest request.
        """
        if notice.kind not in ("ack", "error"):
            return False
        about = notice.about
        if about is not None:
            self._named = True
        elif not self._named and self._requests:
            about = self._requests.popleft()
        topics = self._answered(about)
        if topics is None:
            return False
        if notice.kind != "error":
            return True
        if len(topics) > 1:
            log.warning("%s: a subscription was refused (%s); asking one by one", self._venue, notice.text)
            for topic in topics:
                self._subscribe([topic])
        else:
            self._refused.add(topics[0])
            self._asked.discard(topics[0])
            log.error("%s: %s can't be subscribed: %s", self._venue, topics[0], notice.text)
        self._wake.set()
        return True

    def heard(self, events: Iterable[Liquidation]) -> None:
        """Events answer the subscription of their symbol too: at some venues the answer is a backlog."""
        if self._unanswered:
            for event in events:
                self._answered(event.symbol)

    async def run(self) -> None:
        """Say what is to be said, in time."""
        endpoint, loop = self._endpoint, asyncio.get_running_loop()
        beat, free = endpoint.heartbeat, loop.time()
        beat_at = loop.time() + beat.every_s if beat is not None else float("inf")
        while True:
            self._wake.clear()
            self._compare()
            now = loop.time()
            if beat is not None and now >= beat_at:
                self._send(None if beat.message is None else _stamped(beat.message))
                beat_at = now + beat.every_s
            while self._waiting and now >= free:
                self._send(_stamped(self._waiting.popleft()))
                free = now + endpoint.pause_s
            self._overdue(now)
            due = min(beat_at, free if self._waiting else float("inf"), now + ANSWER_S)
            if not self._unanswered and not self._waiting and endpoint.heartbeat is None:
                await self._wake.wait()
            else:
                try:
                    async with asyncio.timeout(max(due - loop.time(), 0.001)):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    def _compare(self) -> None:
        topics = self._endpoint.topics
        if topics is None:
            return
        self._compared = True
        wanted = self._topics()
        new = [topic for topic in wanted if topic not in self._asked and topic not in self._refused]
        gone = [topic for topic in self._asked if topic not in wanted]
        for start in range(0, len(gone), topics.per_message):
            self._number += 1
            self._requests.append(str(self._number))
            self._waiting.append(
                topics.unsubscribe(gone[start : start + topics.per_message], str(self._number))
            )
        self._asked.difference_update(gone)
        self._refused.intersection_update(wanted)  # listed anew, it is tried anew
        for start in range(0, len(new), topics.per_message):
            self._subscribe(new[start : start + topics.per_message])

    def _subscribe(self, group: Sequence[str]) -> None:
        topics = self._endpoint.topics
        if topics is None:
            return
        self._number += 1
        self._requests.append(str(self._number))
        self._asked.update(group)
        self._waiting.append(topics.subscribe(group, str(self._number)))
        entry = (
            asyncio.get_running_loop().time() + len(self._waiting) * self._endpoint.pause_s,
            tuple(group),
        )
        self._unanswered[str(self._number)] = entry
        if len(group) == 1:  # some venues repeat the topic, not a number
            self._unanswered[group[0]] = entry

    def _answered(self, about: str | None) -> tuple[str, ...] | None:
        """The topics whose subscription has this number or name, no longer waited for; None where nothing is."""
        if about is None or about not in self._unanswered:
            return None
        if about in self._requests:
            self._requests.remove(about)
        _, topics = self._unanswered.pop(about)
        for name in [name for name, (_, of) in self._unanswered.items() if of == topics]:
            del self._unanswered[name]
        return topics

    def _overdue(self, now: float) -> None:
        late = {of for since, of in self._unanswered.values() if now - since > ANSWER_S}
        self._unanswered = {name: entry for name, entry in self._unanswered.items() if entry[1] not in late}
        for group in late:
            if len(group) > 1:  # it may have been refused for one of them, in words that don't say so
                log.warning(
                    "%s: no answer to the subscription of %s and %d more; asking one by one",
                    self._venue, group[0], len(group) - 1,
                )  # fmt: skip
                for topic in group:
                    self._subscribe([topic])
            else:
                self.silent.update(group)
                log.error("%s: no answer to the subscription of %s", self._venue, group[0])


def _stamped(message: bytes) -> bytes:
    return message.replace(b"{now}", b"%d" % time.time())
