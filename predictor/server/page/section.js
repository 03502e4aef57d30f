/** A part of a page with its own waiting, failing and content, so that one failure does not take the others away. */

import { el, put, say } from "./dom.js";
import { sectionError, skeleton } from "./states.js";

/** @param {string} title @param {string[]} bones what the room looks like before content @param {...Node} content */
export function section(title, bones, ...content) {
  const heading = el("h2", {}, title);
  const tools = el("div", { class: "section-tools" });
  const body = el("div", { class: "section-body" });
  const node = el("section", {}, el("div", { class: "section-head" }, heading, tools), body);
  const waiting = skeleton(...bones);
  let isFilled = false;
  put(body, waiting);

  function fill() {
    if (!isFilled) put(body, ...content);
    isFilled = true;
  }

  return {
    node,
    tools,
    title: (text) => say(heading, text),
    /** Back to waiting, for instance for another window; what is shown stays until then, only fainter. */
    wait() {
      body.classList.add("waiting");
    },
    /** Show content when there is any, else why there is none. */
    show(data, error, retry, update) {
      body.classList.remove("waiting");
      if (data) {
        fill();
        update();
      } else if (error) {
        isFilled = false;
        put(body, sectionError(error, retry));
      }
    },
    instead(node_) {
      isFilled = false;
      put(body, node_);
    },
  };
}
