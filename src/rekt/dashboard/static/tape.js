// The tape: newest first, at most a few hundred rows, redrawn at most ten times a second.

import { ask, now } from "./api.js";
import { chosen, choose, onChoice } from "./address.js";
import { both, clock, exact, make, shown, usd } from "./format.js";
import { on } from "./stream.js";
import { blip } from "./sound.js";
import { heard } from "./strip.js";
import { touch } from "./cards.js";
import { among, onVenue, several } from "./venues.js";

const KEPT = 3000; // events in memory, for filters
const ROWS = 250; // in the page
const DRAW_MS = 100;
const STEPS = [0, 100, 250, 500, 1e3, 2e3, 3e3, 5e3, 7.5e3, 1e4, 1.5e4, 2e4, 3e4, 5e4, 7.5e4, 1e5, 1.5e5, 2e5, 3e5, 5e5, 7.5e5, 1e6, 2e6, 5e6, 1e7];
const list = document.getElementById("rows");
const holdButton = document.getElementById("hold");
const state = document.getElementById("tape-state");
const slider = document.getElementById("min");
const search = document.getElementById("symbol");
let events = []; // newest first
const byUid = new Map();
let waiting = []; // came since the last drawing
let pausedBy = new Set();
let drawing = 0;
let drawn = 0;
let typical = new Map(); // venue and symbol → mean dollars of one liquidation
const key = (one) => `${one.venue}/${one.symbol}`;

export function setTypical(items) {
  typical = new Map(items.map((one) => [key(one), Number(one.total_usd) / Math.max(one.count, 1)]));
}

function fits(event) {
  if (chosen.venue && event.venue !== chosen.venue) return false;
  const least = Number(chosen.min);
  if (least && !(Number(event.notional_usd ?? 0) >= least)) return false;
  if (chosen.side && event.side !== chosen.side) return false;
  return !chosen.symbol || event.symbol.toUpperCase().includes(chosen.symbol.toUpperCase());
}

/** 0 small … 4 huge, against what is usual for the symbol. */
function size(event) {
  const dollars = Number(event.notional_usd ?? 0);
  const usual = typical.get(key(event)) || 20000;
  const times = dollars / usual;
  if (dollars >= 1e6 || (times >= 10 && dollars >= 1e4)) return 4;
  if (dollars >= 2.5e5 || (times >= 4 && dollars >= 5e3)) return 3;
  return times >= 1.5 ? 2 : times >= 0.2 ? 1 : 0;
}

function fill(row, event) {
  const at = Date.parse(event.trade_time);
  const counts = event.status === null || event.status === "FILLED";
  row.className = `${event.side} s${size(event)}${counts ? "" : " not-counted"}`;
  if (!row.firstChild) row.append(make("time"), make("span", "name"), make("span", "side"), make("span", "usd"));
  const [time, name, side, dollars] = row.children;
  time.textContent = clock(at);
  time.title = both(at);
  name.textContent = name.title = shown(event.symbol);
  if (several()) {
    name.title = `${shown(event.symbol)} at ${shown(event.venue)}`;
    name.append(" ", make("small", "quiet", shown(event.venue)));
  }
  side.textContent = event.side;
  dollars.textContent = event.notional_usd === null ? "unknown" : usd(event.notional_usd);
  dollars.title = `${exact(event.notional_usd)}\n${[event.filled_quantity, event.average_price ?? event.price].filter(Boolean).join(" at ")}${counts ? "" : `\n${event.status}: not counted`}`;
  return row;
}

/** Everything anew: after a filter was changed. */
function redraw() {
  list.replaceChildren(...events.filter(fits).slice(0, ROWS).map((event) => fill(make("li"), event)));
  if (!list.firstChild) {
    list.append(make("li", "empty", events.length ? "Nothing of what came lately fits the filter." : "No liquidation yet. They show up here as they come."));
  }
  waiting = [];
  tellState();
}

