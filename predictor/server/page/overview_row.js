/** One workload as one row, which becomes a card on a phone. */

import { staleBadge, syntheticBadge, trustBadge } from "./badges.js";
import { clock } from "./api.js";
import { el, put } from "./dom.js";
import { age, counted, level, number, percent, replicas, span } from "./format.js";
import { workloadHash } from "./router.js";
import { drawSoon, sparkline } from "./sparkline.js";
import { millis, utcText } from "./times.js";
import * as words from "./words.js";

/** Headings, in the order of the cells; `key` is what a click sorts by. */
export const COLUMNS = [
  { key: "name", title: "Workload" },
  { key: "demand", title: "Demand now" },
  { key: null, title: "Last 2 h" },
  { key: "peak", title: "Expected peak" },
  { key: "replicas", title: "Replicas" },
  { key: "trust", title: "Trust" },
  { key: "skill", title: "Error (WAPE)" },
  { key: "age", title: "Data" },
];

/** Build a row once; `update` fills it again after every cycle. */
export function overviewRow() {
  const cells = COLUMNS.map(({ title }, at) =>
    el(at === 0 ? "th" : "td", {
      role: at === 0 ? "rowheader" : "cell",
      scope: at === 0 ? "row" : null,
      class: `c-${at}`,
      "data-title": title,
    }),
  );
  const node = el("tr", { role: "row" }, ...cells);
  const spark = sparkline();
  const sparkText = el("span", { class: "hidden" });
  cells[2].append(spark, sparkText);
  const link = el("a", {});
  const badges = el("span", { class: "badges" });
  cells[0].append(link, badges);

  let shownAge = "";

  function update(workload) {
    const { name, expected, score, freshness } = workload;
    link.textContent = name;
    link.href = workloadHash(name);
    put(badges, workload.is_synthetic ? syntheticBadge() : null);
    put(cells[1], el("span", { class: "big" }, number(workload.demand)));
    drawSoon(spark, workload.recent);
    sparkText.textContent = rangeText(workload.recent);
    put(cells[3], ...(expected ? peak(expected) : refusal(workload)));
    put(cells[4], ...replicaCounts(workload));
    put(cells[5], trustBadge(workload.trust), el("span", { class: "sub" }, words.trustReason(workload.trust.reason)));
    cells[5].title = workload.trust.message;
    put(cells[6], ...errors(score));
    node.classList.toggle("is-stale", freshness.is_stale);
    tick(workload);
  }

  /** Time passes between cycles; most seconds change nothing that is shown. */
  function tick({ freshness, step_seconds: step }) {
    const last = millis(freshness.last_sample_at);
    const passed = last === null ? null : (clock.now() - last) / 1000;
    const isStale = freshness.is_stale || (passed ?? 0) > 10 * (step ?? 60);
    const next = `${age(passed)} ${isStale} ${freshness.error}`;
    if (next === shownAge) return;
    shownAge = next;
    cells[7].title = last === null ? "" : `Newest sample ${utcText(last)}`;
    if (passed === null) {
      put(cells[7], staleBadge("No data"));
      return;
    }
    const parts = [el("span", {}, `${age(passed)} old`)];
    if (isStale) parts.push(" ", staleBadge());
    if (freshness.error) parts.push(el("span", { class: "sub bad" }, freshness.error));
    put(cells[7], ...parts);
  }

  return { node, update, tick };
}

function peak(expected) {
  return [
    el("span", { class: "big" }, number(expected.peak_median)),
    el(
      "span",
      { class: "sub" },
      `in ${span(expected.horizon_seconds)}; upper ${number(expected.peak_upper)} (${level(expected.upper_level)})`,
    ),
  ];
}

function refusal(workload) {
  const { title, advice } = words.unavailable(workload.reason);
  return [
    el("span", { class: "no-forecast", title: workload.message ?? advice }, "No forecast"),
    el("span", { class: "sub" }, title),
  ];
}

function replicaCounts({ expected, replicas: observed, is_target_derived: isDerived }) {
  if (expected?.replicas == null) {
    return [
      el("span", { class: "big" }, observed == null ? "–" : replicas(observed)),
      el("span", { class: "sub" }, observed == null ? (expected ? "no target per replica" : "not known") : "running"),
    ];
  }
  const running = observed == null ? "" : `, ${replicas(observed)} running`;
  return [
    el("span", { class: "big" }, replicas(expected.replicas)),
    el(
      "span",
      { class: "sub", title: isDerived ? "No target per replica is configured; it was derived from history" : null },
      `asked for${running}${isDerived ? ", derived target" : ""}`,
    ),
  ];
}

function errors(score) {
  if (!score?.pairs || score.wape === null) return [el("span", { class: "sub" }, "not scored yet")];
  return [
    el(
      "span",
      { class: "big" },
      percent(score.wape),
      el("span", { class: "beside" }, ` persistence ${percent(score.persistence_wape)}`),
    ),
    el(
      "span",
      { class: "sub" },
      `skill ${percent(score.skill)}, ${counted(score.pairs, "pair")} in ${span(score.window_seconds)}`,
    ),
  ];
}

function rangeText(recent) {
  const known = recent.filter((value) => value !== null);
  return known.length ? `between ${number(Math.min(...known))} and ${number(Math.max(...known))}` : "no samples";
}
