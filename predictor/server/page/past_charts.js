/** Demand with what had been forecast for it, alarms and surges, and replicas: three charts on one time axis. */

import { syntheticBadge } from "./badges.js";
import { band, lines, timeChart } from "./charts.js";
import { el, put, say } from "./dom.js";
import { figure } from "./figure.js";
import { count, level, number, replicas, span } from "./format.js";
import { lastKnown, nearest } from "./history.js";
import { marksLane } from "./marks.js";
import { millis, timeNode, timeText } from "./times.js";

const SYNC = "past";

export function pastCharts() {
  const demand = figure({ title: "Demand", height: "tall", table: "Demand and forecasts as a table" });
  const counts = figure({ title: "Replicas", height: "short", table: "Replicas as a table" });
  const lane = marksLane();
  const noTarget = el(
    "p",
    { class: "quiet", hidden: true },
    "Replicas cannot be told: no target per replica is known. Set target_per_replica in forescale.yaml.",
  );
  demand.chart.after(lane.node);
  let seen = null; // what the charts show, for the cursor and the tables

  const demandChart = timeChart(demand.chart, {
    sync: SYNC,
    series: (c) => [lines.edge(), lines.edge(), lines.plain(c.model, 1.75), lines.plain(c.actual, 1.5)],
    bands: (c) => [band(2, 1, c.model, 0.2)],
    onCursor: (at) => {
      say(demand.readout, readDemand(seen, at));
      say(counts.readout, readReplicas(seen, at));
    },
  });
  const replicaChart = timeChart(counts.chart, {
    sync: SYNC,
    ticks: replicas,
    series: (c) => [lines.area(c.needed, 0.18), lines.steps(c.observed, 1.5), lines.steps(c.model, 1.75)],
  });

  /** @param {{history: any, forecast: any|null, alarms: any|null, window: {seconds: number, now: number}, isSynthetic: boolean}} state */
  function update({ history, forecast, alarms, window: { seconds, now }, isSynthetic }) {
    seen = joined(history, forecast);
    const range = [now / 1000 - seconds, Math.max(now / 1000, seen.times.at(-1) ?? 0)];
    const line = history.times.length ? millis(history.times.at(-1)) / 1000 : null;
    demandChart.draw({ data: [seen.times, seen.lower, seen.upper, seen.median, seen.demand], range, now: line });
    put(demand.badges, isSynthetic ? syntheticBadge() : null);
    demand.setLegend([
      ["actual", "Demand"],
      ["model", `Forecast ${span(history.forecasts.horizon_seconds)} earlier, median`],
      ["band", `${level(seen.low)} to ${level(seen.high)} of it`],
    ]);
    demand.summarize(demandSummary(history, seen));
    demand.setTable(() => demandTable(history, seen));
    lane.update(alarms, range);
    const told = history.replicas;
    noTarget.hidden = told !== null;
    counts.node.hidden = told === null;
    if (told === null) return;
    const padding = Array(seen.times.length - history.times.length).fill(null);
    const grow = (values) => [...(values ?? Array(history.times.length).fill(null)), ...padding];
    replicaChart.draw({
      data: [seen.times, grow(told.needed), grow(told.observed), grow(told.recommended)],
      range,
      now: line,
    });
    put(counts.badges, isSynthetic ? syntheticBadge() : null);
    counts.setLegend([
      ["needed", "Needed for the demand that came"],
      ...(told.observed ? [["observed", "Running"]] : []),
      ["recommended", "Recommended by the forecast of that moment"],
    ]);
    counts.summarize(replicaSummary(told));
    counts.setTable(() => replicaTable(history));
  }

  return {
    node: el("div", { class: "past" }, demand.node, counts.node, noTarget),
    update,
    recolour() {
      demandChart.recolour();
      replicaChart.recolour();
    },
    close() {
      demandChart.close();
      replicaChart.close();
    },
  };
}

