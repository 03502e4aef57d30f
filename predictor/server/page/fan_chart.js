/** The next minutes: bands around the median, and how high demand gets until each moment. */

import { syntheticBadge } from "./badges.js";
import { band, lines, timeChart } from "./charts.js";
import { put, say } from "./dom.js";
import { figure } from "./figure.js";
import { level, number, span } from "./format.js";
import { nearest } from "./history.js";
import { millis, timeNode, timeText } from "./times.js";

const MOST_BANDS = 3;
const UPPER = 0.95; // the level that capacity is planned on

export function fanChart() {
  const frame = figure({ title: "Demand expected", height: "tall", table: "Forecast as a table" });
  let [chart, shape, seen] = [null, "", null];

  /** @param {any} forecast @param {any|null} history */
  function update(forecast, history) {
    const pairs = bandsOf(forecast.levels);
    seen = { ...assembled(forecast, history, pairs), upperLevel: forecast.levels[nearest(forecast.levels, UPPER)] };
    const next = JSON.stringify(pairs);
    if (next !== shape) {
      chart?.close(); // another model speaks, with other levels
      chart = timeChart(frame.chart, look(pairs));
      shape = next;
    }
    const issued = millis(forecast.issued_at) / 1000;
    chart.draw({ data: seen.data, range: [seen.data[0][0], seen.data[0].at(-1)], now: issued });
    const ahead = span(forecast.times.length * forecast.step_seconds);
    put(frame.badges, forecast.is_synthetic ? syntheticBadge() : null);
    frame.setLegend([
      ["actual", "Demand"],
      ["model", "Median"],
      ...pairs.map(([low, high], at) => [
        `band band-${at + 1}`,
        `${level(forecast.levels[low])} to ${level(forecast.levels[high])}`,
      ]),
      ...(forecast.window_max ? [["peak", `Highest so far, ${level(seen.upperLevel)}`]] : []),
    ]);
    frame.summarize(summary(forecast, seen.upperLevel, ahead));
    frame.setTable(() => rows(forecast));
  }

  function look(pairs) {
    return {
      isFromZero: false,
      series: (c) => [
        ...pairs.flatMap(() => [lines.edge(), lines.edge()]),
        lines.plain(c.model, 2),
        lines.steps(c.peak, 1.75, [7, 4]),
        lines.plain(c.actual, 1.75),
      ],
      bands: (c) => pairs.map((_, at) => band(2 * at + 2, 2 * at + 1, c.model, 0.14)),
      onCursor: (at) => say(frame.readout, read(seen, at)),
    };
  }

  return {
    node: frame.node,
    update,
    recolour: () => chart?.recolour(),
    close: () => chart?.close(),
  };
}

/** Pairs of places in `levels` that lie evenly around the median, the widest first. */
export function bandsOf(levels) {
  const pairs = [];
  levels.forEach((low, at) => {
    const other = levels.findIndex((high) => Math.abs(low + high - 1) < 1e-6);
    if (low < 0.5 - 1e-9 && other > at) pairs.push([at, other]);
  });
  if (pairs.length <= MOST_BANDS) return pairs;
  const places = Array.from({ length: MOST_BANDS }, (_, at) =>
    Math.round((at * (pairs.length - 1)) / (MOST_BANDS - 1)),
  );
  return places.map((at) => pairs[at]);
}

function assembled(forecast, history, pairs) {
  const steps = forecast.times.length;
  const past = (history?.times ?? [])
    .map((time, at) => ({ time: millis(time) / 1000, demand: history.demand[at] }))
    .filter(({ time }) => time <= millis(forecast.issued_at) / 1000)
    .slice(-2 * steps);
  const before = past.map(() => null);
  const last = past.at(-1)?.demand ?? null;
  // The fan opens at the last sample, not one step after it.
  if (before.length && millis(forecast.issued_at) / 1000 === past.at(-1).time) before[before.length - 1] = last;
  const column = (at) => [...before, ...forecast.path.map((row) => row[at])];
  const upper = nearest(forecast.levels, UPPER);
  return {
    first: past.length,
    data: [
      [...past.map(({ time }) => time), ...forecast.times.map((time) => millis(time) / 1000)],
      ...pairs.flatMap(([low, high]) => [column(low), column(high)]),
      column(nearest(forecast.levels, 0.5)),
      [...past.map(() => null), ...forecast.times.map((_, at) => forecast.window_max?.[at][upper] ?? null)],
      [...past.map(({ demand }) => demand), ...forecast.times.map(() => null)],
    ],
  };
}

function summary(forecast, upperLevel, ahead) {
  const [middle, upper] = [nearest(forecast.levels, 0.5), nearest(forecast.levels, UPPER)];
  const end = forecast.path.at(-1);
  const peak = forecast.window_max?.at(-1);
  return (
    `In ${ahead}, at ${timeText(forecast.times.at(-1))}, demand is expected at ${number(end[middle])}` +
    (peak
      ? `. Until then its highest is expected at ${number(peak[middle])}, and with ${level(upperLevel)} certainty stays at or below ${number(peak[upper])}.`
      : ".")
  );
}

function rows(forecast) {
  const peak = nearest(forecast.levels, UPPER);
  return {
    columns: [
      "Time",
      ...forecast.levels.map((at) => level(at)),
      ...(forecast.window_max ? [`Highest so far, ${level(forecast.levels[peak])}`] : []),
    ],
    rows: forecast.times.map((time, at) => [
      timeNode(time),
      ...forecast.path[at].map(number),
      ...(forecast.window_max ? [number(forecast.window_max[at][peak])] : []),
    ]),
  };
}

function read(seen, at) {
  if (!seen || at === null) return "";
  const [times, lower, upper] = seen.data;
  const [median, highest, demand] = seen.data.slice(-3);
  const when = timeText(times[at] * 1000);
  if (at < seen.first) return `${when}  demand ${number(demand[at])}`;
  const range = seen.data.length > 4 ? ` (${number(lower[at])} to ${number(upper[at])})` : "";
  return `${when}  median ${number(median[at])}${range}, highest so far ${number(highest[at])}`;
}
