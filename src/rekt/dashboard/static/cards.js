// The headline of the hour, and the cards of the time up to now. Every figure comes from the server's one function.

import { ask, every } from "./api.js";
import { become, both, exact, length, make, minute, number, percent, share, shown, usd } from "./format.js";
import { choose } from "./address.js";
import { on } from "./stream.js";
import { among, onVenue, several } from "./venues.js";

const headline = document.getElementById("headline");
const running = document.getElementById("running");
let closed = null;
let open = null;
let fresh = true; // something came since the cards were asked for
export const touch = () => { fresh = true; };

const figure = (text, title, className = "figure") => make("span", className, text, title);
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

function largest(one, into) {
  if (!one.largest) return;
  into.append(" The largest: ", make("span", "name", shown(one.largest.symbol)), several() ? ` (${shown(one.largest.venue)})` : "", ` ${one.largest.side} `,
    figure(usd(one.largest.notional_usd), `${exact(one.largest.notional_usd)}\n${both(Date.parse(one.largest.trade_time))}`), ".");
}

function drawClosed() {
  const one = closed;
  const end = Date.parse(one.to);
  const line = document.createDocumentFragment();
  if (!one.count) {
    line.append(one.coverage > 0 || one.by_venue.some((own) => own.coverage > 0) ? `In the hour to ${minute(end)}, no liquidation was recorded.` : `Nothing was recorded in the hour to ${minute(end)}.`);
  } else {
    line.append(`In the hour to ${minute(end)}, `, `${plural(one.count, "liquidation")} took at least `, figure(usd(one.total_usd), exact(one.total_usd)), ". ");
    const heavier = Number(one.long.total_usd) >= Number(one.short.total_usd) ? "long" : "short";
    line.append(`${heavier === "long" ? "Longs" : "Shorts"} lost `, figure(usd(one[heavier].total_usd), exact(one[heavier].total_usd), `figure ${heavier}`), ".");
    largest(one, line);
  }
  become(headline, [...line.childNodes]);
  headline.title = `${both(Date.parse(one.from))}\n${one.final ? "final" : "not final yet: events of it may still come"}`;
}

/** Each venue's part of the hour that ended: who chooses one sees it alone. */
function drawVenues() {
  const list = document.getElementById("by-venue");
  list.hidden = !several() || !closed?.by_venue.some((one) => one.count || one.coverage > 0);
  if (list.hidden) return;
  become(list, closed.by_venue.map((one) => {
    const item = make("li");
    const button = make("button", "", shown(one.venue), `only ${shown(one.venue)}`);
    button.type = "button";
    button.dataset.venue = one.venue;
    item.append(button, " ", figure(usd(one.total_usd), exact(one.total_usd)), ` (${number(one.count)})`);
    if (one.coverage < 0.98) item.append(" ", make("span", "warn", one.coverage > 0 ? `${percent(one.coverage)} recorded` : "not recorded"));
    if (!one.final) item.append(" ", make("span", "quiet", "not final"));
    return item;
  }));
}

function drawRunning() {
  const parts = [];
  if (closed) {
    if (closed.coverage < 0.98) parts.push(make("span", "warn", closed.coverage > 0 || closed.by_venue.some((one) => one.coverage > 0) ? `Only ${percent(closed.coverage)} of that hour was recorded${closed.by_venue.length > 1 ? " at the venue that has least" : ""}.` : "That is no calm market: nothing was listening."), " ");
    const mean = closed.compared.mean_7d;
    if (mean && Number(mean.total_usd) > 0 && closed.count) {
      const times = Number(closed.total_usd) / Number(mean.total_usd);
      parts.push(make("span", "", `${times >= 10 ? Math.round(times) : times.toFixed(1)} × the mean hour of 7 days.`, `Mean of ${mean.hours} complete hours: ${exact(mean.total_usd)}, ${mean.count.toFixed(0)} liquidations`), " ");
    }
    if (closed.unknown_count) parts.push(`${plural(closed.unknown_count, "liquidation")} of unknown value counted, not summed. `);
    if (!closed.final) parts.push("Not final yet. ");
  }
  if (open) {
    const since = `Since ${minute(Date.parse(open.from))}: `;
    if (open.count || open.coverage > 0) parts.push(since, `${plural(open.count, "liquidation")}, `, figure(usd(open.total_usd), exact(open.total_usd)), " so far.");
    else parts.push(since, "nothing recorded.");
  }
  const line = document.createDocumentFragment();
  line.append(...parts);
  line.normalize();
  become(running, [...line.childNodes]);
}

