"""Fault injection: which connections a fault hits, what stands for later ones, and refusing new ones."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rekt.simulator.connection import Connection
from rekt.simulator.faults import Fault, Target


class Port(Protocol):
    """What can be shut and opened again."""

    def shut(self) -> None:
        """Stop listening; the port stays ours."""

    def reopen(self) -> None:
        """Listen again, and let go of connections that were never answered."""


class Injection:
    """The faults in force on a server, and those waiting for a connection."""

    def __init__(self, connections: Mapping[int, Connection], port: Port, seed: int) -> None:
        self.refusal: Fault | None = None
        self._connections = connections
        self._port = port
        self._random = random.Random(f"targets {seed}")
        self._coming: list[Fault] = []
        self._standing: dict[str, Fault] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def apply(self, fault: Fault, connection: Target, spare: int) -> list[Connection]:
        """Put a fault in force; returns the open connections it hit."""
        if fault.kind == "refuse":
            self._refuse(fault)
            return []
        if connection == "next":
            self._coming.append(fault)
            return []
        if connection == "every" and fault.kind not in ("cut", "shutdown"):
            self._stand(fault)
        hit = self._targets(connection, spare)
        for target in hit:
            target.suffer(fault)
        return hit

    def greet(self, connection: Connection) -> None:
        """A connection has opened: it gets what stands or waits for it."""
        coming, self._coming = self._coming, []
        for fault in [*self._standing.values(), *coming]:
            connection.suffer(fault)

    def clear(self, kind: str | None) -> None:
        """End a lasting fault everywhere (None: all of them)."""
        if kind in (None, "refuse") and self.refusal is not None:
            self.refusal = None
            self._port.reopen()
        self._standing = {name: f for name, f in self._standing.items() if kind not in (None, name)}
        self._coming = [fault for fault in self._coming if kind not in (None, fault.kind)]
        for connection in list(self._connections.values()):
            connection.recover(kind)

    def later(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call after so many seconds, unless stopped before."""

        def fire() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)

    def stop(self) -> None:
        """Forget what was to come."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _targets(self, connection: Target, spare: int) -> list[Connection]:
        if connection in ("open", "every"):
            return list(self._connections.values())
        if connection == "one":
            healthy = [c for c in self._connections.values() if c.healthy and c.has_delivered]
            return [self._random.choice(healthy)] if len(healthy) > spare else []
        return [c for number, c in self._connections.items() if number == connection]

    def _stand(self, fault: Fault) -> None:
        self._standing[fault.kind] = fault

        def end() -> None:
            if self._standing.get(fault.kind) is fault:
                del self._standing[fault.kind]

        if fault.seconds is not None:
            self.later(fault.seconds, end)

    def _refuse(self, fault: Fault) -> None:
        self.refusal = fault
        if fault.how == "unreachable":
            self._port.shut()

        def end() -> None:
            if self.refusal is fault:
                self.clear("refuse")

        if fault.seconds is not None:
            self.later(fault.seconds, end)
