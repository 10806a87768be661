// The strip: does each feed live, how complete is what is shown. A dead feed never looks like a calm market.

import { every, ask, now, trouble } from "./api.js";
import { become, both, clock, length, make, number, percent, shown } from "./format.js";
import { on, silentFor } from "./stream.js";
import { setKnown } from "./venues.js";

const CANARY_MS = 5000; // the recorder's own limit, where it is not known
const WAY_MS = 3000; // from there to here
const WHOLE = "all parts together"; // a venue heard in parts lives while this one does
const QUIET_MS = 60000;
const BEHIND = 1000; // rows: more than are on their way at any moment
const venues = document.getElementById("venues");
const alarm = document.getElementById("alarm");
let status = null;
let covers = { hour: null, day: null };
const lags = new Map(); // by venue
let lost = false;

on("status", (given) => { status = given; lost = false; draw(); });
on("open", () => { lost = false; draw(); });
on("lost", () => { lost = true; draw(); });

/** Receive time minus trade time of what came last: the venue holds events for a second by itself. */
export function heard(events) {
  for (const event of events) {
    const own = lags.get(event.venue) ?? [];
    lags.set(event.venue, [...own.slice(-299), Date.parse(event.received_at) - Date.parse(event.trade_time)]);
  }
}

const cover = every(10, async () => {
  const [hour, day] = await Promise.all([ask("coverage?window=1h"), ask("coverage?window=24h")]);
  covers = { hour, day };
  setKnown(day.venues.map((one) => one.venue));
  draw();
});

