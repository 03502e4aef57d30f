/** Charts over time with uPlot: one look, one left edge, so that charts above each other can be compared. */

import { number } from "./format.js";
import { faded, palette } from "./palette.js";
import { tickText } from "./times.js";
import uPlot from "./vendor/uplot/uPlot.esm.js";

export const LEFT = 52; // pixels of the value axis
export const RIGHT = 26;
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

/**
 * A chart that follows its box, its data and the theme.
 * @param {HTMLElement} box
 * @param {{series: (colours: Record<string, string>) => object[], bands?: (colours: Record<string, string>) => object[],
 *          sync?: string, ticks?: (value: number) => string, onCursor?: (index: number|null) => void, isFromZero?: boolean}} look
 */
export function timeChart(box, { series, bands, sync, ticks = number, onCursor, isFromZero = true }) {
  let plot = null;
  let drawn = null; // {data, range, now}
  const watcher = new ResizeObserver(() => {
    if (plot && box.clientWidth > 0) plot.setSize({ width: box.clientWidth, height: box.clientHeight });
  });
  watcher.observe(box);

  function build() {
    plot?.destroy();
    const colours = palette();
    plot = new uPlot(options(colours), drawn.data, box);
  }

  function options(colours) {
    const axis = {
      stroke: colours.muted,
      font: FONT,
      grid: { stroke: colours.grid, width: 1 },
      ticks: { show: false },
    };
    return {
      width: box.clientWidth || 300,
      height: box.clientHeight || 200,
      padding: [10, RIGHT, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 6, fill: (u, at) => u.series[at].stroke(u, at), width: 0 },
        ...(sync ? { sync: { key: sync, scales: ["x", null] } } : {}),
      },
      scales: { x: { time: true, range: () => drawn.range }, y: { range: isFromZero ? fromZero : around } },
      axes: [
        {
          ...axis,
          size: 28,
          gap: 6,
          space: 64,
          values: (_, splits, __, ___, step) => splits.map((at) => tickText(at, step < 60)),
        },
        { ...axis, size: LEFT, gap: 6, space: 34, values: (_, splits) => splits.map(ticks) },
      ],
      series: [{}, ...series(colours)],
      bands: bands?.(colours) ?? [],
      hooks: {
        draw: [(u) => line(u, drawn.now, colours.muted)],
        setCursor: [(u) => onCursor?.(u.cursor.idx ?? null)],
      },
    };
  }

  return {
    /** @param {{data: (number|null)[][], range: [number, number], now: number|null}} next seconds since the epoch */
    draw(next) {
      drawn = next;
      if (plot) plot.setData(next.data);
      else build();
    },
    recolour() {
      if (drawn) build();
    },
    close() {
      watcher.disconnect();
      plot?.destroy();
      plot = null;
    },
  };
}

/** Demand and replicas begin at zero, and leave some air above. */
function fromZero(_, low, high) {
  const top = high === null || high <= 0 ? 1 : high * 1.08;
  return [Math.min(0, low ?? 0), top];
}

/** Close to the values, where their course matters more than their size; never below zero without need. */
function around(_, low, high) {
  if (low === null || high === null) return [0, 1];
  const air = Math.max((high - low) * 0.35, Math.abs(high) * 0.05, 1e-9);
  return [low < 0 ? low - air : Math.max(0, low - air), high + air];
}

/** A dashed upright line between what was and what is expected. */
function line(u, at, colour) {
  if (at === null) return;
  const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
  const { left, top, width, height } = u.bbox;
  if (x < left || x > left + width) return;
  u.ctx.save();
  u.ctx.strokeStyle = colour;
  u.ctx.lineWidth = devicePixelRatio;
  u.ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  u.ctx.beginPath();
  u.ctx.moveTo(x, top);
  u.ctx.lineTo(x, top + height);
  u.ctx.stroke();
  u.ctx.restore();
}

const stepped = uPlot.paths.stepped({ align: 1 });

export const lines = {
  plain: (colour, width = 1.5, dash = undefined) => ({ stroke: colour, width, dash, points: { show: false } }),
  steps: (colour, width = 1.5, dash = undefined) => ({
    stroke: colour,
    width,
    dash,
    paths: stepped,
    points: { show: false },
  }),
  area: (colour, opacity) => ({ stroke: colour, width: 1, fill: faded(colour, opacity), points: { show: false } }),
  /** The edge of a band. */
  edge: () => ({ stroke: "transparent", width: 0, points: { show: false } }),
};

/** The area between two series. */
export function band(upper, lower, colour, opacity) {
  return { series: [upper, lower], fill: faded(colour, opacity) };
}
