/** Calibration, and error by how far ahead: each beside what it has to be compared with. */

import { put, svg } from "./dom.js";
import { figure } from "./figure.js";
import { count, counted, level, percent, span } from "./format.js";
import { box, dot, frame, line, ticksTo } from "./plots.js";

const TOLERANCE = 0.05; // more than this below its level, and trust is lost
const HEADS = { path: "demand then", window_max: "highest until then" };

export function calibrationPlot() {
  const figured = figure({ title: "Do the bands hold?", height: "plot-box", table: "Coverage as a table" });
  figured.setLegend([
    ["dot-path", "Demand then"],
    ["dot-peak", "Highest until then"],
    ["rule", "As promised"],
    ["tolerance", "Within 5 points"],
  ]);

  /** @param {any} accuracy */
  function update({ coverage, window_seconds: window }) {
    const known = coverage.filter((row) => row.coverage !== null);
    const { node, place } = frame({ x: axis("promised level"), y: axis("share at or below it") });
    node.append(svg("path", { class: "tolerance", d: bandPath(place) }));
    node.append(
      line("rule", [
        [place.x(0), place.y(0)],
        [place.x(1), place.y(1)],
      ]),
    );
    for (const row of known) {
      const shape = row.head === "path" ? dot : box;
      node.append(
        shape(row.head === "path" ? "path" : "peak", place.x(row.level), place.y(row.coverage), pointText(row)),
      );
    }
    put(figured.chart, node);
    figured.summarize(calibrationSummary(known, window));
    figured.setTable(() => ({
      columns: ["Promised level", "Of", "Coverage", "Outcomes at or below", "Outcomes"],
      rows: coverage.map((row) => [
        level(row.level),
        HEADS[row.head],
        percent(row.coverage),
        count(row.covered),
        count(row.pairs),
      ]),
    }));
  }

  return { node: figured.node, update };
}

export function horizonPlot() {
  const figured = figure({
    title: "Error by how far ahead",
    height: "plot-box",
    table: "Error by how far ahead, as a table",
  });
  figured.setLegend([
    ["dot-path", "Forecast"],
    ["dot-persistence", "Persistence: the last value, repeated"],
  ]);

  /** @param {any} accuracy */
  function update({ by_horizon: rows, window_seconds: window }) {
    const known = rows.filter((row) => row.wape !== null && row.persistence_wape !== null);
    if (known.length) put(figured.chart, drawing(known));
    else put(figured.chart);
    figured.summarize(horizonSummary(known, window));
    figured.setTable(() => ({
      columns: ["Ahead", "WAPE", "Persistence's WAPE", "Skill", "Bias", "Pairs"],
      rows: rows.map((row) => [
        span(row.horizon_seconds),
        percent(row.wape),
        percent(row.persistence_wape),
        percent(row.skill),
        percent(row.bias),
        count(row.pairs),
      ]),
    }));
  }

  return { node: figured.node, update };
}

function drawing(known) {
  const longest = known.at(-1).horizon_seconds;
  const high = Math.max(...known.flatMap((row) => [row.wape, row.persistence_wape]));
  const yTicks = ticksTo(high);
  const every = Math.ceil(known.length / 5);
  const { node, place } = frame({
    x: {
      ticks: known.map((row) => row.horizon_seconds).filter((_, at) => (known.length - 1 - at) % every === 0),
      text: span,
      title: "ahead",
      range: [0, longest],
    },
    y: {
      ticks: yTicks,
      text: (value) => percent(value, yTicks.at(-1) < 0.04 ? 1 : 0),
      title: "WAPE",
      range: [0, yTicks.at(-1)],
    },
  });
  const points = (of) => known.map((row) => [place.x(row.horizon_seconds), place.y(row[of])]);
  node.append(line("persistence", points("persistence_wape")), line("model", points("wape")));
  for (const row of known) {
    const x = place.x(row.horizon_seconds);
    node.append(
      box("persistence", x, place.y(row.persistence_wape), horizonText(row)),
      dot("path", x, place.y(row.wape), horizonText(row)),
    );
  }
  return node;
}

function axis(title) {
  return { ticks: [0, 0.25, 0.5, 0.75, 1], text: (value) => percent(value, 0), title, range: [0, 1] };
}

function bandPath(place) {
  const t = TOLERANCE;
  const corners = [
    [0, 0],
    [0, t],
    [1 - t, 1],
    [1, 1],
    [1, 1 - t],
    [t, 0],
  ];
  return `${corners.map(([x, y], at) => `${at ? "L" : "M"}${place.x(x)} ${place.y(y)}`).join("")}Z`;
}

function pointText({ head, level: promised, coverage, covered, pairs }) {
  return `${HEADS[head]}: promised ${level(promised)}, was ${percent(coverage)} (${count(covered)} of ${count(pairs)})`;
}

function horizonText({ horizon_seconds: ahead, wape, persistence_wape: theirs, skill, pairs }) {
  return `${span(ahead)} ahead: WAPE ${percent(wape)}, persistence ${percent(theirs)}, skill ${percent(skill)}, ${counted(pairs, "pair")}`;
}

function calibrationSummary(known, window) {
  if (!known.length) return `No outcome is known in the last ${span(window)}.`;
  const worst = known.reduce((one, other) =>
    Math.abs(other.coverage - other.level) > Math.abs(one.coverage - one.level) ? other : one,
  );
  return (
    `Over the last ${span(window)}. Furthest from its promise is ${level(worst.level)} of ${HEADS[worst.head]}: ` +
    `${count(worst.covered)} of ${counted(worst.pairs, "outcome")} stayed at or below it, ${percent(worst.coverage)}.`
  );
}

function horizonSummary(known, window) {
  if (!known.length) return `No outcome is known in the last ${span(window)}.`;
  const last = known.at(-1);
  const than = last.skill < 0 ? "more than persistence's" : "persistence's";
  return (
    `Over the last ${span(window)}. ${span(last.horizon_seconds)} ahead the forecast is off by ${percent(last.wape)} of demand, ${than} ` +
    `${percent(last.persistence_wape)}: skill ${percent(last.skill)} over ${counted(last.pairs, "pair")}.`
  );
}
