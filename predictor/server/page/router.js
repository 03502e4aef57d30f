/** Addresses: `#/?q=check&state=trusted&sort=demand` and `#/workloads/NAME?window=24h`. */

export const WINDOWS = { "3h": 10_800, "24h": 86_400, "3d": 259_200 };
export const DEFAULT_WINDOW = "24h";

/**
 * @typedef {{view: "overview", query: URLSearchParams}
 *   | {view: "workload", name: string, window: string, query: URLSearchParams}
 *   | {view: "unknown", path: string, query: URLSearchParams}} Route
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const query = new URLSearchParams(search);
  if (path === "" || path === "/") return { view: "overview", query };
  const found = /^\/workloads\/([^/]+)$/.exec(path);
  if (!found) return { view: "unknown", path, query };
  const asked = query.get("window") ?? "";
  return { view: "workload", name: decode(found[1]), window: asked in WINDOWS ? asked : DEFAULT_WINDOW, query };
}

export function workloadHash(name, window = DEFAULT_WINDOW) {
  const path = `#/workloads/${encodeURIComponent(name)}`;
  return window === DEFAULT_WINDOW ? path : `${path}?window=${window}`;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
