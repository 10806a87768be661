// The bars and the treemap, by Plotly; it is fetched when the rest of the page stands.

import { ask, every } from "./api.js";
import { chosen, choose, onChoice } from "./address.js";
import { among, onVenue, several } from "./venues.js";
import { exact, length, minute, number, percent, shown, usd } from "./format.js";

const STEP = { "24h": "15m", "7d": "1h", "30d": "4h" };
const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
let ready = null;
let steps = null;
let symbols = [];
const element = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
/** Plotly understands a few tags and entities: a symbol must not. */
const plain = (text) => shown(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function plotly() {
  ready ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/static/plotly.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { ready = null; reject(new Error("no Plotly")); };
    document.head.append(script);
  });
  return ready;
}

const layout = (more) => ({
  paper_bgcolor: "transparent", plot_bgcolor: "transparent", font: { family: "inherit", size: 12, color: colour("--quiet") },
  margin: { l: 56, r: 4, t: 6, b: 28 }, showlegend: false, dragmode: false,
  hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--text"), size: 12 }, align: "left" },
  ...more,
});

function hover(one) {
  const from = Date.parse(one.from);
  const lines = [`<b>${one.from.slice(5, 10)} ${minute(from)} – ${minute(Date.parse(one.to))} UTC</b>`];
  if (one.coverage > 0 || one.long.count + one.short.count) {
    lines.push(`longs ${exact(one.long.total_usd)} (${number(one.long.count)})`, `shorts ${exact(one.short.total_usd)} (${number(one.short.count)})`);
  }
  if (one.coverage < 0.999) lines.push(one.coverage > 0 ? `only ${percent(one.coverage)} recorded` : "not recorded");
  if (one.largest) lines.push(`largest ${plain(one.largest.symbol)} ${usd(one.largest.notional_usd)}`);
  lines.push(`<i>${new Date(from).toLocaleString()} local</i>`);
  return lines.join("<br>");
}

async function drawBars() {
  const Plotly = await plotly();
  const begun = steps.items.filter((one) => Date.parse(one.from) < Date.now());
  const half = steps.step_seconds * 500;
  const at = begun.map((one) => new Date(Date.parse(one.from) + half).toISOString());
  const text = begun.map(hover);
  const bar = (name, values, fill) => ({ type: "bar", name, x: at, y: values, hovertext: text, hoverinfo: "text", marker: { color: fill, line: { width: 0 } } });
  const mostOf = (side) => Math.max(0, ...begun.map((one) => Number(one[side].total_usd)));
  const most = Math.max(mostOf("long"), mostOf("short"));
  const ticks = most ? niceTicks(most) : [];
  const reach = (side) => Math.max(mostOf(side), most * 0.2, 1e-6) * 1.08;
  const up = reach("long");
  const down = reach("short");
  const missed = begun.map((one) => one.coverage < 0.9);
  const hole = (end) => ({
    type: "bar", x: at.filter((_, index) => missed[index]), y: missed.filter(Boolean).map(() => end), hovertext: text.filter((_, index) => missed[index]), hoverinfo: "text",
    marker: { color: "rgba(0,0,0,0)", line: { width: 0 }, pattern: { shape: "/", fgcolor: colour("--gap"), bgcolor: "rgba(0,0,0,0)", size: 7, solidity: 0.16, fillmode: "overlay" } },
    width: missed.filter(Boolean).map(() => steps.step_seconds * 1000),
  });
  const values = [...ticks.map((tick) => -tick).reverse(), 0, ...ticks].filter((tick) => tick <= up && -tick <= down);
  await Plotly.react("bars", [
    hole(up), hole(-down),
    bar("longs", begun.map((one) => Number(one.long.total_usd)), colour("--long-fill")),
    bar("shorts", begun.map((one) => -Number(one.short.total_usd)), colour("--short-fill")),
  ], layout({
    barmode: "overlay", bargap: 0.18, hovermode: "closest",
    xaxis: { type: "date", range: [begun[0]?.from, steps.to], gridcolor: "transparent", tickformat: chosen.range === "24h" ? "%H:%M" : "%b %d", fixedrange: true, linecolor: colour("--line"), nticks: 8 },
    yaxis: { range: [-down, up], tickvals: values, ticktext: values.map((value) => usd(Math.abs(value))), gridcolor: colour("--line"), zerolinecolor: colour("--gap"), fixedrange: true },
  }), CONFIG);
  const sum = (side) => begun.reduce((total, one) => total + Number(one[side].total_usd), 0);
  const missing = steps.gaps.reduce((total, gap) => total + Date.parse(gap.end) - Date.parse(gap.start), 0);
  element("bars").setAttribute("aria-label", `Last ${chosen.range}: longs ${usd(sum("long"))}, shorts ${usd(sum("short"))}${missing > 5000 ? `; not recorded: ${length(missing)}` : ""}`);
}

