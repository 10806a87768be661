"""Posting one hour: wait until it is final, render it for each service, have it delivered, all within three minutes."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from rekt import app
from rekt.cli import _alerts, _common
from rekt.errors import ConfigError, LedgerError, RektError, UsageError
from rekt.model import Window
from rekt.posts import outbox as rules
from rekt.posts.alerts import of_posts
from rekt.posts.compose import Draft, compose, templates
from rekt.posts.delivery import Terms as Delivery
from rekt.posts.delivery import deliver
from rekt.posts.gate import Terms
from rekt.posts.mood import History
from rekt.posts.schedule import CALL_S, TELL_S, deadline, hour_key, missed
from rekt.posts.subject import Subject, history, subject
from rekt.publisher import Entry, Post, Publisher, Receipt
from rekt.stats.coverage import CLOSED_MS

if TYPE_CHECKING:
    from rekt.config import Settings
    from rekt.posts.large import Notice
    from rekt.posts.template import Template
    from rekt.stores.questdb.reads import QuestDBReader
    from rekt.stores.sqlite import Outbox, Reader

log = logging.getLogger("rekt.post")

POLL_S = 0.5
LAST_S = 1.5  # for writing down what became of it
LOST = ("failed", "skipped")


class Chosen(NamedTuple):
    """A service to post to."""

    name: str
    publisher: Publisher
    kept: bool  # once only, by the outbox


class Told(NamedTuple):
    """What became of the hour at one service: the object of `tweet --json`."""

    service: str
    state: str
    text: str | None
    remote_id: str | None = None
    reason: str = ""
    cause: str = ""


def chosen(settings: Settings, to: str | None) -> tuple[list[Chosen], dict[str, list[str]]]:
    """The services to post to, and what each other one lacks. Raises UsageError or ConfigError."""
    services = app.services()
    lacking = {
        name: [f"[{one.section}] {key}" for key in one.missing(settings.section(one.section))]
        for name, one in services.items()
    }
    asked = to if to is not None else settings.section("POST").text("to")
    if asked.strip():
        names = list(dict.fromkeys(name.strip().lower() for name in asked.split(",") if name.strip()))
        for name in names:
            app.service(name)  # raises for one that is not there
            if lacking[name]:
                hint = "`rekt init` writes a file to fill in"
                raise UsageError(f"{name} needs {', '.join(lacking[name])}", hint=hint)
    else:
        names = [name for name, one in services.items() if one.required and not lacking[name]]
    if names and settings.exposed and any(services[name].kept for name in names):
        raise ConfigError(
            f"{settings.file} holds keys that others can read or change; nothing was posted",
            hint=f"chmod 600 {settings.file}",
        )
    found = []
    for name in names or ["console"]:
        one = services[name]
        found.append(Chosen(name, one.open(settings.section(one.section), settings.data_folder), one.kept))
    return found, {name: keys for name, keys in lacking.items() if keys}


def terms(settings: Settings) -> Terms:
    """The gate's terms."""
    section = settings.section("POST")
    return Terms(section.number("min_coverage"), section.number("skip_coverage"))


def delivery(settings: Settings) -> Delivery:
    """The outbox's terms."""
    section = settings.section("POST")
    return Delivery(
        round(section.number("settle_seconds") * 1000),
        round(section.number("deadline_minutes") * 60_000),
        round(section.number("monthly_budget_usd") * 1e6),
    )


def about(settings: Settings, reader: Reader | QuestDBReader, window: Window, now: int) -> Subject:
    """What the hour's post would be about at this time."""
    return subject(reader, window, now, traits=app.traits(), terms=terms(settings))


def wait_final(settings: Settings, reader: Reader | QuestDBReader, window: Window) -> Subject:
    """The hour as soon as it is final for every venue that its post contains: at the latest two minutes after its end."""
    while True:
        now = _common.now_ms()
        found = about(settings, reader, window, max(now, window.end))
        if found.summary.final or now > window.end + CLOSED_MS + 5_000:
            return found
        time.sleep(POLL_S)


