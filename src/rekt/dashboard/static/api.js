// Asking the API; the server's clock is the one that ages are told by.

let offset = 0;
export const trouble = { text: "" }; // why the ledger can't be read, while it can't
export const now = () => Date.now() + offset;

export async function ask(path) {
  const answer = await fetch(`/api/v1/${path}`, { headers: { Accept: "application/json" } });
  if (answer.status === 401) { location.assign(`/login?next=${encodeURIComponent(location.pathname)}`); throw new Error("a token is needed"); }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    if (answer.status === 503) trouble.text = [told.error, told.hint].filter(Boolean).join("; ");
    throw new Error(`${answer.status}`);
  }
  trouble.text = "";
  const date = Date.parse(answer.headers.get("Date") ?? "");
  if (date) {
    const off = date + 500 - Date.now();
    offset = Math.abs(off) < 2500 ? 0 : off;
  }
  return answer.json();
}

/** Ask again and again: quickly while things happen, slowly while nothing does, not at all while nobody looks. */
export function every(seconds, task) {
  let timer = 0;
  const run = async () => {
    clearTimeout(timer);
    if (!document.hidden) { try { await task(); } catch { /* what is shown stays, and the strip says how old it is */ } }
    timer = setTimeout(run, 1000 * (typeof seconds === "function" ? seconds() : seconds));
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
  return run;
}
