/** What has to be known before the numbers of a workload are read. */

import { clock } from "./api.js";
import { banner } from "./states.js";
import { millis, timeNode } from "./times.js";
import { errorWords, unavailable } from "./words.js";

/** @param {any} forecast @param {Error|null} failed why the newest could not be had */
export function workloadBanners(forecast, failed) {
  const told = [];
  if (failed)
    told.push(banner("bad", `${errorWords(failed).title}.`, "Some of what is shown is older; the page tries again."));
  if (forecast.is_synthetic)
    told.push(banner("synthetic", "Synthetic.", "This demand is generated, not of a real system."));
  if (forecast.status !== "ok") {
    told.push(
      banner("warn", `No forecast: ${unavailable(forecast.reason).title.toLowerCase()}.`, forecast.message ?? ""),
    );
  } else if (forecast.expires_at && clock.now() > millis(forecast.expires_at)) {
    told.push(
      banner(
        "warn",
        "This forecast has expired.",
        "It was good until ",
        timeNode(forecast.expires_at),
        "; nothing should act on it.",
      ),
    );
  }
  if (forecast.status === "ok" && forecast.freshness?.error) {
    told.push(banner("warn", "The metric server did not answer.", forecast.freshness.error));
  }
  if (forecast.calibration && !forecast.calibration.is_warm) {
    told.push(
      banner("note", "Calibration is being rebuilt from history.", "The bands are the network's own until then."),
    );
  }
  return told;
}
