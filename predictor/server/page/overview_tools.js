/** Search, filter and order of the overview.  Kept in the address, so that a link shows what its sender saw. */

import { el, freshId, say } from "./dom.js";
import { SORTS, STATES } from "./overview_order.js";

/** Numbers are most wanted when high; names begin with A, and trust with what needs care. */
const FALLING = new Set(["demand", "peak", "replicas", "skill", "age"]);

/** @param {URLSearchParams} query @param {() => void} onChange */
export function overviewTools(query, onChange) {
  const choice = read(query);
  const [searchId, sortId] = [freshId("search"), freshId("sort")];
  const search = el("input", {
    id: searchId,
    type: "search",
    placeholder: "Filter by name",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => set({ q: search.value }),
  });
  const found = el("p", { class: "found quiet", role: "status" });
  const buttons = Object.entries(STATES).map(([state, { title }]) => {
    const number = el("span", { class: "tally" });
    return {
      state,
      number,
      node: el(
        "button",
        { type: "button", "aria-pressed": "false", onclick: () => set({ state }) },
        title,
        " ",
        number,
      ),
    };
  });
  const order = el(
    "select",
    { id: sortId, onchange: () => set({ sort: order.value, isDescending: FALLING.has(order.value) }) },
    ...Object.entries(SORTS).map(([key, title]) => el("option", { value: key }, title)),
  );
  const heads = [];

  const node = el(
    "div",
    { class: "tools" },
    el("div", { class: "search" }, el("label", { for: searchId, class: "hidden" }, "Filter by name"), search),
    el("div", { class: "states", role: "group", "aria-label": "Show" }, ...buttons.map((button) => button.node)),
    el("div", { class: "order" }, el("label", { for: sortId }, "Sort by"), order),
    found,
  );

  function set(changed) {
    Object.assign(choice, changed);
    mark();
    const address = write(choice);
    history.replaceState(null, "", `#/${address ? `?${address}` : ""}`);
    onChange();
  }

  function mark() {
    if (search.value !== choice.q) search.value = choice.q;
    order.value = choice.sort;
    for (const { state, node: button } of buttons) button.setAttribute("aria-pressed", String(state === choice.state));
    for (const { key, cell } of heads) {
      if (key === choice.sort) cell.setAttribute("aria-sort", choice.isDescending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  }
  mark();

  return {
    node,
    choice,
    sortButton(key, title, cell) {
      heads.push({ key, cell });
      mark();
      const turn = () =>
        set({ sort: key, isDescending: choice.sort === key ? !choice.isDescending : FALLING.has(key) });
      return el("button", { type: "button", class: "sort", onclick: turn }, title);
    },
    /** How many each filter would let through. */
    count(workloads) {
      for (const { state, number } of buttons) say(number, String(workloads.filter(STATES[state].holds).length));
    },
    found(shown, all) {
      say(found, shown === all ? "" : `${shown} of ${all} shown`);
    },
    clear() {
      set({ q: "", state: "all" });
      search.focus();
    },
    /** The address has changed, by a link or the back button. */
    take(next) {
      Object.assign(choice, read(next));
      mark();
      onChange();
    },
  };
}

function read(query) {
  const sort = query.get("sort") ?? "";
  const state = query.get("state") ?? "";
  const known = Object.hasOwn(SORTS, sort) ? sort : "name";
  return {
    q: query.get("q") ?? "",
    state: Object.hasOwn(STATES, state) ? state : "all",
    sort: known,
    isDescending: query.has("order") ? query.get("order") === "falling" : FALLING.has(known),
  };
}

function write({ q, state, sort, isDescending }) {
  const query = new URLSearchParams();
  if (q) query.set("q", q);
  if (state !== "all") query.set("state", state);
  if (sort !== "name") query.set("sort", sort);
  if (isDescending !== FALLING.has(sort)) query.set("order", isDescending ? "falling" : "rising");
  return query.toString();
}
