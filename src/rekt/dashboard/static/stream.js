// The live stream: resumes where it was after sleep, a restart of the server, or a lost network; nothing comes twice.

import { among, onVenue } from "./venues.js";

const SILENT_MS = 8000; // the server says something every second
const HIDDEN_MS = 120000; // a page nobody looks at lets go of its connection, and catches up later
let source = null;
let lastId = null;
let heard = 0;
let hiddenSince = 0;
const listeners = { liquidation: [], hour: [], status: [], open: [], lost: [] };
export const on = (name, listener) => listeners[name].push(listener);
const tell = (name, value) => { for (const listener of listeners[name]) listener(value); };
export const silentFor = () => (heard ? Date.now() - heard : 0);

function open() {
  source?.close();
  source = new EventSource(`/api/v1/stream?${lastId === null ? "" : `last_event_id=${lastId}`}${among()}`);
  heard = Date.now();
  source.onopen = () => { heard = Date.now(); tell("open", lastId === null); };
  source.onerror = () => { tell("lost"); if (source.readyState === EventSource.CLOSED) setTimeout(open, 2000); };
  for (const name of ["liquidation", "hour", "status"]) {
    source.addEventListener(name, (event) => {
      heard = Date.now();
      if (name === "liquidation") lastId = event.lastEventId;
      tell(name, JSON.parse(event.data));
    });
  }
}

export function start() {
  open();
  onVenue(() => { lastId = null; open(); });
  setInterval(() => {
    if (document.hidden) {
      hiddenSince ||= Date.now();
      if (source && Date.now() - hiddenSince > HIDDEN_MS) { source.close(); source = null; }
    } else {
      hiddenSince = 0;
      if (!source || silentFor() > SILENT_MS) { if (source) tell("lost"); open(); }
    }
  }, 1000);
}
