// The next post as it would read now, and what became of the last ones.

import { ask, every } from "./api.js";
import { both, make, minute, shown } from "./format.js";

export function start() {
  every(10, async () => {
    const post = await ask("post");
    document.getElementById("post-text").textContent = post.text;
    const end = Date.parse(post.hour) + 3600000;
    const note = document.getElementById("post-note");
    note.textContent = `as it would read now · ${post.weighted_length} of 280 · of the hour to ${minute(end)}`;
    note.title = `${both(end)}\n${post.reason ?? ""}`;
    const picture = document.getElementById("post-picture");
    picture.hidden = !post.picture;
    if (post.picture) picture.querySelector("img").src = post.picture;
    const outcomes = document.getElementById("post-outcomes");
    outcomes.hidden = !post.outcomes?.length;
    outcomes.replaceChildren(...(post.outcomes ?? []).map((one) => make("li", "", shown(`${minute(Date.parse(one.hour))} ${one.publisher}: ${one.state}`), both(Date.parse(one.hour)))));
  })();
}
