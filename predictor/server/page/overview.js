/** All workloads: a table that is a list of cards on a phone. */

import { api, clock } from "./api.js";
import { el, put } from "./dom.js";
import { age, counted } from "./format.js";
import { overviewTools } from "./overview_tools.js";
import { matching, sorted } from "./overview_order.js";
import { COLUMNS, overviewRow } from "./overview_row.js";
import { banner, emptyPanel, errorPanel, notesList, showIn, skeleton } from "./states.js";
import { millis, timeNode } from "./times.js";
import { errorWords } from "./words.js";

const FIRST_ROWS = 60; // built at once; the others follow while the first can be read already
const MORE_ROWS = 150;

/** @param {{main: HTMLElement, route: {query: URLSearchParams}, signal: AbortSignal, refused: (error: Error) => void}} page */
export function overview({ main, route, signal, refused }) {
  const rows = new Map();
  const body = el("tbody", { role: "rowgroup" });
  const tools = overviewTools(route.query, show);
  const summary = el("p", { class: "summary" });
  const banners = el("div", { class: "banners" });
  const notes = el("div");
  const nothing = el(
    "p",
    { class: "nothing", hidden: true },
    "No workload matches. ",
    el("button", { type: "button", class: "link", onclick: () => tools.clear() }, "Show all"),
  );
  const table = el("table", { class: "workloads", role: "table", "aria-label": "Workloads" }, head(tools), body);
  const place = el("div", {}, skeleton("tools", ...Array(8).fill("row")));
  const content = el(
    "div",
    { class: "overview", "aria-busy": "true" },
    el("div", { class: "title-row" }, el("h1", { tabindex: "-1" }, "Workloads"), summary),
    place,
  );
  let list = null;
  let painting = 0;

  summary.textContent = "Loading…";
  put(main, content);

  async function refresh() {
    try {
      list = await api.workloads({ signal });
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) refused(error);
      else if (list === null) showIn(main, errorPanel(error, refresh));
      else warn(error);
      return;
    }
    if (list.workloads.length === 0) {
      rows.clear();
      showIn(main, emptyPanel(list.cycle_at, list.notes));
      return;
    }
    if (content.hasAttribute("aria-busy")) put(place, banners, tools.node, table, nothing, notes);
    content.removeAttribute("aria-busy");
    showIn(main, content);
    warn(null);
    put(notes, notesList(list.notes));
    tell();
    show();
  }

  function tell() {
    const ready = list.workloads.filter((workload) => workload.status === "ok").length;
    put(
      summary,
      `${counted(list.workloads.length, "workload")}, ${ready} with a forecast; cycle ${list.cycle} at `,
      timeNode(list.cycle_at, { seconds: true }),
    );
    tools.count(list.workloads);
  }

  function warn(error) {
    const told = [];
    if (error)
      told.push(
        banner(
          "bad",
          `${errorWords(error).title}.`,
          "Shown is what was known at ",
          timeNode(list.cycle_at, { seconds: true }),
          ".",
        ),
      );
    const late = lateness(list);
    if (!error && late !== null)
      told.push(
        banner(
          "warn",
          `No cycle for ${age(late)}.`,
          "Forecasts below are growing old; the server's log says why it has stopped.",
        ),
      );
    if (!list.is_warm)
      told.push(
        banner(
          "note",
          "Calibration is being rebuilt from history.",
          "Forecasts are shown, and count as unproven until it is done.",
        ),
      );
    const synthetic = list.workloads.filter((workload) => workload.is_synthetic).length;
    if (synthetic)
      told.push(
        banner(
          "synthetic",
          "Synthetic.",
          synthetic === list.workloads.length
            ? "All demand here is generated, not of a real system."
            : `Demand of ${counted(synthetic, "workload")} is generated, not of a real system.`,
        ),
      );
    put(banners, ...told);
  }

  /** Rows are kept by name and only moved; what is far down the table is built a little later. */
  function show() {
    if (!list) return;
    const wanted = sorted(matching(list.workloads, tools.choice), tools.choice);
    const run = (painting += 1);
    const nodes = [];
    nothing.hidden = wanted.length > 0;
    table.hidden = wanted.length === 0;
    table.setAttribute("aria-rowcount", String(wanted.length + 1));
    tools.found(wanted.length, list.workloads.length);
    const upTo = (end) => {
      for (const workload of wanted.slice(nodes.length, end)) {
        let row = rows.get(workload.name);
        if (!row) rows.set(workload.name, (row = overviewRow()));
        if (row.shown !== workload) row.update(workload);
        row.shown = workload;
        nodes.push(row.node);
      }
    };
    const more = () => {
      if (run !== painting || signal.aborted) return;
      const from = nodes.length;
      upTo(from + MORE_ROWS);
      body.append(...nodes.slice(from));
      if (nodes.length < wanted.length) requestAnimationFrame(more);
      else forget();
    };
    upTo(body.childElementCount + FIRST_ROWS); // as many as are there already are not taken away for a moment
    reorder(body, nodes);
    if (nodes.length < wanted.length) requestAnimationFrame(more);
    else forget();
  }

  function forget() {
    const names = new Set(list.workloads.map((workload) => workload.name));
    for (const name of rows.keys()) if (!names.has(name)) rows.delete(name);
  }

  return {
    title: "Workloads",
    streamPath: "v1/events",
    ready: refresh(),
    refresh,
    onEvent() {},
    onTick() {
      if (!list || !content.isConnected) return;
      for (const row of rows.values()) if (row.node.isConnected) row.tick(row.shown);
    },
    onRoute(next) {
      tools.take(next.query);
      return true;
    },
    onColours() {},
  };
}

/** Seconds since the last cycle, when that is too long ago. */
function lateness(list) {
  if (list.cycle_at === null) return null;
  const steps = list.workloads.map((workload) => workload.step_seconds ?? 60);
  const passed = (clock.now() - millis(list.cycle_at)) / 1000;
  return passed > 60 + 5 * Math.min(60, ...steps) ? passed : null;
}

/** Moving a row would take the focus off it, so only what differs is touched. */
function reorder(body, nodes) {
  let here = body.firstChild;
  for (const node of nodes) {
    if (node === here) here = here.nextSibling;
    else body.insertBefore(node, here);
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

function head(tools) {
  const cells = COLUMNS.map(({ key, title }, at) => {
    const cell = el("th", { role: "columnheader", scope: "col", class: `c-${at}` });
    cell.append(el("span", { class: key === null ? null : "column" }, title));
    if (key !== null) cell.append(tools.sortButton(key, title, cell));
    return cell;
  });
  return el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...cells));
}
