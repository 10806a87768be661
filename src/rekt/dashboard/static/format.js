// Figures for people: short, with the exact value kept for the hover.

export const number = (value) => Math.round(value).toLocaleString("en-US");

/** Dollars, short: $12.4 M. */
export function usd(value) {
  const dollars = Number(value);
  const size = Math.abs(dollars);
  for (const [unit, least, name] of [[1e9, 9.995e8, "B"], [1e6, 9.995e5, "M"], [1e3, 999.5, "k"]]) {
    if (size >= least) {
      const scaled = dollars / unit;
      return `$${scaled.toFixed(Math.abs(scaled) < 99.95 ? (Math.abs(scaled) < 9.995 ? 2 : 1) : 0)}\u202f${name}`;
    }
  }
  return `$${Math.round(dollars)}`;
}

/** The exact decimal string with its thousands apart. */
export function exact(text) {
  if (text === null || text === undefined) return "unknown";
  const [whole, part] = String(text).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return `$${grouped}${part ? "." + part.replace(/0+$/, "").padEnd(2, "0") : ""}`;
}

/** A share of 0..1 in percent; what is not all never rounds to all. */
export function percent(share) {
  if (share >= 1) return "100\u202f%";
  const tenths = Math.min(999, Math.round(share * 1000));
  return `${tenths % 10 ? (tenths / 10).toFixed(1) : tenths / 10}\u202f%`;
}

/** A length of time: 0.4 s, 12 s, 3 min, 2 h 5 min. */
export function length(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)}\u202fs`;
  if (seconds < 100) return `${Math.round(seconds)}\u202fs`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}\u202fmin`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}\u202fh ${minutes % 60 ? `${minutes % 60}\u202fmin` : ""}`.trim();
  return `${Math.round(minutes / 1440)} days`;
}

const two = (value) => String(value).padStart(2, "0");
export const clock = (ms) => { const t = new Date(ms); return `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}:${two(t.getUTCSeconds())}`; };
export const minute = (ms) => clock(ms).slice(0, 5);
export const day = (ms) => new Date(ms).toISOString().slice(0, 10);
/** For hovers: UTC in full, and the reader's own time. */
export const both = (ms) => `${new Date(ms).toISOString().replace("T", " ").replace("Z", " UTC")}\n${new Date(ms).toLocaleString()} local`;

/** An element with text; symbols are opaque text from outside and only ever become text nodes. */
export function make(tag, className, text, title) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  if (title) element.title = title;
  return element;
}

/** A symbol as it may stand in a line: what can't be seen is spelt out. */
export const shown = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);

/** The bar of long and short shares; its label says the same in words. */
export function share(element, long, short) {
  const total = Number(long) + Number(short);
  const part = total > 0 ? Number(long) / total : 0;
  const longBar = make("i", "l"); const shortBar = make("i", "s");
  longBar.style.flex = String(part); shortBar.style.flex = String(total > 0 ? 1 - part : 0);
  become(element, total > 0 ? [longBar, shortBar] : []);
  element.setAttribute("role", "img");
  const words = total > 0 ? `${percent(part)} long, ${percent(1 - part)} short` : "nothing";
  element.setAttribute("aria-label", words);
  element.title = words;
  return part;
}

/** Make an element's children like these, and keep what is the same: a hover, the focus, a selection stay. */
export function become(parent, fresh) {
  const old = [...parent.childNodes];
  fresh.forEach((node, index) => {
    const had = old[index];
    if (!had) parent.append(node);
    else if (had.nodeName !== node.nodeName) had.replaceWith(node);
    else if (had.nodeType === Node.TEXT_NODE) { if (had.data !== node.data) had.data = node.data; } else {
      for (const name of had.getAttributeNames()) if (!node.hasAttribute(name)) had.removeAttribute(name);
      for (const name of node.getAttributeNames()) if (had.getAttribute(name) !== node.getAttribute(name)) had.setAttribute(name, node.getAttribute(name));
      become(had, [...node.childNodes]);
    }
  });
  for (const extra of old.slice(fresh.length)) extra.remove();
}
