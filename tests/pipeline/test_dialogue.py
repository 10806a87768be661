from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence

import pytest

from rekt.pipeline.dialogue import Dialogue
from rekt.venue import Endpoint, Heartbeat, Notice, Topics
from tests import passing


def say(op: str) -> Callable[[Sequence[str], str], bytes]:
    """A message as many venues want it."""
    return lambda topics, number: json.dumps({"op": op, "id": number, "args": list(topics)}).encode()


TOPICS = Topics(lambda _: [], say("subscribe"), say("unsubscribe"), per_connection=100, per_message=2)


class Wire:
    """Notes what was sent, and when."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, bytes | None]] = []

    def __call__(self, message: bytes | None) -> None:
        self.sent.append((asyncio.get_running_loop().time(), message))

    def told(self) -> list[tuple[str, list[str]]]:
        """The subscriptions among it."""
        found = [json.loads(message) for _, message in self.sent if message is not None]
        return [(one["op"], one["args"]) for one in found]


def play(
    endpoint: Endpoint, wanted: Collection[str], act: Callable[[Dialogue], None], seconds: float = 0.1
) -> Wire:
    """Let a dialogue run, do something in its middle, and see what it said."""
    wire = Wire()

    async def run() -> None:
        dialogue = Dialogue("x", endpoint, wire, lambda: wanted)
        assert dialogue.needed
        task = asyncio.create_task(dialogue.run())
        await asyncio.sleep(seconds / 2)
        act(dialogue)
        await asyncio.sleep(seconds / 2)
        task.cancel()

    passing.run(run())
    return wire


def test_a_silent_endpoint_needs_no_dialogue() -> None:
    """Where there is nothing to say, no task runs."""
    assert not Dialogue("x", Endpoint("wss://x"), lambda _: None, tuple).needed


def test_messages_come_first_with_the_time_in_them() -> None:
    """First messages go out at once, the seconds since 1970 in place of {now}."""
    wire = play(Endpoint("wss://x", (b'{"op":"a","id":"","args":[],"time":{now}}',)), (), lambda _: None)
    ((_, message),) = wire.sent
    assert message is not None
    assert json.loads(message)["time"] > 1_700_000_000


def test_messages_keep_their_distance() -> None:
    """With a pause of 30 ms four groups take 90 ms."""
    wire = play(Endpoint("wss://x", topics=TOPICS, pause_s=0.03), "abcdefg", lambda _: None, 0.6)
    times = [at for at, _ in wire.sent]
    assert [args for _, args in wire.told()] == [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    assert [at - times[0] for at in times] == pytest.approx([0, 0.03, 0.06, 0.09])


def test_a_list_that_changes_is_followed() -> None:
    """A topic that is gone is unsubscribed, a new one subscribed, the rest left alone."""
    wanted = ["a", "b"]

    def change(dialogue: Dialogue) -> None:
        wanted[:] = ["b", "c"]
        dialogue.look()

    wire = play(Endpoint("wss://x", topics=TOPICS), wanted, change)
    assert wire.told() == [("subscribe", ["a", "b"]), ("unsubscribe", ["a"]), ("subscribe", ["c"])]


def test_a_refused_group_is_asked_for_one_by_one() -> None:
    """One bad symbol refuses its group; each is then asked for alone, and the bad one is not asked for again."""

    def refuse(dialogue: Dialogue) -> None:
        assert dialogue.answer(Notice("error", "invalid symbol", about="1"))
        asyncio.get_running_loop().call_later(
            0.02, lambda: dialogue.answer(Notice("error", "invalid", about="b"))
        )
        asyncio.get_running_loop().call_later(0.03, dialogue.look)

    wire = play(Endpoint("wss://x", topics=TOPICS), ["a", "b"], refuse, 0.2)
    assert wire.told() == [("subscribe", ["a", "b"]), ("subscribe", ["a"]), ("subscribe", ["b"])]


def test_a_group_without_an_answer_is_asked_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that does not say of what is no answer: each is asked for alone, once, and only those are called silent."""
    monkeypatch.setattr("rekt.pipeline.dialogue.ANSWER_S", 0.2)
    wire = Wire()

    async def run() -> None:
        dialogue = Dialogue("x", Endpoint("wss://x", topics=TOPICS), wire, lambda: ["a", "b"])
        task = asyncio.create_task(dialogue.run())
        async with asyncio.timeout(5):
            while not dialogue.answer(Notice("ack", about="a")):  # until it is asked for alone
                assert not dialogue.complete
                await asyncio.sleep(0.01)
            while not dialogue.complete:  # noqa: ASYNC110 - it tells no event
                await asyncio.sleep(0.01)
        task.cancel()
        assert dialogue.silent == {"b"}

    passing.run(run())
    assert wire.told() == [("subscribe", ["a", "b"]), ("subscribe", ["a"]), ("subscribe", ["b"])]