/** What became of each venue's connections. */
function feeds() {
  const found = new Map();
  const divided = new Set(status.connections.filter((one) => one.url === WHOLE).map((one) => one.venue));
  for (const one of status.connections) {
    if (divided.has(one.venue) && one.url !== WHOLE) continue;
    const feed = found.get(one.venue) ?? { name: one.venue, canary: 0, open: false };
    feed.canary = Math.max(feed.canary, one.last_canary ? Date.parse(one.last_canary) : 0);
    feed.open ||= one.closed === null;
    found.set(one.venue, feed);
  }
  for (const one of covers.day?.venues ?? []) {
    if (!found.has(one.venue)) found.set(one.venue, { name: one.venue, canary: one.last_tick ? Date.parse(one.last_tick) : 0, open: false });
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function lag(feed) {
  const own = [...(lags.get(feed.name) ?? [])].sort((a, b) => a - b);
  return own.length < 5 ? "" : `lag ${length(own[Math.floor(own.length * 0.95)])} p95`;
}

/** One of several feeds that is well: its name and what was recorded; the rest when pointed at. */
function shortLine(feed, item, age, hour, day, basis) {
  const told = [`Last sign of life (canary): ${length(age)} ago, ${both(feed.canary)}`,
    hour && `Of the last hour ${percent(hour.coverage)} was proved to be received, of the last 24 hours ${day ? percent(day.coverage) : "–"}`,
    lag(feed), ...basis].filter(Boolean).join("\n");
  const least = Math.min(hour?.coverage ?? 1, day?.coverage ?? 1);
  item.append(make("span", "good", "●", "live"), make("span", "name", shown(feed.name), told));
  if (hour) item.append(make("span", hour.coverage >= 0.98 ? "quiet" : "warn", percent(hour.coverage), told));
  if (day && least < 0.98) item.append(make("span", day.coverage >= 0.98 ? "quiet" : "warn", `day ${percent(day.coverage)}`, told));
}

function feedLine(feed, _, all) {
  const item = make("li");
  const age = now() - feed.canary;
  const add = (className, text, title) => item.append(make("span", className, text, title));
  const [hour, day] = [covers.hour, covers.day].map((object) => object?.venues.find((one) => one.venue === feed.name));
  const live = status.recording && feed.canary && age < (day ? day.canary_seconds * 1000 : CANARY_MS) + WAY_MS;
  if (live && all.length > 1) {
    shortLine(feed, item, age, hour, day, day?.basis ?? []);
    return { item, live, feed, age };
  }
  add("name", shown(feed.name));
  if (live) {
    add("good", `● live ${length(age)}`, `Last sign of life (canary): ${both(feed.canary)}`);
    const last = status.ledger.last_trade_time ? now() - Date.parse(status.ledger.last_trade_time) : Infinity;
    if (last > QUIET_MS) add("quiet", last === Infinity ? "quiet market: none yet" : `quiet market: last liquidation ${length(last)} ago`);
  } else if (status.recording && feed.open) {
    add("warn", feed.canary ? `✗ dead feed: no sign of life for ${length(age)}` : "○ connected, waiting for the first sign of life");
  } else {
    add("warn", status.recording ? "✗ not connected" : "✗ nothing is recording", "`rekt run` records");
    if (feed.canary) add("quiet", `last sign of life ${length(age)} ago`, both(feed.canary));
  }
  const share = (label, own) => {
    if (own) add(own.coverage >= 0.98 ? "quiet" : "warn", `${label} ${percent(own.coverage)}`, `Of the ${label === "day" ? "last 24 hours" : label} this share was proved to be received`);
  };
  share("last hour", hour);
  share("day", day);
  if (lag(feed) && live) {
    add("quiet", lag(feed), "From trade to receipt, of the last events; the venue holds each for about a second");
  }
  return { item, live, feed, age };
}

/** Where rows are shipped to, and how many are still to go; a few on the way are normal. */
function sinkLine(sink) {
  const item = make("li");
  const well = sink.running && !sink.suspended && !sink.last_error;
  const behind = sink.rows_behind === null ? "rows behind unknown" : `${number(sink.rows_behind)} behind`;
  item.append(make("span", "name", "QuestDB"), make("span", well && (sink.rows_behind ?? 0) < BEHIND ? "quiet" : "warn", well ? behind : `✗ ${sink.running ? "stuck" : "does not answer"}, ${behind}`,
    shown(`${sink.url}, table ${sink.table}${sink.last_error ? `: ${sink.last_error}` : ""}`)));
  return item;
}

function draw() {
  if (trouble.text) {
    say(shown(trouble.text));
  } else if (status) {
    const lines = feeds().map(feedLine);
    const items = lines.length ? lines.map((line) => line.item) : [make("li", "quiet", "nothing was ever recorded: `rekt run` begins")];
    const last = status.ledger.last_trade_time ? now() - Date.parse(status.ledger.last_trade_time) : Infinity;
    if (lines.length > 1 && lines.every((line) => line.live) && last > QUIET_MS) items.push(make("li", "quiet", `quiet market: ${last === Infinity ? "none yet" : `last liquidation ${length(last)} ago`}`));
    venues.classList.toggle("several", lines.length > 1);
    become(venues, [...items, ...(status.sink ? [sinkLine(status.sink)] : [])]);
    const dead = lines.filter((line) => !line.live);
    const words = dead.length && lines.length
      ? `${dead.map((line) => shown(line.feed.name)).join(", ")}: ${status.recording ? "the feed is dead" : "nothing is recording"}`
        + `${dead[0].feed.canary ? ` since ${clock(dead[0].feed.canary)} UTC` : ""}. This is not a calm market: events are being missed.`
      : "";
    if (lost && silentFor() > 3000) say("The dashboard's server does not answer.", ` What you see is ${length(silentFor())} old.`);
    else say(words);
  } else if (lost) {
    say("The dashboard's server does not answer.");
  }
}

/** The bar over the page; what changes each second is for the eye, or a screen reader would never be silent. */
function say(words, aside = "") {
  alarm.hidden = !words;
  const told = make("span", "", words);
  const seen = make("span", "", aside);
  seen.setAttribute("aria-hidden", "true");
  become(alarm, words ? [told, seen] : []);
}

export function start() {
  const time = document.getElementById("clock");
  setInterval(() => { time.textContent = clock(now()); time.title = both(now()); draw(); }, 1000);
  time.textContent = clock(now());
  cover();
}