/** The past, and after it the forecast of now, at the levels that the past is kept at. */
function joined(history, forecast) {
  const { levels, path } = history.forecasts;
  const [low, middle, high] = [0, nearest(levels, 0.5), levels.length - 1];
  const times = history.times.map((time) => millis(time) / 1000);
  const last = times.at(-1) ?? 0;
  const past = { low: path[low] ?? [], middle: path[middle] ?? [], high: path[high] ?? [] };
  const coming =
    forecast?.status === "ok"
      ? forecast.times
          .map((time, at) => ({ time: millis(time) / 1000, row: forecast.path[at] }))
          .filter(({ time }) => time > last)
      : [];
  const at = (wanted) => (coming.length ? nearest(forecast.levels, wanted) : 0);
  const [lowAt, middleAt, highAt] = [at(levels[low]), at(0.5), at(levels[high])];
  return {
    low: levels[low],
    high: levels[high],
    replicas: history.replicas,
    times: [...times, ...coming.map(({ time }) => time)],
    demand: [...history.demand, ...coming.map(() => null)],
    lower: [...past.low, ...coming.map(({ row }) => row[lowAt])],
    median: [...past.middle, ...coming.map(({ row }) => row[middleAt])],
    upper: [...past.high, ...coming.map(({ row }) => row[highAt])],
  };
}

function demandSummary(history, seen) {
  const known = history.demand.filter((value) => value !== null);
  if (!known.length) return "No demand was observed in this window.";
  const last = lastKnown(history.demand);
  const missing = history.demand.length - known.length;
  const pairs = history.demand
    .map((value, at) => [value, seen.lower[at], seen.upper[at]])
    .filter(([value, lower, upper]) => value !== null && lower !== null && upper !== null);
  const inside = pairs.filter(([value, lower, upper]) => value >= lower && value <= upper).length;
  const held = pairs.length
    ? ` It stayed within the band at ${count(inside)} of ${count(pairs.length)} samples.`
    : " There is no forecast to compare it with yet.";
  return (
    `Between ${number(Math.min(...known))} and ${number(Math.max(...known))}, last ${number(last.value)} at ${timeText(history.times[last.at])}.${held}` +
    (missing ? ` ${count(missing)} of ${count(history.demand.length)} samples are missing.` : "")
  );
}

function replicaSummary({ needed, recommended, observed }) {
  const compared = needed
    .map((value, at) => [value, recommended[at]])
    .filter(([one, other]) => one !== null && other !== null);
  const enough = compared.filter(([one, other]) => other >= one).length;
  const shown = [
    `needed ${replicas(lastKnown(needed)?.value)}`,
    `recommended ${replicas(lastKnown(recommended)?.value)}`,
  ];
  if (observed) shown.push(`running ${replicas(lastKnown(observed)?.value)}`);
  return (
    `Last: ${shown.join(", ")}. The recommendation covered the need of its own moment at ${count(enough)} of ${count(compared.length)} samples.` +
    (observed ? "" : " Running replicas are not known: the workload has no replicas_query.")
  );
}

function demandTable(history, seen) {
  const rows = history.times.map((time, at) => [
    timeNode(time, { today: history.times.at(-1) }),
    number(seen.demand[at]),
    number(seen.median[at]),
    number(seen.lower[at]),
    number(seen.upper[at]),
  ]);
  return { columns: ["Time", "Demand", "Forecast, median", level(seen.low), level(seen.high)], rows: rows.reverse() };
}

function replicaTable({ times, replicas: told }) {
  const rows = times.map((time, at) => [
    timeNode(time, { today: times.at(-1) }),
    replicas(told.needed[at]),
    replicas(told.recommended[at]),
    ...(told.observed ? [replicas(told.observed[at])] : []),
  ]);
  return { columns: ["Time", "Needed", "Recommended", ...(told.observed ? ["Running"] : [])], rows: rows.reverse() };
}

function readDemand(seen, at) {
  if (!seen || at === null) return "";
  const expected =
    seen.median[at] === null || seen.median[at] === undefined
      ? ""
      : `, forecast ${number(seen.median[at])} (${number(seen.lower[at])} to ${number(seen.upper[at])})`;
  return `${timeText(seen.times[at] * 1000)}  demand ${number(seen.demand[at])}${expected}`;
}

function readReplicas(seen, at) {
  if (!seen?.replicas || at === null || at >= seen.replicas.needed.length) return "";
  const { needed, recommended, observed } = seen.replicas;
  return (
    `${timeText(seen.times[at] * 1000)}  needed ${replicas(needed[at])}, recommended ${replicas(recommended[at])}` +
    (observed ? `, running ${replicas(observed[at])}` : "")
  );
}