function niceTicks(most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.8) * power;
  return [1, 2, 3, 4, 5].map((times) => times * unit).filter((tick) => tick <= most * 1.08);
}

function blend(share) { // from short's blue over grey to long's amber; the label says the share too
  const parse = (text) => [1, 3, 5].map((index) => parseInt(text.slice(index, index + 2), 16));
  const grey = parse(colour("--raised"));
  const end = parse(colour(share >= 0.5 ? "--long-fill" : "--short-fill"));
  const weight = 0.18 + 0.5 * Math.abs(share - 0.5) * 2;
  return `rgb(${end.map((value, index) => Math.round(grey[index] + (value - grey[index]) * weight)).join(",")})`;
}

export function drawMap(items) {
  symbols = items;
  return map().catch(() => {});
}

async function map() {
  const Plotly = await plotly();
  const known = symbols.filter((one) => Number(one.total_usd) > 0);
  const named = known.slice(0, 40);
  const rest = known.slice(40);
  const cells = named.map((one) => ({ id: `${one.venue}/${one.symbol}`, venue: one.venue, label: one.symbol.length > 16 ? `${one.symbol.slice(0, 15)}…` : one.symbol, value: Number(one.total_usd), share: Number(one.long.total_usd) / Number(one.total_usd), exact: exact(one.total_usd), count: one.count }));
  if (rest.length) {
    const value = rest.reduce((total, one) => total + Number(one.total_usd), 0);
    const long = rest.reduce((total, one) => total + Number(one.long.total_usd), 0);
    cells.push({ id: "others", label: `${rest.length} others`, value, share: long / value, exact: usd(value), count: rest.reduce((total, one) => total + one.count, 0) });
  }
  const whole = cells.reduce((total, cell) => total + cell.value, 0);
  await Plotly.react("treemap", cells.length ? [{
    type: "treemap", ids: cells.map((cell) => cell.id), labels: cells.map((cell) => plain(cell.label)), parents: cells.map(() => ""), values: cells.map((cell) => cell.value),
    text: cells.map((cell) => `${usd(cell.value)}<br>${percent(cell.share)} long`),
    hovertext: cells.map((cell) => `<b>${plain(cell.label)}</b>${cell.venue && several() ? ` ${plain(cell.venue)}` : ""}<br>${cell.exact}<br>${percent(cell.share)} long<br>${number(cell.count)} liquidations`), hoverinfo: "text",
    texttemplate: cells.map((cell) => (cell.value > 0.03 * whole ? "<b>%{label}</b><br>%{text}" : cell.value > 0.008 * whole ? "<b>%{label}</b>" : "")), textfont: { color: colour("--text"), size: 13 }, tiling: { pad: 2 }, pathbar: { visible: false },
    marker: { colors: cells.map((cell) => blend(cell.share)), line: { width: 0 }, pad: { t: 0, l: 0, r: 0, b: 0 } },
  }] : [], layout({ margin: { l: 0, r: 0, t: 0, b: 0 }, xaxis: { visible: false }, yaxis: { visible: false },
    annotations: cells.length ? [] : [{ text: "no liquidation recorded in this time", showarrow: false, font: { color: colour("--quiet"), size: 14 } }] }), CONFIG);
}

const load = every(15, async () => {
  const asked = `${chosen.range}&step=${STEP[chosen.range]}${among()}`;
  const found = await ask(`buckets?window=${asked}`);
  if (asked !== `${chosen.range}&step=${STEP[chosen.range]}${among()}`) return;
  steps = found;
  await drawBars();
});

export function recolour() {
  if (steps) drawBars().catch(() => {});
  map().catch(() => {});
}

export function start() {
  const mark = () => { for (const input of document.querySelectorAll("#range input")) input.checked = input.value === chosen.range; };
  element("range").addEventListener("change", (change) => choose({ range: change.target.value }));
  onChoice((names) => { if (names.includes("range")) { mark(); load(); } });
  onVenue(load);
  mark();
  load();
}
