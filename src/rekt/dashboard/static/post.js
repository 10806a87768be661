// The next post as it would go out now, words and picture, and what became of the last ones.

import { ask, every } from "./api.js";
import { become, both, make, minute, shown } from "./format.js";

const STATES = { sent: ["✓", "good"], failed: ["✗", "warn"], unknown: ["?", "warn"], skipped: ["–", "quiet"], pending: ["…", "quiet"], sending: ["…", "quiet"] };
const element = (id) => document.getElementById(id);

function outcome(one) {
  const [sign, className] = STATES[one.state] ?? ["", "quiet"];
  const line = make("li");
  const hour = /^\d{4}-\d\d-\d\dT\d\d$/.test(one.key);
  const at = hour ? Date.parse(`${one.key}:00:00Z`) : 0;
  line.append(
    make("span", "when", hour ? `${one.key.slice(5, 10)} ${minute(at)}` : shown(one.key), hour ? both(at) : ""),
    make("span", "service", shown(one.service)), make("span", className, `${sign} ${one.state}`),
    make("span", "why", one.reason ? shown(one.reason) : "", one.reason ? shown(one.reason) : ""));
  return line;
}

/** The picture: kept in sight until the next one is there; where there is none, why. */
function show(post) {
  const figure = element("post-picture");
  const image = figure.querySelector("img");
  const words = element("post-lacking");
  words.textContent = post.picture_lacking ?? "";
  words.hidden = !post.picture_lacking;
  figure.hidden = !post.picture;
  image.alt = post.picture_alt;
  if (post.picture && image.dataset.from !== post.picture) {
    image.dataset.from = post.picture;
    image.src = post.picture;
  }
}

export function start() {
  element("post-picture").querySelector("img").addEventListener("error", () => {
    element("post-picture").hidden = true;
    element("post-lacking").hidden = false;
    element("post-lacking").textContent = "The picture could not be drawn.";
  });
  every(10, async () => {
    const post = await ask("post");
    element("post-text").textContent = post.text;
    const end = Date.parse(post.hour) + 3600000;
    const note = element("post-note");
    note.textContent = `of the hour to ${minute(end)}, as it would read now · ${post.weighted_length} of 280`;
    note.title = both(end);
    const skip = element("post-skip");
    skip.hidden = post.would !== "skip";
    skip.textContent = skip.hidden ? "" : `It would not be posted: ${post.reason}.`;
    show(post);
    become(element("post-outcomes"), post.outcomes.length ? post.outcomes.map(outcome) : [make("li", "empty", "Nothing was posted yet.")]);
  })();
}
