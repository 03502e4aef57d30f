/** One workload: what comes, what came of earlier forecasts, how right they were, and who made them. */

import { api, clock } from "./api.js";
import { syntheticBadge, trustBadge } from "./badges.js";
import { el, put } from "./dom.js";
import { fanChart } from "./fan_chart.js";
import { headline } from "./headline.js";
import { merge, resumeAt } from "./history.js";
import { modelCard } from "./model_card.js";
import { pastCharts } from "./past_charts.js";
import { WINDOWS, workloadHash } from "./router.js";
import { calibrationPlot, horizonPlot } from "./score_plots.js";
import { scoreTiles } from "./scores.js";
import { section } from "./section.js";
import { errorPanel, missingPanel, showIn, skeleton } from "./states.js";
import { workloadBanners } from "./workload_banners.js";
import * as words from "./words.js";

const WINDOW_TEXTS = { "3h": "3 hours", "24h": "24 hours", "3d": "3 days" };

export function workload({ main, route, signal, refused, retitle }) {
  let { name, window } = route;
  /** @type {{forecast: any, history: any, accuracy: any, alarms: any, models: any}} */
  const known = { forecast: null, history: null, accuracy: null, alarms: null, models: null };
  const parts = {
    headline: headline(),
    fan: fanChart(),
    past: pastCharts(),
    tiles: scoreTiles(),
    calibration: calibrationPlot(),
    horizons: horizonPlot(),
    model: modelCard(),
  };
  const marks = el("span", { class: "badges" });
  const why = el("p", { class: "why" });
  const banners = el("div", { class: "banners" });
  const ranges = el("nav", { class: "ranges", "aria-label": "Window" });
  const sections = {
    next: section("Next minutes", ["tiles", "tall"], parts.fan.node),
    past: section("What was forecast, and what came", ["tall", "short"], parts.past.node),
    scores: section(
      "How right it has been",
      ["tiles", "plots"],
      parts.tiles.node,
      el("div", { class: "pair" }, parts.calibration.node, parts.horizons.node),
    ),
    model: section("Model", ["tiles"], parts.model.node),
  };
  sections.past.tools.append(ranges);
  const content = el(
    "div",
    { class: "workload" },
    el("p", { class: "crumb" }, el("a", { href: "#/" }, "All workloads")),
    el("div", { class: "title-row" }, el("h1", { tabindex: "-1" }, name), marks),
    why,
    banners,
    parts.headline.node,
    ...Object.values(sections).map(({ node }) => node),
  );
  parts.headline.node.append(skeleton("tiles"));
  why.textContent = "\u00a0";
  showRanges();
  put(main, content);
  content.setAttribute("aria-busy", "true");

  const view = {
    title: name,
    streamPath: `v1/events?workload=${encodeURIComponent(name)}`,
    ready: load(),
    refresh: load,
    onEvent(event, data) {
      if (event !== "forecast" || data.workload !== name || !content.isConnected) return;
      known.forecast = data;
      show();
    },
    onTick() {
      if (known.forecast && content.isConnected) {
        parts.headline.tick();
        if (bannerKey() !== told) banner();
      }
    },
    onRoute(next) {
      if (next.name !== name) {
        close();
        return false;
      }
      window = next.window;
      Object.assign(known, { history: null, accuracy: null, alarms: null });
      showRanges();
      for (const part of [sections.past, sections.scores]) part.wait();
      load();
      return true;
    },
    onColours() {
      for (const part of Object.values(parts)) part.recolour?.();
    },
  };
  signal.addEventListener("abort", close);
  let failed = null;
  let told = "";
  return view;

  /** Ask for everything at once; what fails leaves the rest as it is. */
  async function load() {
    const [asked, seconds, how] = [window, WINDOWS[window], { signal }];
    const forecast = api.forecast(name, how);
    if (!clock.isKnown) await forecast.catch(() => null); // its answer tells the server's time, from which the window counts
    const from = clock.now() - seconds * 1000;
    const answers = await Promise.allSettled([
      forecast,
      api.history(name, resumeAt(known.history, from), how),
      api.accuracy(name, seconds, how),
      api.alarms(name, seconds, how),
      api.models(how),
    ]);
    if (signal.aborted || asked !== window) return;
    const errors = {};
    ["forecast", "history", "accuracy", "alarms", "models"].forEach((key, at) => {
      const { status, value, reason } = answers[at];
      if (status === "rejected") errors[key] = reason;
      else known[key] = key === "history" ? merge(known.history, value, from) : value;
    });
    if (Object.values(errors).some((error) => error.status === 401)) {
      refused();
      return;
    }
    // A part that never came says so in its own place; one that was there before is old now.
    failed =
      errors.forecast ??
      Object.keys(errors)
        .map((key) => (known[key] ? errors[key] : null))
        .find(Boolean) ??
      null;
    if (errors.forecast?.status === 404) await missing();
    else if (errors.forecast && !known.forecast) showIn(main, errorPanel(errors.forecast, load));
    else {
      showIn(main, content);
      content.removeAttribute("aria-busy");
      show(errors);
    }
  }

  function show(errors = {}) {
    const { forecast, history, accuracy, alarms, models } = known;
    const isSynthetic = forecast.is_synthetic;
    view.title = isSynthetic ? `SYNTHETIC ${name}` : name;
    retitle();
    put(marks, isSynthetic ? syntheticBadge() : null, forecast.trust ? trustBadge(forecast.trust) : null);
    put(why, forecast.trust ? `${words.trustReason(forecast.trust.reason)}: ${forecast.trust.message}.` : "\u00a0");
    banner();
    parts.headline.update(forecast, history);
    showNext(forecast, history);
    sections.past.show(history, errors.history, load, () =>
      parts.past.update({
        history,
        forecast,
        alarms,
        window: { seconds: WINDOWS[window], now: clock.now() },
        isSynthetic,
      }),
    );
    sections.scores.show(accuracy, errors.accuracy, load, () => {
      for (const part of [parts.tiles, parts.calibration, parts.horizons]) part.update(accuracy);
    });
    sections.model.show(models, errors.models, load, () =>
      parts.model.update(modelOf(models.models, forecast), forecast.model),
    );
  }

  function showNext(forecast, history) {
    sections.next.title(forecast.status === "ok" ? "Next minutes" : "Why there is no forecast, and what to do");
    if (forecast.status === "ok") {
      sections.next.show(forecast, null, load, () => parts.fan.update(forecast, history));
      return;
    }
    const { title, advice } = words.unavailable(forecast.reason);
    sections.next.instead(el("div", { class: "no-forecast-box" }, el("p", {}, el("strong", {}, `${title}. `), advice)));
  }

  function banner() {
    told = bannerKey();
    put(banners, ...workloadBanners(known.forecast, failed));
  }

  /** Changes when the banners would. */
  function bannerKey() {
    return workloadBanners(known.forecast, failed)
      .map((node) => node.textContent)
      .join("\n");
  }

  async function missing() {
    const names = await api.workloads({ signal }).then(
      (list) => list.workloads.map((one) => one.name),
      () => [],
    );
    if (signal.aborted) return;
    const near = similar(name, names);
    showIn(
      main,
      missingPanel(
        `No workload ${name}`,
        el("p", {}, "The server does not know this name. It may have been renamed, or its query no longer gives it."),
        near.length
          ? el(
              "p",
              {},
              "Did you mean ",
              ...near.flatMap((other, at) => [at ? ", " : "", el("a", { href: workloadHash(other, window) }, other)]),
              "?",
            )
          : null,
      ),
    );
  }

  function showRanges() {
    put(
      ranges,
      ...Object.keys(WINDOWS).map((key) =>
        el("a", { href: workloadHash(name, key), "aria-current": key === window ? "true" : null }, WINDOW_TEXTS[key]),
      ),
    );
  }

  function close() {
    for (const part of Object.values(parts)) part.close?.();
  }
}

function modelOf(models, forecast) {
  return (
    models.find((model) => model.workloads.includes(forecast.workload)) ??
    models.find((model) => model.hash !== null && model.hash === forecast.model?.hash) ??
    null
  );
}

/** Names that share the beginning or a part with what was asked for. */
function similar(name, names) {
  const wanted = name.toLowerCase();
  const pieces = wanted.split(/[._-]+/).filter((piece) => piece.length > 2);
  const score = (other) => {
    const text = other.toLowerCase();
    let shared = 0;
    while (shared < text.length && text[shared] === wanted[shared]) shared += 1;
    return shared + pieces.filter((piece) => text.includes(piece)).length * 3;
  };
  return names
    .map((other) => ({ other, score: score(other) }))
    .filter((one) => one.score >= 3)
    .sort((one, two) => two.score - one.score)
    .slice(0, 5)
    .map((one) => one.other);
}
