// Everything that is chosen stands in the address, so that a link shows the same.

const DEFAULTS = { venue: "", min: "0", side: "", symbol: "", range: "24h", window: "24h", sort: "-total", theme: "" };
const ALLOWED = { side: ["", "long", "short"], range: ["24h", "7d", "30d"], window: ["1h", "4h", "12h", "24h"], theme: ["", "light", "dark"] };
const watchers = [];
export const chosen = { ...DEFAULTS };

function read() {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(DEFAULTS)) {
    const given = query.get(name) ?? value;
    chosen[name] = ALLOWED[name] && !ALLOWED[name].includes(given) ? value : given.slice(0, 100);
  }
  if (!/^\d{1,12}$/.test(chosen.min)) chosen.min = "0";
}

/** Choose something; the address and everyone who watches follow. */
export function choose(changes) {
  Object.assign(chosen, changes);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(chosen)) if (value !== DEFAULTS[name]) query.set(name, value);
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
  for (const watcher of watchers) watcher(Object.keys(changes));
}

export const onChoice = (watcher) => watchers.push(watcher);
addEventListener("popstate", () => { read(); for (const watcher of watchers) watcher(Object.keys(DEFAULTS)); });
read();
