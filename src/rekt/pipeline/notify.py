"""Tells systemd that the service is up, alive and stopping (sd_notify(3)); does nothing where systemd did not ask."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress


class Notify:
    """Messages to the service manager named by NOTIFY_SOCKET."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        period = environ.get("WATCHDOG_USEC", "")
        self.period_s = int(period) / 2e6 if period.isdigit() and int(period) else None
        """How often `alive` is wanted; None where there is no watchdog."""

    def ready(self) -> None:
        """Everything is set up; recording begins."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """The event loop turns; `status` is shown by `systemctl status`."""
        self._send(f"WATCHDOG=1\nSTATUS={' '.join(status.split())}")

    def stopping(self) -> None:
        """The orderly end has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
        ):
            manager.sendto(message.encode(), self._address)
