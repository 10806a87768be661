// Starts the parts, and the keys.

import { choose } from "./address.js";
import * as cards from "./cards.js";
import * as charts from "./charts.js";
import * as post from "./post.js";
import * as sound from "./sound.js";
import * as stream from "./stream.js";
import * as strip from "./strip.js";
import * as symbols from "./symbols.js";
import * as tape from "./tape.js";
import * as venues from "./venues.js";

const root = document.documentElement;
const themeButton = document.getElementById("theme");
const help = document.getElementById("help");

function showTheme() { themeButton.textContent = root.dataset.theme === "dark" ? "light" : "dark"; }
function turn() {
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it holds for this page then */ }
  if (new URLSearchParams(location.search).has("theme")) choose({ theme: root.dataset.theme });
  showTheme();
  charts.recolour();
}

const KEYS = {
  "/": () => document.getElementById("symbol").focus(),
  b: () => choose({ side: "" }), l: () => choose({ side: "long" }), s: () => choose({ side: "short" }),
  "+": () => tape.step(1), "=": () => tape.step(1), "-": () => tape.step(-1), p: () => tape.toggleHold(),
  1: () => choose({ range: "24h" }), 2: () => choose({ range: "7d" }), 3: () => choose({ range: "30d" }),
  v: () => document.getElementById("venue").focus(), m: () => sound.toggle(), t: turn, "?": () => help.showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.id === "symbol") { choose({ symbol: "" }); event.target.blur(); }
  if (event.ctrlKey || event.metaKey || event.altKey || help.open || event.target.matches("input[type=search], select")) return;
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});
themeButton.addEventListener("click", turn);
document.getElementById("keys").addEventListener("click", () => help.showModal());

showTheme();
venues.start();
tape.start();
stream.start();
strip.start();
cards.start();
post.start();
symbols.start();
charts.start();
