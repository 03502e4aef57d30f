/** Small plots that are not over time, as SVG. */

import { svg } from "./dom.js";

export const SIZE = { width: 440, height: 280, left: 66, right: 26, top: 12, bottom: 42 };

/**
 * A frame with axes, and how values become places in it.
 * @param {{x: {ticks: number[], text: (value: number) => string, title: string, range: [number, number]},
 *          y: {ticks: number[], text: (value: number) => string, title: string, range: [number, number]}}} axes
 */
export function frame({ x, y }) {
  const { width, height, left, right, top, bottom } = SIZE;
  const place = {
    x: (value) => left + ((value - x.range[0]) / (x.range[1] - x.range[0])) * (width - left - right),
    y: (value) => height - bottom - ((value - y.range[0]) / (y.range[1] - y.range[0])) * (height - top - bottom),
  };
  const parts = [];
  for (const tick of y.ticks) {
    parts.push(svg("path", { class: "grid", d: `M${left} ${place.y(tick)}H${width - right}` }));
    parts.push(svg("text", { x: left - 8, y: place.y(tick) + 4, "text-anchor": "end" }, y.text(tick)));
  }
  for (const tick of x.ticks) {
    parts.push(svg("text", { x: place.x(tick), y: height - bottom + 18, "text-anchor": "middle" }, x.text(tick)));
  }
  parts.push(
    svg(
      "text",
      { class: "axis-title", x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" },
      x.title,
    ),
  );
  parts.push(
    svg(
      "text",
      {
        class: "axis-title",
        x: 0,
        y: 0,
        "text-anchor": "middle",
        transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)`,
      },
      y.title,
    ),
  );
  const node = svg(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" },
    ...parts,
  );
  return { node, place };
}

/** A line through the points whose value is known. */
export function line(kind, points) {
  return svg("path", {
    class: `plot-line ${kind}`,
    d: points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join(""),
  });
}

export function dot(kind, x, y, text) {
  return svg(
    "circle",
    { class: `plot-dot ${kind}`, cx: x.toFixed(1), cy: y.toFixed(1), r: 4.5 },
    svg("title", {}, text),
  );
}

/** A square, for points that must be told from dots without colour. */
export function box(kind, x, y, text) {
  return svg(
    "rect",
    { class: `plot-dot ${kind}`, x: (x - 4.5).toFixed(1), y: (y - 4.5).toFixed(1), width: 9, height: 9 },
    svg("title", {}, text),
  );
}

/** Round steps from zero that reach `high`, about five of them. */
export function ticksTo(high) {
  const rough = Math.max(high, 1e-9) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough - 1e-12);
  return Array.from({ length: Math.ceil(high / step - 1e-9) + 1 }, (_, at) => at * step);
}
