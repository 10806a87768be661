"""Telling the operator, by the Apprise addresses of [ALERTS]; in the log in any case."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from rekt import app
from rekt.cli import _common
from rekt.posts.alerts import changes
from rekt.publisher import Outcome, Post, Receipt, Unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rekt.config import Settings
    from rekt.stores.sqlite import Outbox

log = logging.getLogger("rekt.alert")
WITHIN_S = 20.0


def update(
    settings: Settings,
    box: Outbox,
    watch: str,
    now: Mapping[str, str],
    *,
    unseen: Collection[str] = (),
    within_s: float = WITHIN_S,
) -> None:
    """Tell what is new and what is over, in one message; noted first, so that two processes tell it once.

    `unseen`: services and things that were not looked at this time.
    """
    known = box.alerts()
    found = changes(watch, now, {name: text for name, (text, _) in known.items()}, unseen)
    new = {n: text for n, text in found.new.items() if box.raise_alert(n, text, _common.now_ms())}
    lines = list(new.values())
    for text in lines:
        log.warning("%s", text)
    for name, text in found.over.items():
        if box.clear_alert(name):
            lasted = _common.length(max(0, _common.now_ms() - known[name][1]))
            lines.append(f"well again after {lasted}: {text}")
            log.info("%s", lines[-1])
    if lines and not _told(settings, "\n".join(lines), within_s):
        for name in new:
            box.clear_alert(name)  # to be told next time


def _told(settings: Settings, text: str, within_s: float) -> bool:
    """Tell, and wait no longer than this: Apprise's own time-outs are longer and add up."""
    if settings.section("ALERTS").text("urls"):
        from rekt import groups

        groups.need("post", "alerts")
    got: list[bool] = []
    thread = threading.Thread(
        target=lambda: got.append(tell(settings, text)), name="post operator", daemon=True
    )
    thread.start()
    thread.join(max(0.0, within_s))
    if not got:
        log.warning("the operator could not be told within %.0f s", within_s)
    return bool(got and got[0])


def tell(settings: Settings, text: str) -> bool:
    """Send a message; False when it did not get through. Without addresses there is nothing to do."""
    section = settings.section("ALERTS")
    if not section.text("urls"):
        return True
    publisher = app.service("apprise").open(section, settings.data_folder)
    outcome: Outcome
    try:
        outcome = publisher.publish(Post("alert", f"rekt: {text}"), _common.now_ms(), WITHIN_S)
    except Exception as error:  # noqa: BLE001 - telling of trouble must not make more of it
        outcome = Unknown(type(error).__name__)
    if not isinstance(outcome, Receipt):
        log.warning("the operator could not be told: %s", outcome.reason)
    return isinstance(outcome, Receipt)
