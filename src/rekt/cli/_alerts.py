"""Telling the operator, by the Apprise addresses of [ALERTS]; in the log in any case."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rekt import app
from rekt.cli import _common
from rekt.posts.alerts import changes
from rekt.publisher import Outcome, Post, Receipt, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rekt.config import Settings
    from rekt.stores.sqlite.outbox import Outbox

log = logging.getLogger("rekt.alert")
WITHIN_S = 20.0


def update(settings: Settings, box: Outbox, watch: str, now: Mapping[str, str]) -> None:
    """Tell what is new and what is over; noted first, so that two processes tell it once."""
    known = box.alerts()
    found = changes(watch, now, {name: text for name, (text, _) in known.items()})
    for name, text in found.new.items():
        if box.raise_alert(name, text, _common.now_ms()):
            log.warning("%s", text)
            if not tell(settings, text):
                box.clear_alert(name)  # to be told next time
    for name, text in found.over.items():
        if box.clear_alert(name):
            lasted = _common.length(max(0, _common.now_ms() - known[name][1]))
            over = f"well again after {lasted}: {text}"
            log.info("%s", over)
            tell(settings, over)


def tell(settings: Settings, text: str) -> bool:
    """Send one line; False when it did not get through. Without addresses there is nothing to do."""
    section = settings.section("ALERTS")
    if not section.text("urls"):
        return True
    from rekt import groups

    groups.need("post", "alerts")
    publisher = app.service("apprise").open(section, settings.data_folder)
    outcome: Outcome
    try:
        outcome = publisher.publish(Post("alert", f"rekt: {text}"), _common.now_ms(), WITHIN_S)
    except Exception as error:  # noqa: BLE001 - telling of trouble must not make more of it
        outcome = Unknown(type(error).__name__)
    if not isinstance(outcome, Receipt):
        log.warning("the operator could not be told: %s", outcome.reason)
    return isinstance(outcome, Receipt)
