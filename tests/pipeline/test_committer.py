from __future__ import annotations

import threading

from rekt.pipeline.committer import Committer, Item
from rekt.store import Appended, Batch
from tests.stores.events import event


class Held:
    """A store that takes nothing until it may."""

    checkpoint_due = False

    def __init__(self) -> None:
        self.may = threading.Event()

    def checkpoint(self) -> None:
        raise AssertionError("nothing is due")

    def append(self, batch: Batch) -> Appended:
        self.may.wait(10)
        return Appended(len(batch.frames), 0, [one for frame in batch.frames for one in frame])


def test_a_frame_weighs_by_its_events() -> None:
    """Few frames with many events each fill the memory as many frames do: the producer is asked to stop."""
    store, room = Held(), threading.Event()
    committer = Committer(store, "run", room=room.set, limit=1_000)
    try:
        many: Item = tuple(event(n) for n in range(400))
        assert [committer.put(many) for _ in range(3)] == [False, False, True]
        assert not room.is_set()
        store.may.set()
        assert committer.flush(10)
        assert room.wait(10)
        assert committer.put(many) is False
    finally:
        store.may.set()
        assert committer.close() == 0