def test_answers_to_nothing_asked_are_not_taken() -> None:
    """An error is left to the recorder where this venue names what it answers, and named none of ours."""

    def answer(dialogue: Dialogue) -> None:
        assert not dialogue.answer(Notice("ack", about="77"))
        assert not dialogue.answer(Notice("error", "overloaded"))
        assert dialogue.answer(Notice("ack", about="1"))
        assert not dialogue.answer(Notice("ack", about="1"))

    play(Endpoint("wss://x", topics=TOPICS), ["a", "b"], answer)


def test_it_is_complete_once_all_was_answered() -> None:
    """Until the last subscription is answered, by an acknowledgement or a refusal, it brings a part only; then it stays."""
    wanted = ["a", "b", "c"]
    seen: list[bool] = []

    def answer(dialogue: Dialogue) -> None:
        seen.append(dialogue.complete)
        dialogue.answer(Notice("ack", about="1"))
        seen.append(dialogue.complete)
        dialogue.answer(Notice("error", "invalid symbol", about="c"))
        seen.append(dialogue.complete)
        wanted.append("d")
        dialogue.look()
        asyncio.get_running_loop().call_later(0.02, lambda: seen.append(dialogue.complete))

    wire = play(Endpoint("wss://x", topics=TOPICS), wanted, answer)
    assert seen == [False, False, True, True]
    assert wire.told()[-1] == ("subscribe", ["d"])


def test_a_dialogue_without_topics_is_complete() -> None:
    """What has the whole market in its address brings all from the start."""
    assert Dialogue("x", Endpoint("wss://x"), lambda _: None, tuple).complete
    assert not Dialogue("x", Endpoint("wss://x", topics=TOPICS), lambda _: None, tuple).complete


def test_heartbeats_go_out_in_time() -> None:
    """A text heartbeat, or a websocket ping, every so many seconds."""
    for message in (b"ping", None):
        wire = play(Endpoint("wss://x", heartbeat=Heartbeat(0.05, message)), (), lambda _: None, 0.42)
        assert {sent for _, sent in wire.sent} == {message}
        assert len(wire.sent) == 8


def test_answers_without_a_name_are_taken_in_order() -> None:
    """Where no answer says what it answers, the first is the first message's, the next the oldest subscription's."""
    endpoint = Endpoint("wss://x", (b'{"op":"first","id":"0","args":[]}',), topics=TOPICS)
    complete = []

    def answer(dialogue: Dialogue) -> None:
        assert not dialogue.answer(Notice("ack"))
        assert not dialogue.answer(Notice("other", "pong"))
        assert dialogue.answer(Notice("ack"))
        complete.append(dialogue.complete)
        assert dialogue.answer(Notice("error", "no such symbol"))
        complete.append(dialogue.complete)
        assert not dialogue.answer(Notice("error", "overloaded"))

    wire = play(endpoint, ["a", "b", "c"], answer)
    assert [args for op, args in wire.told() if op == "subscribe"] == [["a", "b"], ["c"]]
    assert complete == [False, True]
