/** What matters now: demand, what is expected, the replicas for it, and how old all that is. */

import { staleBadge } from "./badges.js";
import { clock } from "./api.js";
import { el, put } from "./dom.js";
import { age, level, number, replicas, span } from "./format.js";
import { lastKnown, nearest } from "./history.js";
import { tile } from "./scores.js";
import { millis, timeNode } from "./times.js";

const UPPER = 0.95;

export function headline() {
  const node = el("dl", { class: "tiles headline" });
  const ageText = el("span", {});
  const ageDetail = el("span", {});
  const ageTile = tile("Newest sample", ageText, ageDetail);
  let freshness = null;
  let step = null;

  /** @param {any} forecast @param {any|null} history */
  function update(forecast, history) {
    freshness = forecast.freshness;
    step = forecast.step_seconds;
    const last = history ? lastKnown(history.demand) : null;
    const tiles = [
      tile("Demand now", number(last?.value ?? null), last ? atTime(history.times[last.at]) : "not known"),
    ];
    if (forecast.status === "ok" && forecast.window_max?.length) tiles.push(...expected(forecast, history));
    put(node, ...tiles, ageTile);
    tick();
  }

  /** Time passes between cycles. */
  function tick() {
    const last = millis(freshness?.last_sample_at ?? null);
    if (last === null) {
      put(ageText, "none");
      put(ageDetail);
      return;
    }
    const passed = (clock.now() - last) / 1000;
    put(ageText, `${age(passed)} old`, freshness.is_stale ? staleBadge() : null);
    put(
      ageDetail,
      "of ",
      timeNode(last, { seconds: true, today: clock.now() }),
      step ? `, one every ${span(step)}` : "",
    );
  }

  return { node, update, tick };
}

function expected(forecast, history) {
  const [middle, upper] = [nearest(forecast.levels, 0.5), nearest(forecast.levels, UPPER)];
  const peak = forecast.window_max.at(-1);
  const ahead = span(forecast.times.length * forecast.step_seconds);
  const tiles = [
    tile(
      `Expected peak, next ${ahead}`,
      number(peak[middle]),
      el("span", {}, "median, until ", timeNode(forecast.times.at(-1))),
    ),
    tile(
      `Upper peak, next ${ahead}`,
      number(peak[upper]),
      `not exceeded with ${level(forecast.levels[upper])} certainty`,
    ),
  ];
  const target = forecast.target_per_replica;
  if (target) {
    const running = history?.replicas?.observed ? lastKnown(history.replicas.observed) : null;
    tiles.push(
      tile(
        "Replicas asked for",
        replicas(Math.ceil(peak[upper] / target - 1e-9)),
        running ? `${replicas(running.value)} running` : null,
        `upper peak / ${number(target)} per replica${forecast.is_target_derived ? ", derived from history" : ""}`,
      ),
    );
  }
  return tiles;
}

function atTime(instant) {
  return el("span", {}, "at ", timeNode(instant));
}
