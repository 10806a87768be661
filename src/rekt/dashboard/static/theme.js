// Sets the theme before anything is drawn: ?theme=, else what was chosen last, else the system's.
"use strict";
(() => {
  let chosen = new URLSearchParams(location.search).get("theme");
  try { chosen = chosen || localStorage.getItem("theme"); } catch { /* no storage: the system's */ }
  if (chosen !== "light" && chosen !== "dark") {
    chosen = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }
  document.documentElement.dataset.theme = chosen;
})();