function draw() {
  drawing = 0;
  if (pausedBy.size) { tellState(); return; }
  drawn = performance.now();
  const fresh = waiting.filter(fits).slice(-ROWS);
  waiting = [];
  if (fresh.length) {
    if (list.firstChild?.className === "empty") list.replaceChildren();
    const page = document.createDocumentFragment();
    for (let index = fresh.length - 1; index >= 0; index -= 1) {
      const spare = list.childElementCount + page.childElementCount >= ROWS ? list.lastElementChild : null;
      spare?.remove();
      const row = fill(spare ?? make("li"), fresh[index]);
      if (fresh.length < 15) row.classList.add("new");
      page.append(row);
    }
    list.prepend(page);
  }
  tellState();
}

function schedule() {
  if (drawing) return;
  const wait = Math.max(0, DRAW_MS - (performance.now() - drawn));
  drawing = wait ? setTimeout(() => requestAnimationFrame(draw), wait) : requestAnimationFrame(draw);
}

function tellState() {
  const held = waiting.filter(fits).length;
  state.textContent = pausedBy.size ? `held${held ? `: ${held > 999 ? "999+" : held} new` : ""}` : "";
}

function take(event) {
  const known = byUid.get(event.uid);
  if (known) { // a changed row comes again under its uid
    Object.assign(known, event);
    return false;
  }
  byUid.set(event.uid, event);
  return true;
}

let later = [];
on("liquidation", (event) => {
  touch();
  if (!take(event)) { clearTimeout(redrawLater); redrawLater = setTimeout(() => { if (!pausedBy.size) redraw(); }, 300); return; }
  later.push(event);
  waiting.push(event);
  if (waiting.length > KEPT) waiting = waiting.slice(-ROWS);
  if (later.length >= 200) settle();
  blip(event, fits(event), size(event));
  schedule();
});
let redrawLater = 0;

/** Move what came into the memory, newest first. */
function settle() {
  if (!later.length) return;
  heard(later);
  events = [...later.reverse(), ...events];
  later = [];
  for (const old of events.splice(KEPT)) byUid.delete(old.uid);
}
setInterval(settle, 500);

/** Fill up from the ledger: at first, and whenever the stream could not resume. */
async function fillUp() {
  const asked = among();
  const { items } = await ask(`liquidations?limit=250${asked}`);
  if (asked !== among()) return;
  settle();
  const fresh = items.filter(take);
  heard(fresh.slice(0, 100).filter((event) => Date.parse(event.received_at) > now() - 3600000).reverse());
  events = [...events, ...fresh].sort((a, b) => (a.trade_time < b.trade_time ? 1 : a.trade_time > b.trade_time ? -1 : 0));
  redraw();
}
on("open", (anew) => { if (anew) fillUp().catch(() => {}); });

function hold(why, on) {
  if (on) pausedBy.add(why); else pausedBy.delete(why);
  holdButton.setAttribute("aria-pressed", String(pausedBy.has("key")));
  if (!pausedBy.size) schedule(); else tellState();
}

export const toggleHold = () => hold("key", !pausedBy.has("key"));
export const step = (by) => { slider.value = String(Number(slider.value) + by); slider.dispatchEvent(new Event("input")); };

function showChoice() {
  const position = STEPS.findLastIndex((value) => value <= Number(chosen.min));
  slider.value = String(position);
  document.getElementById("min-shown").textContent = usd(chosen.min);
  slider.setAttribute("aria-valuetext", usd(chosen.min));
  if (search.value !== chosen.symbol) search.value = chosen.symbol;
  for (const input of document.querySelectorAll("#side input")) input.checked = input.value === chosen.side;
}

export function start() {
  holdButton.addEventListener("click", toggleHold);
  slider.max = String(STEPS.length - 1);
  slider.addEventListener("input", () => choose({ min: String(STEPS[Number(slider.value)]) }));
  search.addEventListener("input", () => choose({ symbol: search.value.trim() }));
  document.getElementById("side").addEventListener("change", (change) => choose({ side: change.target.value }));
  document.getElementById("filters").addEventListener("submit", (submit) => submit.preventDefault());
  list.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") hold("hover", true); });
  list.addEventListener("pointerleave", () => hold("hover", false));
  list.addEventListener("focusin", () => hold("focus", list.matches(":focus-visible")));
  list.addEventListener("focusout", () => hold("focus", false));
  onChoice((names) => { showChoice(); if (names.some((name) => ["min", "side", "symbol"].includes(name))) { settle(); redraw(); } });
  onVenue(() => { later = []; events = []; byUid.clear(); redraw(); });
  showChoice();
}
