/** Small marks beside names and numbers.  Each says in words what its colour says. */

import { el } from "./dom.js";
import * as words from "./words.js";

/** Generated demand must never pass for a real system's. */
export function syntheticBadge() {
  return el("span", { class: "badge synthetic", title: "Generated demand, not of a real system" }, "Synthetic");
}

/** @param {{state: string, reason: string, message: string}} trust */
export function trustBadge(trust) {
  const { label, mark } = words.trust(trust.state);
  return el(
    "span",
    { class: "badge trust", "data-state": trust.state, title: trust.message },
    el("span", { "aria-hidden": "true" }, mark),
    ` ${label}`,
  );
}

export function staleBadge(text = "Stale") {
  return el("span", { class: "badge stale" }, text);
}
