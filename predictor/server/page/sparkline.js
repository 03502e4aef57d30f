/** A line the size of a word.  Drawn when it comes into view: a thousand of them are seldom seen at once. */

import { svg } from "./dom.js";

const [WIDTH, HEIGHT, MARGIN] = [112, 28, 2];

/** @param {(number|null)[]} values */
export function sparkPath(values) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return "";
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const x = (at) => MARGIN + (at / (values.length - 1)) * (WIDTH - 2 * MARGIN);
  const y = (value) =>
    high === low ? HEIGHT / 2 : HEIGHT - MARGIN - ((value - low) / (high - low)) * (HEIGHT - 2 * MARGIN);
  let [path, isDown] = ["", false];
  values.forEach((value, at) => {
    if (value !== null) path += `${isDown ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    isDown = value !== null;
  });
  return path;
}

const waiting = new WeakMap();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      draw(target, waiting.get(target) ?? []);
      waiting.delete(target);
    }
  },
  { rootMargin: "300px" },
);

/** The range is told in words beside it, so that it is decoration for those who cannot see it. */
export function sparkline() {
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" },
    svg("path"),
  );
}

export function drawSoon(node, values) {
  waiting.set(node, values);
  watcher.observe(node);
}

function draw(node, values) {
  node.firstChild.setAttribute("d", sparkPath(values));
}
