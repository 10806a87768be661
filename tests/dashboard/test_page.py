"""The page in a real browser over a real server."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from rekt.fields import HOUR
from rekt.model import Connection, Span
from rekt.pipeline.presence import Presence
from rekt.publisher import Entry
from rekt.store import Batch
from rekt.stores.sqlite.outbox import Outbox
from tests.dashboard import scenes
from tests.dashboard.conftest import Look, Recorder, Served
from tests.waiting import clear_of_the_hour

Serve = Callable[..., Served]
Books = Callable[[str], Path]
ROWS = "#rows li:not(.empty)"


def test_everything_is_painted_from_a_ledger(serve: Serve, books: Books, look: Look) -> None:
    """Headline, cards, bars, treemap, table, tape and post show what the ledger holds."""
    page = look(serve(path=books("day")).url)
    expect(page.locator("#headline")).to_contain_text(
        re.compile(r"In the hour to \d\d:00, .* liquidations? took at least \$")
    )
    expect(page.locator(".card .total").nth(3)).to_contain_text("$")
    expect(page.locator("#bars .bars .point").first).to_be_attached()
    expect(page.locator("#treemap .slice").first).to_be_attached()
    expect(page.locator("#symbol-rows tr").first).to_contain_text("USDT")
    expect(page.locator(ROWS).first).to_be_visible()
    expect(page.locator("#post-text")).to_contain_text("UTC")
    assert page.locator(ROWS).count() <= 250


def test_the_page_shows_the_api_s_own_figures(serve: Serve, books: Books, look: Look) -> None:
    """The exact total on hover is the digits of the object hour."""
    served = serve(path=books("day"))
    page = look(served.url)
    expect(page.locator("#headline .figure").first).to_be_visible()
    shown = page.locator("#headline .figure").first.get_attribute("title") or ""
    total = page.request.get(f"{served.url}/api/v1/summary").json()["total_usd"]
    assert shown.replace(",", "").removeprefix("$").rstrip("0").rstrip(".") == total.rstrip("0").rstrip(".")


def test_an_event_shows_up_as_it_comes(serve: Serve, recorder: Recorder, look: Look) -> None:
    """A row appears without anybody asking, and says time, symbol, side and dollars."""
    page = look(serve().url)
    expect(page.locator("#rows .empty")).to_contain_text("No liquidation yet")
    recorder.event("ETHUSDT", 184_220, long=False)
    row = page.locator(ROWS).first
    expect(row).to_contain_text("ETHUSDT")
    expect(row).to_contain_text("short")
    expect(row).to_contain_text("$184")
    assert "$184,220.00" in (row.locator(".usd").get_attribute("title") or "")


def test_filters_hold_for_what_is_there_and_what_comes(serve: Serve, recorder: Recorder, look: Look) -> None:
    """Threshold, side and symbol leave rows out, and stand in the address."""
    served = serve()
    recorder.event("BTCUSDT", 50_000)
    recorder.event("BTCUSDT", 50)
    recorder.event("ETHUSDT", 60_000, long=False)
    page = look(f"{served.url}/?min=10000")
    expect(page.locator(ROWS)).to_have_count(2)
    page.locator("#side label", has_text="short").click()
    expect(page.locator(ROWS)).to_have_count(1)
    assert "side=short" in page.url
    page.locator("#side label", has_text="both").click()
    page.locator("#symbol").fill("btc")
    expect(page.locator(ROWS)).to_have_count(1)
    assert "symbol=btc" in page.url
    recorder.event("BTCUSDT", 20_000)
    recorder.event("BTCUSDT", 9_000)
    recorder.event("SOLUSDT", 90_000)
    expect(page.locator(ROWS)).to_have_count(2)
    page.reload()
    expect(page.locator(ROWS)).to_have_count(2)


def test_after_a_restart_of_the_server_nothing_is_missing_or_twice(
    serve: Serve, recorder: Recorder, look: Look
) -> None:
    """The browser resumes where it was: what came meanwhile is there once."""
    served = serve()
    page = look(served.url)
    expect(page.locator("#rows .empty")).to_be_visible()
    recorder.event("BEFOREUSDT")
    expect(page.locator(ROWS)).to_have_count(1)
    assert served.stop() == 0
    for number in range(20):
        recorder.event(f"MEANWHILE{number}USDT")
    served.start()
    expect(page.locator(ROWS)).to_have_count(21, timeout=20_000)
    recorder.event("AFTERUSDT")
    expect(page.locator(ROWS)).to_have_count(22)
    names = page.locator(f"{ROWS} .name").all_inner_texts()
    assert sorted(names) == sorted(["BEFOREUSDT", "AFTERUSDT", *(f"MEANWHILE{n}USDT" for n in range(20))])


def test_the_tape_holds_while_somebody_points_at_it(serve: Serve, recorder: Recorder, look: Look) -> None:
    """Rows do not move under the pointer; what came is counted and shown afterwards."""
    served = serve()
    recorder.event("FIRSTUSDT")
    page = look(served.url)
    expect(page.locator(ROWS)).to_have_count(1)
    page.locator("#rows").hover()
    expect(page.locator("#tape-state")).to_have_text("held")
    recorder.event("SECONDUSDT")
    expect(page.locator("#tape-state")).to_have_text("held: 1 new")
    expect(page.locator(ROWS)).to_have_count(1)
    page.mouse.move(5, 5)
    expect(page.locator(ROWS)).to_have_count(2)


def test_a_dead_feed_does_not_look_like_a_quiet_market(serve: Serve, recorder: Recorder, look: Look) -> None:
    """Without a recorder the page says loudly that events are being missed."""
    recorder.tick()
    page = look(serve().url)
    expect(page.locator("#venues")).to_contain_text("nothing is recording")
    expect(page.locator("#alarm")).to_contain_text("not a calm market")


def test_a_lost_server_is_told_and_the_figures_stay(serve: Serve, books: Books, look: Look) -> None:
    """What is shown stays, with its age."""
    served = serve(path=books("day"))
    page = look(served.url)
    expect(page.locator(".card .total").first).to_contain_text("$")
    served.stop()
    expect(page.locator("#alarm")).to_contain_text("server does not answer", timeout=20_000)
    expect(page.locator(".card .total").first).to_contain_text("$")


@pytest.mark.parametrize("scene", ["empty", "day", "crash", "gap", "hostile"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(
    serve: Serve, books: Books, look: Look, scene: str
) -> None:
    """Nothing is wider than the screen, whatever the ledger holds."""
    page = look(serve(path=books(scene)).url, width=360, height=780, phone=True, theme="light")
    expect(page.locator("#headline")).not_to_have_text("\u00a0")
    expect(page.locator("#treemap svg").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_script_in_a_symbol_stays_text(serve: Serve, books: Books, look: Look) -> None:
    """Hostile names are shown as they are written: no element is made of them, nothing runs."""
    page = look(serve(path=books("hostile")).url)
    expect(page.locator("#treemap .slice").first).to_be_attached()
    expect(page.locator("#symbol-rows")).to_contain_text("<script>alert(document.domain)</script>")
    assert page.evaluate("document.querySelectorAll('main script, main img[src=x]').length") == 0
    assert page.locator("#rows").inner_text().count("\u202e") == 0
    for cell in page.locator("#treemap .slice").all()[:12]:
        cell.hover(force=True)
    page.locator("#bars").hover()
    assert page.evaluate("document.querySelectorAll('main script, main img[src=x]').length") == 0


def test_a_gap_is_hatched_and_never_drawn_as_zero(serve: Serve, books: Books, look: Look) -> None:
    """Hours without a connection are bars of a pattern over the whole height, and the hour says its share."""
    page = look(serve(path=books("gap")).url)
    expect(page.locator("#bars pattern").first).to_be_attached()
    expect(page.locator("#bars")).to_have_attribute("aria-label", re.compile("not recorded"))
    expect(page.locator(".card h3 .warn").first).to_contain_text("recorded")


def test_keys_choose_and_the_address_keeps_it(serve: Serve, books: Books, look: Look) -> None:
    """Every filter has a key; a link opened anew shows the same."""
    page = look(serve(path=books("day")).url)
    expect(page.locator(ROWS).first).to_be_visible()
    for key in ("l", "2", "t", "+", "+"):
        page.keyboard.press(key)
    for part in ("side=long", "range=7d", "min=250"):
        expect(page).to_have_url(re.compile(part))
    assert page.locator("html").get_attribute("data-theme") == "light"
    page.keyboard.press("/")
    page.keyboard.type("ETH")
    expect(page).to_have_url(re.compile("symbol=ETH"))
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#side input[value=long]")).to_be_checked()
    expect(page.locator("#range input[value='7d']")).to_be_checked()


def test_the_table_sorts_by_what_is_pressed(serve: Serve, books: Books, look: Look) -> None:
    """A heading sorts down, and up when pressed again; screen readers are told."""
    page = look(serve(path=books("day")).url)
    counts = page.locator("#symbol-rows td.count")
    expect(counts.first).to_be_visible()
    page.get_by_role("button", name="count").click()
    page.get_by_role("button", name="count").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("count")
    found = [int(text.replace(",", "")) for text in counts.all_inner_texts()]
    assert found == sorted(found)


def test_a_cascade_leaves_few_rows(serve: Serve, recorder: Recorder, look: Look) -> None:
    """Thousands of events at once: the tape stays bounded, and comes to the last of them (how fast, a benchmark tells)."""
    served = serve()
    page = look(served.url)
    expect(page.locator("#rows .empty")).to_be_visible()
    now = time.time_ns() // 1_000_000
    for first in range(0, 3000, 500):
        events = [
            scenes.sized(now + n, "CASCADEUSDT", 10.0 * n, long=True, number=n)
            for n in range(first, first + 500)
        ]
        recorder.ledger.append(Batch("live", frames=[(one,) for one in events]))
    expect(page.locator(ROWS).first.locator(".usd")).to_have_text(re.compile(r"\$30\.0.k"))
    assert page.locator(ROWS).count() <= 250


def eventually(page: Page, condition: str) -> None:
    """Until a condition holds in the page (whose policy forbids Playwright's own way of waiting: it needs eval)."""
    deadline = time.monotonic() + 40
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(
    serve: Serve, books: Books, look: Look, theme: str
) -> None:
    """4.5 to 1 for words, 3 to 1 for bars and marks, on the ground and on panels."""
    page = look(serve(path=books("day")).url, theme=theme)
    style = page.evaluate(
        "Object.fromEntries(['ground','panel','text','quiet','long','short','warn','good','long-fill','short-fill','alarm',"
        "'alarm-text'].map(n => [n, getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim()]))"
    )
    for ground in ("ground", "panel"):
        for words in ("text", "quiet", "long", "short", "warn", "good"):
            assert contrast(style[words], style[ground]) >= 4.5, (words, ground)
        for mark in ("long-fill", "short-fill"):
            assert contrast(style[mark], style[ground]) >= 2.9, (mark, ground)
    assert contrast(style["alarm-text"], style["alarm"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two #rrggbb colours."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_next_post_is_shown_with_its_picture_and_the_last_outcomes(
    serve: Serve, recorder: Recorder, look: Look
) -> None:
    """Words, picture (with the same in words for who can't see it) and what became of the last posts."""
    clear_of_the_hour()
    recorder.tick()
    recorder.event("ETHUSDT", 123_456)
    with Outbox(recorder.ledger.path) as box:
        box.add(
            Entry("x", "2026-07-16T12", "words", state="failed", reason="the keys are refused", created_ms=1)
        )
    page = look(serve().url)
    expect(page.locator("#post-text")).to_contain_text(
        "$123"
    )  # the hour chooses the words: $123,456 or $123k
    image = page.locator("#post-picture img")
    image.scroll_into_view_if_needed()
    expect(image).to_be_visible()
    eventually(page, "document.querySelector('#post-picture img').naturalWidth === 1200")
    assert "$123k" in (image.get_attribute("alt") or "")
    outcome = page.locator("#post-outcomes li")
    expect(outcome).to_have_count(1)
    expect(outcome).to_contain_text("✗ failed")
    expect(outcome).to_contain_text("the keys are refused")


def test_a_post_that_nothing_was_recorded_for_would_not_go_out(
    serve: Serve, books: Books, look: Look
) -> None:
    """Where nothing is recorded the words of the next post are no news: the page says that they would not be posted."""
    page = look(serve(path=books("empty")).url)
    expect(page.locator("#post-skip")).to_contain_text(
        "would not be posted: nothing of the hour was recorded"
    )


def test_a_post_of_an_hour_that_was_recorded_would_go_out(
    serve: Serve, recorder: Recorder, look: Look
) -> None:
    """Where all of the hour was recorded nothing is said against its post."""
    hour = recorder.now() // HOUR * HOUR
    life = Connection("all", "live", "binance", "ws://x/", hour * 1000, None, hour * 1000, hour * 1000)
    recorder.ledger.append(Batch("live", connections=[life], spans=[Span("all", hour, hour + 2 * HOUR)]))
    recorder.event("ETHUSDT", 123_456)
    page = look(serve().url)
    expect(page.locator("#post-text")).to_contain_text("UTC")
    expect(page.locator("#post-skip")).to_be_hidden()


def test_posts_without_a_picture_say_why(serve: Serve, recorder: Recorder, look: Look) -> None:
    """The page says it in words and shows no broken picture."""
    recorder.event()
    page = look(serve(REKT_POST_PICTURE="no").url)
    expect(page.locator("#post-lacking")).to_contain_text("[POST] picture")
    expect(page.locator("#post-picture")).to_be_hidden()
    expect(page.locator("#post-outcomes")).to_contain_text("Nothing was posted yet")


def test_the_strip_tells_how_far_behind_a_sink_is(serve: Serve, recorder: Recorder, look: Look) -> None:
    """Rows that are still to be shipped are counted, and a sink that is away is told to be."""
    for number in range(3):
        recorder.event(f"S{number}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = look(serve(REKT_DATABASE_ENGINE="questdb", REKT_DATABASE_URL=f"http://127.0.0.1:{port}").url)
    expect(page.locator("#venues")).to_contain_text("QuestDB")
    expect(page.locator("#venues")).to_contain_text("does not answer, 3 behind")


def test_focus_and_hover_outlive_what_is_drawn_anew(serve: Serve, books: Books, look: Look) -> None:
    """The table and the strip are refreshed in place: who is at a button with the keyboard stays there."""
    page = look(serve(path=books("day")).url)
    button = page.locator("#symbol-rows button").nth(2)
    expect(button).to_be_visible()
    expect(page.locator("#venues")).to_contain_text("day")  # all that the strip tells is there
    button.focus()
    page.evaluate(
        "document.querySelector('#venues .name').mark = 'same'"
    )  # of the element itself: no attribute
    with page.expect_response("**/api/v1/symbols*"):
        pass
    page.wait_for_timeout(1500)
    assert page.evaluate("document.querySelector('#venues .name').mark") == "same"
    assert page.evaluate("document.activeElement.closest('#symbol-rows') !== null")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("symbol="))


def test_a_screen_reader_is_told_what_things_are_and_is_not_talked_to_all_the_time(
    serve: Serve, books: Books, look: Look
) -> None:
    """Landmarks, names and roles are there; only the alarm speaks by itself, and without what changes each second."""
    page = look(serve(path=books("day")).url)
    expect(page.locator("#treemap svg").first).to_be_attached()
    for role, name in (
        ("banner", None), ("main", None), ("complementary", "Tape"), ("region", "Over time"), ("region", "By symbol"),
        ("region", "Next post"), ("list", "Liquidations, newest first"), ("slider", "Smallest size shown"),
        ("combobox", "Symbol"), ("group", "Side"), ("button", "hold"), ("list", "Last posts"),
    ):  # fmt: skip
        found = page.get_by_role(role, name=name, exact=True) if name else page.get_by_role(role)  # type: ignore[arg-type]
        expect(found.first).to_be_attached()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, [role=img]')].filter(one => !(one.textContent.trim()"
        " || one.getAttribute('aria-label') || one.labels?.[0]?.textContent.trim())).map(one => one.outerHTML)"
    )
    assert unnamed == []
    live = page.evaluate(
        "[...document.querySelectorAll('[role=alert], [role=status], output, [aria-live]')]"
        ".filter(one => one.getAttribute('aria-live') !== 'off').map(one => one.id)"
    )
    assert live == ["alarm"]
    told = page.evaluate(
        "new Promise(done => { const said = []; const watch = new MutationObserver(all => said.push(...all"
        ".filter(one => !one.target.parentElement?.closest('[aria-hidden=true]')).map(one => one.target.textContent)));"
        " watch.observe(document.getElementById('alarm'), { childList: true, characterData: true, subtree: true });"
        " setTimeout(() => done(said), 3500); })"
    )
    assert told == []


def test_the_sound_is_made_when_it_is_wanted(serve: Serve, recorder: Recorder, look: Look) -> None:
    """After the key m each event that is shown has its tone; before that and after it again there is none."""
    served = serve()
    page = look(served.url)
    page.evaluate(
        "() => { window.tones = []; const make = AudioContext.prototype.createOscillator;"
        " AudioContext.prototype.createOscillator = function () { const tone = make.call(this); const start = tone.start;"
        " tone.start = function (...given) { window.tones.push(tone.frequency.value); return start.apply(this, given); };"
        " return tone; }; }"
    )
    expect(page.locator("#rows .empty")).to_be_visible()
    recorder.event("SILENTUSDT", 90_000)
    expect(page.locator(ROWS)).to_have_count(1)
    assert page.evaluate("window.tones.length") == 0
    page.keyboard.press("m")
    expect(page.locator("#sound")).to_have_attribute("aria-pressed", "true")
    recorder.event("LONGUSDT", 2_000_000)
    eventually(page, "window.tones.length === 1")
    page.wait_for_timeout(100)  # within 60 ms of a tone there is no other
    recorder.event("SHORTUSDT", 2_000_000, long=False)
    eventually(page, "window.tones.length === 2")
    long, short = page.evaluate("window.tones")
    assert long < short
    page.locator("#sound").click()
    expect(page.locator("#sound")).to_have_attribute("aria-pressed", "false")
    recorder.event("SILENTUSDT", 2_000_000)
    expect(page.locator(ROWS)).to_have_count(4)
    assert page.evaluate("window.tones.length") == 2


def test_after_a_sleep_nothing_is_missing_or_twice(
    serve: Serve, recorder: Recorder, look: Look, browser: Browser
) -> None:
    """The page's process is stopped as by a sleeping computer; woken, it shows what came meanwhile, each once."""
    served = serve()
    page = look(served.url)
    expect(page.locator("#rows .empty")).to_be_visible()
    recorder.event("BEFOREUSDT")
    expect(page.locator(ROWS)).to_have_count(1)
    session = browser.new_browser_cdp_session()
    info = session.send("SystemInfo.getProcessInfo")["processInfo"]
    asleep = [one["id"] for one in info if one["type"] == "renderer"]
    assert asleep
    names = {"BEFOREUSDT"}
    try:
        for pid in asleep:
            os.kill(pid, signal.SIGSTOP)
        for number in range(100):
            recorder.event(f"ASLEEP{number}USDT")
            names.add(f"ASLEEP{number}USDT")
        assert served.stop() == 0  # meanwhile the connection dies too
        time.sleep(3)
        recorder.event("LATEUSDT")
        served.start()
    finally:
        for pid in asleep:
            os.kill(pid, signal.SIGCONT)
    names.add("LATEUSDT")
    expect(page.locator(ROWS)).to_have_count(102)
    assert sorted(page.locator(f"{ROWS} .name").all_inner_texts()) == sorted(names)


def test_the_hold_button_holds_the_tape_without_a_pointer(
    serve: Serve, recorder: Recorder, look: Look
) -> None:
    """On a phone nothing can hover: a button holds the tape, and lets it go."""
    served = serve()
    recorder.event("FIRSTUSDT")
    page = look(served.url, width=360, height=780, phone=True)
    expect(page.locator(ROWS)).to_have_count(1)
    page.locator("#hold").tap()
    expect(page.locator("#hold")).to_have_attribute("aria-pressed", "true")
    recorder.event("SECONDUSDT")
    expect(page.locator("#tape-state")).to_have_text("held: 1 new")
    expect(page.locator(ROWS)).to_have_count(1)
    page.locator("#hold").tap()
    expect(page.locator(ROWS)).to_have_count(2)


def test_a_venue_is_chosen_and_the_address_keeps_it(serve: Serve, recorder: Recorder, look: Look) -> None:
    """With several venues each row names its own; one that is chosen is shown alone everywhere, in a link too."""
    for venue, size in (("binance", 1_000.0), ("bybit", 40_000.0)):
        recorder.event("BTCUSDT", size, venue=venue)
        recorder.tick(venue)
    with closing(Presence(recorder.ledger.path)):
        served = serve()
        page = look(served.url)
        expect(page.locator(ROWS)).to_have_count(2)
        expect(page.locator("#rows small")).to_have_text(["bybit", "binance"])
        expect(page.locator("#venues .name")).to_have_text(["binance", "bybit"])
        expect(page.locator("#basis")).to_contain_text("mixed sampling")
        expect(page.locator("#basis")).to_contain_text("Prices of mixed kinds")
        expect(page.locator('[data-window="1h"] .total')).to_have_text("$41.0\u202fk")
        page.locator("#venue").select_option("bybit")
        expect(page).to_have_url(re.compile(r"\?venue=bybit"))
        for opened in (page, look(f"{served.url}/?venue=bybit")):
            expect(opened.locator(ROWS)).to_have_count(1)
            expect(opened.locator('[data-window="1h"] .total')).to_have_text("$40.0\u202fk")
            told = "Bybit tells every liquidation, at the bankruptcy price."
            expect(opened.locator("#basis")).to_have_text(told)
            expect(opened.locator("#venue")).to_have_value("bybit")
            expect(opened.locator("#symbol-rows tr")).to_have_count(1)
        recorder.event("ETHUSDT", venue="binance")
        recorder.event("SOLUSDT", venue="bybit")
        expect(page.locator(ROWS)).to_have_count(2)
        expect(page.locator("#rows")).not_to_contain_text("ETHUSDT")
        page.locator("#venue").select_option("")
        expect(page.locator(ROWS)).to_have_count(4)


def test_one_venue_needs_no_choice(serve: Serve, recorder: Recorder, look: Look) -> None:
    """With a single venue there is nothing to choose, and its rows don't name it."""
    recorder.tick()
    recorder.event()
    page = look(serve().url)
    expect(page.locator(ROWS)).to_have_count(1)
    words = "A lower bound: Binance tells at most one liquidation per symbol and second."
    expect(page.locator("#basis")).to_have_text(words)
    expect(page.locator("#venue")).to_be_hidden()
    expect(page.locator("#rows small")).to_have_count(0)
