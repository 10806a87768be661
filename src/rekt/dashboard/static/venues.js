// Which venues there are, the one that is chosen, and what their figures rest on.

import { ask, every } from "./api.js";
import { chosen, choose, onChoice } from "./address.js";
import { become, make, shown } from "./format.js";

const select = document.getElementById("venue");
const basis = document.getElementById("basis");
let known = [];
let last = chosen.venue;

/** For a query: the chosen venue, or nothing. */
export const among = (sign = "&") => (chosen.venue ? `${sign}venue=${encodeURIComponent(chosen.venue)}` : "");
/** Whether rows of several venues stand side by side, so that each names its own. */
export const several = () => known.length > 1 && !chosen.venue;
/** Told when another venue is chosen, and not when the address says the same again. */
const watchers = [];
export const onVenue = (watcher) => watchers.push(watcher);
onChoice(() => {
  if (chosen.venue === last) return;
  last = chosen.venue;
  draw();
  tell();
  for (const watcher of watchers) watcher();
});

/** The venues that were recorded lately. */
export function setKnown(names) {
  known = names;
  draw();
}

function draw() {
  const names = [...new Set([...known, ...(chosen.venue ? [chosen.venue] : [])])].sort();
  become(select, [["", "all venues"], ...names.map((name) => [name, shown(name)])].map(([value, words]) => {
    const option = make("option", "", words);
    option.value = value;
    option.setAttribute("value", value);
    return option;
  }));
  select.value = chosen.venue;
  select.parentElement.hidden = names.length < 2 && !chosen.venue;
}

/** In words what the venues tell, and what differs between them. */
const tell = every(60, async () => {
  const asked = chosen.venue;
  const told = await ask(`coverage?window=24h${among()}`);
  if (asked === chosen.venue) basis.textContent = told.basis.join(" ");
});

export function start() {
  select.addEventListener("change", () => choose({ venue: select.value }));
  draw();
  tell();
}