/** Symbols at the venue's limit: of the running hour, or of the one that ended. */
function drawSaturated() {
  const one = open?.saturated_count ? open : closed;
  const place = document.getElementById("saturated");
  place.hidden = !one?.saturated_count;
  if (place.hidden) return;
  place.textContent = `${plural(one.saturated_count, "symbol")} ${one.saturated_count === 1 ? "was" : "were"} at that limit ${one === open ? "this hour" : `in the hour to ${minute(Date.parse(one.to))}`}.`;
  place.title = one.saturated.slice(0, 15).map((symbol) => `${shown(symbol.symbol)}: ${symbol.longest_run} seconds running`).join("\n");
}

function drawCard(card, one) {
  become(card.querySelector("h3"), [document.createTextNode(card.dataset.window.replace("h", "\u00a0h")),
    one.coverage < 0.98 ? make("span", "warn", `${percent(one.coverage)} recorded`, one.gaps.map((gap) => `${gap.start.slice(11, 16)}, ${length(Date.parse(gap.end) - Date.parse(gap.start))}: ${several() ? `${shown(gap.venue)} ` : ""}${gap.cause}`).slice(0, 12).join("\n")) : document.createTextNode("")]);
  const total = card.querySelector(".total");
  const blind = !one.count && one.coverage === 0;
  total.textContent = blind ? "not recorded" : usd(one.total_usd);
  total.classList.toggle("quiet", blind);
  total.title = blind ? "" : `at least ${exact(one.total_usd)}${one.unknown_count ? `, and ${one.unknown_count} of unknown value` : ""}`;
  const part = share(card.querySelector(".share"), one.long.total_usd, one.short.total_usd);
  const more = card.querySelector(".more");
  become(more, one.count ? [make("span", "long", `${percent(part)} long`, exact(one.long.total_usd)), document.createTextNode(` · ${plural(one.count, "liquidation")}`)] : [document.createTextNode("\u00a0")]);
  const line = card.querySelector(".largest");
  line.textContent = one.largest ? `largest ${shown(one.largest.symbol)} ${usd(one.largest.notional_usd)}` : "\u00a0";
  line.title = one.largest ? `${shown(one.largest.symbol)} ${one.largest.side} ${exact(one.largest.notional_usd)}\n${both(Date.parse(one.largest.trade_time))}` : "";
}

on("hour", (one) => {
  if (Date.parse(one.to) > Date.now()) open = one;
  else if (!closed || one.from >= closed.from) { closed = one; drawClosed(); }
  drawRunning();
  drawSaturated();
  drawVenues();
});

export function start() {
  const cards = [...document.querySelectorAll(".card")];
  const load = every(() => (fresh ? 2 : 8), async () => {
    fresh = false;
    const asked = among();
    const found = await Promise.all(cards.map((card) => ask(`summary?window=${card.dataset.window}&quality=no${asked}`)));
    if (asked === among()) cards.forEach((card, index) => drawCard(card, found[index]));
  });
  const first = () => {
    const asked = among("?");
    ask(`summary${asked}`).then((one) => { if (!closed && asked === among("?")) { closed = one; drawClosed(); drawRunning(); drawVenues(); } }, () => {});
  };
  document.getElementById("by-venue").addEventListener("click", (click) => {
    const venue = click.target.dataset?.venue;
    if (venue !== undefined) choose({ venue });
  });
  onVenue(() => { closed = open = null; drawVenues(); load(); first(); });
  load();
  first();
}
