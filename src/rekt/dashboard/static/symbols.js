// The table of symbols, each against its own last 30 days, and the largest of the day.

import { ask, every } from "./api.js";
import { chosen, choose, onChoice } from "./address.js";
import { become, both, exact, make, minute, number, percent, share, shown, usd } from "./format.js";
import { setTypical } from "./tape.js";
import { drawMap } from "./charts.js";
import { among, onVenue, several } from "./venues.js";

const SHOWN = 100;
const body = document.getElementById("symbol-rows");
const note = document.getElementById("symbols-note");
let items = [];
const longShare = (one) => Number(one.long.total_usd) / (Number(one.total_usd) || 1);
const KEYS = {
  symbol: (one) => one.symbol, total: (one) => Number(one.total_usd), long: longShare, count: (one) => one.count,
  normal: (one) => one.normal?.percentile ?? -1,
};

function row(one) {
  const line = make("tr");
  const name = make("td", "name");
  const button = make("button", "", shown(one.symbol), `${shown(one.symbol)} at ${shown(one.venue)}: only this one in the tape`);
  button.type = "button";
  button.dataset.symbol = one.symbol;
  name.append(button);
  if (several()) name.append(" ", make("small", "quiet", shown(one.venue)));
  const bar = make("td");
  const inside = make("div", "share");
  share(inside, one.long.total_usd, one.short.total_usd);
  bar.append(inside);
  const normal = make("td", "figure");
  if (one.normal) {
    const high = one.normal.percentile >= 95;
    normal.append(make("span", high ? "high" : "", `${high ? "▲ " : ""}${Math.floor(one.normal.percentile)}\u202f%`,
      `More than in ${percent(one.normal.percentile / 100)} of its ${one.normal.stretches} stretches of this length in 30 days`));
  } else {
    normal.append(make("span", "quiet", "–", "Too little was recorded to compare with"));
  }
  line.append(name, make("td", "figure", usd(one.total_usd), exact(one.total_usd)), bar, make("td", "figure count", number(one.count)), normal);
  return line;
}

function draw() {
  const down = chosen.sort.startsWith("-");
  const key = KEYS[chosen.sort.replace("-", "")] ?? KEYS.total;
  const compare = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
  const sorted = [...items].sort((a, b) => (down ? -1 : 1) * compare(a, b));
  const empty = make("tr");
  const words = make("td", "quiet", "No liquidation recorded in this time.");
  words.colSpan = 5;
  empty.append(words);
  become(body, sorted.length ? sorted.slice(0, SHOWN).map(row) : [empty]);
  note.textContent = items.length > SHOWN ? `${SHOWN} of ${number(items.length)} symbols` : `${number(items.length)} symbols`;
  for (const button of document.querySelectorAll(".symbols th button")) {
    const own = button.dataset.sort === chosen.sort.replace("-", "");
    if (own) button.parentElement.setAttribute("aria-sort", down ? "descending" : "ascending");
    else button.parentElement.removeAttribute("aria-sort");
  }
}

const load = every(5, async () => {
  const asked = `${chosen.window}${among()}`;
  const found = await ask(`symbols?window=${asked}`);
  if (asked !== `${chosen.window}${among()}`) return;
  items = found.items;
  setTypical(items);
  draw();
  drawMap(items);
  document.getElementById("symbols-known").replaceChildren(...[...new Set(items.map((one) => one.symbol))].slice(0, 200).map((symbol) => { const option = make("option"); option.value = symbol; return option; }));
});

const loadDay = every(20, async () => {
  const asked = among();
  const { items: hours } = await ask(`buckets?window=24h&step=1h${asked}`);
  if (asked !== among()) return;
  const found = hours.map((one) => one.largest).filter(Boolean).sort((a, b) => Number(b.notional_usd) - Number(a.notional_usd)).slice(0, 10);
  become(document.getElementById("largest"), (found.length ? found.map((one) => {
    const at = Date.parse(one.trade_time);
    const line = make("li");
    const time = make("time", "", minute(at), both(at));
    time.append(make("span", "", ` · ${one.trade_time.slice(5, 10)}`));
    const name = make("span", "name", shown(one.symbol));
    if (several()) name.append(" ", make("small", "quiet", shown(one.venue)));
    line.append(name, make("span", one.side, one.side), make("span", "usd", usd(one.notional_usd), exact(one.notional_usd)), time);
    return line;
  }) : [make("li", "empty", "No liquidation recorded in the last 24 hours.")]));
});

export function start() {
  document.querySelector(".symbols thead").addEventListener("click", (click) => {
    const name = click.target.dataset?.sort;
    if (name) choose({ sort: chosen.sort === `-${name}` ? name : `-${name}` });
  });
  body.addEventListener("click", (click) => {
    const symbol = click.target.dataset?.symbol;
    if (symbol !== undefined) choose({ symbol: chosen.symbol === symbol ? "" : symbol });
  });
  document.getElementById("window").addEventListener("change", (change) => choose({ window: change.target.value }));
  onChoice((names) => { if (names.includes("sort")) draw(); if (names.includes("window")) { mark(); load(); } });
  onVenue(() => { load(); loadDay(); });
  const mark = () => { for (const input of document.querySelectorAll("#window input")) input.checked = input.value === chosen.window; };
  mark();
  load();
  loadDay();
}
