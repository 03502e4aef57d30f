/** Scores as figures with their denominators: the forecast's worth, its alarms', and how they came about. */

import { el, put } from "./dom.js";
import { count, counted, level, number, percent, span } from "./format.js";
import { timeNode } from "./times.js";

/** A figure with its name above and what it is made of below. */
export function tile(name, value, ...details) {
  return el(
    "div",
    { class: "tile" },
    el("dt", {}, name),
    el("dd", { class: "value" }, value),
    ...details.filter(Boolean).map((detail) => el("dd", { class: "detail" }, detail)),
  );
}

export function scoreTiles() {
  const node = el("dl", { class: "tiles" });
  const made = el("p", { class: "made quiet" });

  /** @param {any} accuracy */
  function update(accuracy) {
    const window = span(accuracy.window_seconds);
    put(node, ...horizonTiles(accuracy.by_horizon.at(-1), window), ...alarmTiles(accuracy.alarms, window));
    put(made, ...origins(accuracy, window));
  }

  return { node: el("div", {}, node, made), update };
}

function horizonTiles(last, window) {
  if (!last || last.wape === null) return [tile("Error (WAPE)", "–", `no outcome in the last ${window}`)];
  const ahead = `${span(last.horizon_seconds)} ahead, ${counted(last.pairs, "pair")} in ${window}`;
  return [
    tile("Error (WAPE)", percent(last.wape), `persistence ${percent(last.persistence_wape)}`, ahead),
    tile("Skill over persistence", percent(last.skill), "1 − WAPE / persistence's WAPE", ahead),
  ];
}

function alarmTiles(alarms, window) {
  if (!alarms) return [tile("Alarms", "–", "no target per replica, so no surge can be told")];
  const resolved = alarms.hits + alarms.false_alarms;
  return [
    tile(
      "Recall",
      alarms.surges ? percent(alarms.recall, 0) : "–",
      `${count(alarms.caught)} of ${counted(alarms.surges, "surge")} caught in ${window}`,
      alarms.median_lead_seconds === null
        ? null
        : `median lead ${span(alarms.median_lead_seconds)}, ${counted(alarms.caught, "surge")}`,
    ),
    tile(
      "False-alarm ratio",
      resolved ? percent(alarms.false_alarm_ratio, 0) : "–",
      `${count(alarms.false_alarms)} of ${counted(resolved, "resolved alarm")} false in ${window}`,
      `${count(alarms.pending)} pending, raised at the ${level(alarms.level)} level`,
    ),
    tile(
      "Wasted by false alarms",
      number(alarms.wasted_replica_minutes),
      "replica-minutes",
      `${counted(alarms.false_alarms, "false alarm")} in ${window}`,
    ),
  ];
}

function origins({ origins: all, live_origins: live, start, end }, window) {
  if (!all) return [`No forecast was made in the last ${window} that can be scored.`];
  const between = [" From ", timeNode(start, { today: end }), " to ", timeNode(end), "."];
  if (live === all)
    return [`All ${counted(all, "forecast")} scored here were made live, before their outcome was known.`, ...between];
  const rebuilt = all - live;
  return [
    `Of ${counted(all, "forecast")} scored here, ${count(live)} ${live === 1 ? "was" : "were"} made live, before their outcome was known; ` +
      `${count(rebuilt)} ${rebuilt === 1 ? "was" : "were"} rebuilt from history after a start, with only what was known at their time.`,
    ...between,
  ];
}
