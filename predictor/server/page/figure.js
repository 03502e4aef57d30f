/** A chart's frame: title, what it says in words, legend, the chart, and its numbers as a table on demand. */

import { el, freshId, put, say } from "./dom.js";

const MOST_ROWS = 300;

/**
 * @typedef {{title: string, cells: (row: any) => (Node|string)}} Column
 * @param {{title: string, legend?: [string, string][], height: string, table: string, level?: string}} what
 *   legend: [class of the swatch, text]; height: class that reserves the room
 */
export function figure({ title, legend = [], height, table }) {
  const [titleId, summaryId] = [freshId("figure"), freshId("summary")];
  const badges = el("span", { class: "badges" });
  const summary = el("p", { id: summaryId, class: "figure-summary" });
  const readout = el("p", { class: "readout", "aria-hidden": "true" });
  const chart = el("div", { class: `chart ${height}`, role: "img", "aria-labelledby": `${titleId} ${summaryId}` });
  const list = el("ul", { class: "legend" });
  const numbers = onDemand(table);
  const node = el(
    "figure",
    { "aria-labelledby": titleId },
    el(
      "figcaption",
      {},
      el("div", { class: "figure-title" }, el("h3", { id: titleId }, title), badges, readout),
      summary,
    ),
    list,
    chart,
    numbers.node,
  );
  setLegend(legend);

  function setLegend(entries) {
    list.hidden = entries.length === 0;
    put(
      list,
      ...entries.map(([kind, text]) =>
        el("li", {}, el("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text),
      ),
    );
  }

  return {
    node,
    chart,
    readout,
    badges,
    setLegend,
    summarize: (text) => say(summary, text),
    setTable: numbers.set,
  };
}

/** A table behind a disclosure, built when it is opened: it may have thousands of cells. */
export function onDemand(title) {
  const place = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title });
  const node = el("details", { class: "numbers", ontoggle: () => paint() }, el("summary", {}, title), place);
  let build = null;

  function paint() {
    if (node.open && build) {
      put(place, ...build());
      build = null;
    }
  }

  return {
    node,
    /** @param {() => {columns: string[], rows: (Node|string)[][]}} make */
    set(make) {
      build = () => table(title, make());
      paint();
    },
  };
}

function table(title, { columns, rows }) {
  if (!rows.length) return [el("p", { class: "quiet" }, "Nothing in this window.")];
  const every = Math.ceil(rows.length / MOST_ROWS);
  const shown = every === 1 ? rows : rows.filter((_, at) => at % every === 0);
  return [
    every > 1
      ? el(
          "p",
          { class: "quiet" },
          `Every ${every}th of ${rows.length} rows, the newest first; the API gives all of them.`,
        )
      : null,
    el(
      "table",
      { class: "data" },
      el("caption", { class: "hidden" }, title),
      el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)))),
      el(
        "tbody",
        {},
        ...shown.map((row) =>
          el("tr", {}, el("th", { scope: "row" }, row[0]), ...row.slice(1).map((cell) => el("td", {}, cell))),
        ),
      ),
    ),
  ].filter(Boolean);
}
