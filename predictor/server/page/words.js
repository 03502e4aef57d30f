/** What the API's reasons mean, and what a person can do about them. */

/** @type {Record<string, {title: string, advice: string}>} */
const UNAVAILABLE = {
  HistoryTooShort: {
    title: "Too little history",
    advice:
      "Forecasts begin by themselves once enough samples have come. If the series is older, check the metric server's retention.",
  },
  DataStale: {
    title: "Data is stale",
    advice: "Check the scrape job and the query in forescale.yaml; forecasts resume with the next sample.",
  },
  TooManyGaps: {
    title: "Too many gaps",
    advice: "Check the scrape job for lost samples; forecasts resume when the recent history is mostly there.",
  },
  StepMismatch: {
    title: "Step does not match",
    advice:
      "The model was trained on another step. Set step_seconds in forescale.yaml to the model's, or train a model on this one.",
  },
  UnknownWorkload: {
    title: "Not configured",
    advice: "Add it under workloads in forescale.yaml and restart the server.",
  },
  Starting: { title: "Starting", advice: "The first cycle has not ended. This page updates by itself." },
  NoSeries: {
    title: "Query gives nothing",
    advice: "Run the workload's query in the metric server and correct it in forescale.yaml; labels may have changed.",
  },
  SourceFailed: {
    title: "Metric server cannot be read",
    advice:
      "Check that the metric server runs and that its address and credentials in forescale.yaml are right; the server tries again every cycle.",
  },
  BadData: {
    title: "Impossible demand",
    advice: "The query gives negative or infinite values. Use rate() on counters, and guard divisions against zero.",
  },
  ModelRefused: {
    title: "Model refused",
    advice:
      "Its files are missing or damaged. Put the bundle back, or train it again with forescale train, then reload the models.",
  },
};

/** @type {Record<string, {label: string, mark: string, order: number}>} */
const TRUST = {
  trusted: { label: "Trusted", mark: "✓", order: 2 },
  unproven: { label: "Unproven", mark: "…", order: 1 },
  distrusted: { label: "Distrusted", mark: "✕", order: 0 },
};

/** @type {Record<string, string>} */
const TRUST_REASONS = {
  Earned: "Better than persistence",
  Calibrating: "Still being calibrated",
  TooFewOutcomes: "Too few outcomes to judge",
  WorseThanPersistence: "No better than repeating the last value",
  PoorCoverage: "Bands hold less often than promised",
  FalseAlarms: "Too many false alarms",
};

/** @type {Record<string, string>} */
export const OUTCOMES = { hit: "hit", false: "false alarm", pending: "pending" };

/** Of a reason that a newer server may have added. */
export function unavailable(reason) {
  return UNAVAILABLE[reason] ?? { title: reason ?? "No forecast", advice: "See the message, and the server's log." };
}

export function trust(state) {
  return TRUST[state] ?? { label: state, mark: "?", order: 1 };
}

export function trustReason(reason) {
  return TRUST_REASONS[reason] ?? reason;
}

/** @param {{status: number, title: string, detail: string}} error */
export function errorWords(error) {
  if (error.status === 0) {
    return {
      title: "The forecast server cannot be reached",
      advice:
        "It may be restarting, or the connection is down. Check that forescale serve runs and that this address leads to it.",
    };
  }
  if (error.status === 429) {
    return {
      title: "Too many requests",
      advice: "The server limits requests per client. This page slows down and tries again.",
    };
  }
  if (error.status === 503) {
    return {
      title: "Nothing to show yet",
      advice: "The server is up, but does not know enough of the past yet. This page tries again.",
    };
  }
  if (error.status >= 500) {
    return {
      title: "The server failed",
      advice: "This is a fault in the server or in a proxy before it. Its log says more.",
    };
  }
  return { title: error.title || "The server refused", advice: "The request was not accepted as it is." };
}
