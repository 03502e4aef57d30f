/** Whether the page is live.  Said aloud only when that changes. */

import { clock } from "./api.js";
import { say } from "./dom.js";
import { age } from "./format.js";
import { millis, timeText, utcText } from "./times.js";

const TEXTS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline, still trying",
  refused: "Not signed in",
};

export function indicator() {
  const node = document.getElementById("live");
  const text = document.getElementById("live-text");
  const announcer = document.getElementById("announcer");
  let state = "connecting";
  let last = null;

  function paint() {
    const passed = last === null ? null : (clock.now() - last) / 1000;
    say(text, state === "live" && passed !== null ? `Live, ${age(passed)} ago` : TEXTS[state]);
    node.dataset.state = state;
    node.title = last === null ? "" : `Last cycle ${timeText(last, { seconds: true })} (${utcText(last)})`;
  }

  return {
    show(next) {
      const isNews = next !== state && next !== "connecting" && !(state === "connecting" && next === "live");
      state = next;
      if (isNews) say(announcer, TEXTS[next] === "Live" ? "Live again" : TEXTS[next]);
      paint();
    },
    /** @param {{at: string|null}} event */
    cycle(event) {
      last = millis(event.at);
      paint();
    },
    tick: paint,
  };
}