def post_hour(
    settings: Settings,
    store: Reader | QuestDBReader,
    window: Window,
    services: list[Chosen],
    *,
    by_hand: bool,
    picture: bool = True,
) -> list[Told]:
    """Post an hour, with the numbers of a store (closed then), to every service that has not had it."""
    key, told, began = hour_key(window.start), [], time.monotonic()
    with store as reader, app.outbox(settings) as box:
        kept = [one for one in services if one.kept]
        there = {one.name: box.entry(one.name, key) for one in kept}
        if by_hand:
            there = {name: _again(box, entry) for name, entry in there.items()}
        missing = [one for one in services if there.get(one.name) is None]
        if missing:
            hour = wait_final(settings, reader, window)
            waited = time.monotonic() - began
            began += waited if waited >= POLL_S else 0.0
            told += _render(settings, box, reader, hour, missing, by_hand=by_hand, picture=picture)
        until = began + CALL_S
        box.forget_pictures(window.start - 7 * 86_400_000)
        older = [old for one in kept for old in box.open_entries(one.name) if old.key != key]
        thin = _thin(settings, reader, window) if kept and not by_hand else ""
    _deliver(settings, key, kept, until - TELL_S)
    with app.outbox(settings) as box:
        entries = [entry for one in kept if (entry := box.entry(one.name, key)) is not None]
        settled = [now for old in older if (now := box.entry(old.service, old.key)) and now.state in LOST]
        gone = 0 if by_hand else _gone(box, window, kept)
        if kept:
            names = {one.name for one in kept}
            unseen = _configured(settings) - names
            unseen |= {"coverage", "hours"} if by_hand else set()
            found = of_posts([*settled, *entries], gone, thin)
            within_s = until - time.monotonic() - LAST_S
            _alerts.update(settings, box, "post", found, unseen=unseen, within_s=within_s)
    return told + [told_of(entry) for entry in entries]


def _configured(settings: Settings) -> set[str]:
    """The services that are posted to when none is named."""
    asked = {name.strip().lower() for name in settings.section("POST").text("to").split(",") if name.strip()}
    return asked or {
        name
        for name, one in app.services().items()
        if one.required and not one.missing(settings.section(one.section))
    }


def _thin(settings: Settings, reader: Reader | QuestDBReader, window: Window) -> str:
    """What the operator is told of an hour's coverage; nothing where it is enough."""
    found = _common.summary(reader, window, max(_common.now_ms(), window.end))
    enough = terms(settings).min_coverage
    if found.coverage >= enough:
        return ""
    low = [f"{one.venue} {one.coverage * 100:.4g} %" for one in found.by_venue if one.coverage < enough]
    share = ", ".join(low) if len(found.by_venue) > 1 else f"{found.coverage * 100:.4g} %"
    return f"{hour_key(window.start)}: only {share} was recorded, {enough * 100:.4g} % is wanted"


def _gone(box: Outbox, window: Window, services: list[Chosen]) -> int:
    """How many hours before this one nobody tried to post: nothing was at work."""
    last = [box.last_hour(one.name, hour_key(window.start)) for one in services]
    return max((missed(window, key) for key in last), default=0)


def post_notice(settings: Settings, notice: Notice, services: list[Chosen]) -> None:
    """Post something at once, by the same outbox."""
    now = _common.now_ms()
    limit = now + round(settings.section("POST").number("deadline_minutes") * 60_000)
    kept = [one for one in services if one.kept]
    with app.outbox(settings) as box:
        for one in kept:
            fits = one.publisher.length(notice.text) <= one.publisher.limit
            if fits and one.publisher.objection(notice.text) is None:
                box.add(Entry(one.name, notice.key, notice.text, created_ms=now, deadline_ms=limit))
    for one in services:
        if not one.kept:
            one.publisher.publish(Post(notice.key, notice.text), now, 10.0)
    _deliver(settings, notice.key, kept, time.monotonic() + CALL_S)


def told_of(entry: Entry) -> Told:
    """An entry as it is told."""
    state = "unknown" if entry.state == "sending" else entry.state
    return Told(entry.service, state, entry.text, entry.remote_id, entry.reason, entry.cause)


def _again(box: Outbox, entry: Entry | None) -> Entry | None:
    """An entry that is asked for by name: tried anew if it is certainly not posted, rendered anew if never tried."""
    if entry is None or entry.state not in ("failed", "skipped"):
        return entry
    if not entry.attempts:
        return None
    return box.save(rules.revived(entry)) or entry


