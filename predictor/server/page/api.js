/** Asking the forecast API.  The token lives in this tab only and travels in a header. */

const TOKEN = "forescale.token";

/** What the server said instead of an answer; status 0 when it said nothing. */
export class ApiError extends Error {
  /** @param {number} status @param {string} title @param {string} detail */
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

/** The server's time, as far as its `Date` header tells, so that ages do not depend on the viewer's clock. */
export const clock = {
  skew: 0,
  isKnown: false,
  now() {
    return Date.now() + this.skew;
  },
  learn(header) {
    const told = header ? Date.parse(header) : NaN;
    if (Number.isNaN(told)) return;
    this.isKnown = true;
    const skew = told - Date.now();
    this.skew = Math.abs(skew) < 2000 ? 0 : skew; // the header knows whole seconds only
  },
};

export const token = {
  get() {
    return sessionStorage.getItem(TOKEN) ?? "";
  },
  set(value) {
    if (value) sessionStorage.setItem(TOKEN, value);
    else sessionStorage.removeItem(TOKEN);
  },
};

/** A response with status 2xx; everything else is thrown as ApiError.  `path` has no leading slash: a proxy may add one. */
export async function request(path, { signal, headers = {} } = {}) {
  const sent = { ...headers };
  if (token.get()) sent.Authorization = `Bearer ${token.get()}`;
  let response;
  try {
    response = await fetch(path, { signal, headers: sent, cache: "no-cache", redirect: "error" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "No answer", "The server does not answer.");
  }
  clock.learn(response.headers.get("date"));
  if (!response.ok) throw await problem(response);
  return response;
}

/** An answer as JSON. */
export async function ask(path, { signal } = {}) {
  const response = await request(path, { signal, headers: { Accept: "application/json" } });
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "Broken answer", "The answer ended early or is not JSON.");
  }
}

const workload = (name) => `v1/workloads/${encodeURIComponent(name)}`;

export const api = {
  workloads: (how) => ask("v1/workloads", how),
  forecast: (name, how) => ask(`${workload(name)}/forecast?window_max=true`, how),
  accuracy: (name, seconds, how) => ask(`${workload(name)}/accuracy?window=${seconds}`, how),
  alarms: (name, seconds, how) => ask(`${workload(name)}/alarms?window=${seconds}`, how),
  models: (how) => ask("v1/models", how),
  /** @param {number} from milliseconds */
  history: (name, from, how) =>
    ask(`${workload(name)}/history?start=${encodeURIComponent(new Date(from).toISOString())}`, how),
};

async function problem(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // A proxy's own error page: its status is all there is.
  }
  const detail = typeof told.detail === "string" ? told.detail : "";
  return new ApiError(response.status, told.title || response.statusText || `Status ${response.status}`, detail);
}
