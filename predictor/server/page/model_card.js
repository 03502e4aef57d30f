/** Where the forecasts come from. */

import { el, put } from "./dom.js";
import { count, level, percent, span } from "./format.js";
import { banner } from "./states.js";
import { dateNode, timeNode } from "./times.js";

export function modelCard() {
  const node = el("div", { class: "model-card" });

  /** @param {any|null} model of GET /v1/models @param {any|null} name of the forecast's model */
  function update(model, name) {
    if (!model) {
      put(
        node,
        el(
          "p",
          { class: "quiet" },
          name
            ? `Version ${name.version}, made ${name.created_at}; the server lists no more about it.`
            : "No model serves this workload.",
        ),
      );
      return;
    }
    put(
      node,
      model.is_trained_on_synthetic
        ? banner(
            "synthetic",
            "Trained on generated data.",
            "This model has never seen demand of a real system. Train it on your own history with forescale train before you rely on it.",
          )
        : null,
      model.status === "refused" ? banner("bad", "Refused.", model.message ?? "") : null,
      model.status === "ok" && model.message ? banner("warn", "A newer version was refused.", model.message) : null,
      model.is_warming
        ? banner("note", "A newer version is being calibrated", "and takes over when that is done.")
        : null,
      el(
        "dl",
        { class: "facts" },
        ...facts(model).flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]),
      ),
    );
  }

  return { node, update };
}

function facts(model) {
  const known = [["Name", model.name]];
  const add = (term, value) => {
    if (value !== null && value !== undefined && value !== "") known.push([term, value]);
  };
  add("Version", model.version ? el("code", { title: model.hash }, model.version) : null);
  add("Trained on", trainedOn(model));
  add(
    "Skill when validated",
    model.validation_skill === null
      ? null
      : `${percent(model.validation_skill)} over persistence, on data that training had not seen`,
  );
  add(
    "Horizon",
    model.horizon_steps && model.step_seconds
      ? `${span(model.horizon_steps * model.step_seconds)} in steps of ${span(model.step_seconds)}`
      : null,
  );
  add("Levels", model.levels.map((at) => level(at)).join(", "));
  add("Seasons", model.season_seconds.map((at) => span(at)).join(", "));
  add("Covariates", model.covariates.join(", "));
  add("Size", model.parameters ? `${count(model.parameters)} parameters` : null);
  add(
    "Made",
    model.created_at
      ? el("span", {}, dateNode(model.created_at), model.code_version ? ` by Forescale ${model.code_version}` : "")
      : null,
  );
  add("Loaded", model.loaded_at ? el("span", {}, dateNode(model.loaded_at), " ", timeNode(model.loaded_at)) : null);
  add("Serves", model.workloads.length > 1 ? `${count(model.workloads.length)} workloads` : null);
  return known;
}

function trainedOn(model) {
  if (!model.trained_from && !model.training_samples) return null;
  const series = model.training_series;
  return el(
    "span",
    {},
    model.training_samples ? `${count(model.training_samples)} samples, ` : "",
    dateNode(model.trained_from),
    " to ",
    dateNode(model.trained_to),
    series.length
      ? `, of ${series.slice(0, 3).join(", ")}${series.length > 3 ? ` and ${series.length - 3} more` : ""}`
      : "",
  );
}