def _render(
    settings: Settings,
    box: Outbox,
    reader: Reader | QuestDBReader,
    hour: Subject,
    services: list[Chosen],
    *,
    by_hand: bool,
    picture: bool,
) -> list[Told]:
    """Render the hour for each service, and keep it, durable, before anything is sent."""
    window = hour.summary.window
    choices, key, now = templates(settings.templates_path), hour_key(window.start), _common.now_ms()
    past = history(reader, hour)
    told: list[Told] = []
    image: tuple[bytes, str] | None = None
    for one in services:
        draft = draft_for(one, hour, choices, terms(settings), past, box.last_template(one.name, key))
        entry = Entry(
            one.name,
            key,
            draft.text,
            template=draft.template,
            created_ms=now,
            deadline_ms=None
            if by_hand
            else deadline(window, settings.section("POST").number("deadline_minutes")),
            not_before_ms=box.free_ms(one.name),
        )
        if draft.would == "skip":
            entry = rules.left_out(entry, draft.cause, draft.reason)
            log.warning("%s %s: skipped: %s", one.name, key, draft.reason)
        elif one.kept and entry.deadline_ms is not None and now >= entry.deadline_ms:
            reason = f"the hour ended {_common.length(now - window.end)} ago: name it with --hour to post it"
            entry = rules.left_out(entry, "missed", reason)
            log.warning("%s %s: skipped: %s", one.name, key, reason)
        elif picture and image is None:
            image = _picture(settings, reader, hour)
        alt = image[1] if image else ""
        entry = entry._replace(alt=alt if entry.state == "pending" else "")
        data = image[0] if image and entry.state == "pending" else None
        if one.kept:
            _keep(box, entry, data)
        elif entry.state == "skipped":
            told.append(told_of(entry))
        else:
            outcome = one.publisher.publish(Post(key, entry.text, data, alt), now, 10.0)
            sent = isinstance(outcome, Receipt)
            remote = outcome.remote_id if isinstance(outcome, Receipt) else None
            reason = "" if isinstance(outcome, Receipt) else outcome.reason
            told.append(Told(one.name, "sent" if sent else "failed", entry.text, remote, reason))
    return told


def _picture(settings: Settings, reader: Reader | QuestDBReader, hour: Subject) -> tuple[bytes, str] | None:
    """The picture; None where it can't be made: a picture may fail, the post must not."""
    try:
        return picture_of(settings, reader, hour)
    except Exception as error:  # noqa: BLE001 - whatever it is, the words go out
        log.warning("the post goes without its picture: %s: %s", type(error).__name__, error)
        return None


def _keep(box: Outbox, entry: Entry, picture: bytes | None) -> None:
    old = box.entry(entry.service, entry.key)
    if old is None:
        box.add(entry, picture)
    elif not old.attempts and old.state in ("failed", "skipped"):
        box.replace(entry._replace(revision=old.revision), picture)


def draft(settings: Settings, reader: Reader | QuestDBReader, window: Window) -> Draft:
    """The hour's post as it would be, for a look."""
    hour = about(settings, reader, window, _common.now_ms())
    last = ""
    with suppress(LedgerError), app.posts(settings) as box:  # none yet: nothing was posted
        last = box.last_template("", hour_key(window.start))
    return compose(
        hour.summary,
        templates(settings.templates_path),
        terms=terms(settings),
        history=history(reader, hour),
        last=last,
        venues=hour.venues,
        without=hour.without,
    )


def draft_for(
    one: Chosen, hour: Subject, choices: list[Template], terms: Terms, past: History, last: str
) -> Draft:
    """The hour's text for a service, within its rules."""

    def fits(text: str) -> bool:
        return one.publisher.length(text) <= one.publisher.limit and one.publisher.objection(text) is None

    return compose(
        hour.summary,
        choices,
        terms=terms,
        history=past,
        last=last,
        fits=fits,
        venues=hour.venues,
        without=hour.without,
    )


def picture_of(settings: Settings, reader: Reader | QuestDBReader, hour: Subject) -> tuple[bytes, str]:
    """The hour's picture and the same in words."""
    from rekt.posts.chart import alt_text, draw
    from rekt.posts.subject import day

    now = max(_common.now_ms(), hour.summary.window.end)
    data = day(reader, hour, now, traits=app.traits())
    theme = settings.section("POST").text("theme")
    return draw(data, theme), alt_text(data)


def _deliver(settings: Settings, key: str | None, services: list[Chosen], until: float) -> None:
    """Each service in a thread of its own, so that none waits for another; never past the end."""

    def work(one: Chosen) -> None:
        try:
            with app.outbox(settings) as box:
                deliver(box, one.name, key, one.publisher, delivery(settings), until - LAST_S)
        except RektError as error:
            log.error("%s: %s", one.name, error)  # noqa: TRY400 - a sentence, and no trace

    threads = [
        threading.Thread(target=work, args=(one,), name=f"post {one.name}", daemon=True) for one in services
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
