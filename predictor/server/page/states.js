/** What stands in for content: waiting, emptiness, errors, and the question for a token. */

import { el, freshId, put } from "./dom.js";
import { errorWords } from "./words.js";

/** A page-wide message.  Its heading takes the focus when the page was navigated to. */
export function panel(kind, title, ...children) {
  return el("section", { class: `panel ${kind}` }, el("h1", { tabindex: "-1" }, title), ...children);
}

/** Put a whole page's content into its place.  What says the same already stays, and the focus is not lost. */
export function showIn(main, node) {
  const old = main.firstElementChild;
  if (old === node || (old && old.className === node.className && old.textContent === node.textContent)) return;
  const hadFocus = document.activeElement !== main && main.contains(document.activeElement);
  put(main, node);
  if (hadFocus) node.querySelector("h1")?.focus({ preventScroll: true });
}

/** @param {string[]} notes series that could not become workloads */
export function emptyPanel(cycleAt, notes) {
  if (cycleAt === null) {
    return panel(
      "empty",
      "Starting",
      el("p", {}, "The first cycle has not ended. Workloads appear here by themselves."),
    );
  }
  return panel(
    "empty",
    "No workloads yet",
    el("p", {}, "The server runs, but no query in forescale.yaml gives a series. Check in this order:"),
    el(
      "ol",
      {},
      el("li", {}, "Does the query give series in the metric server? Run it there as it stands in forescale.yaml."),
      el("li", {}, "Does the metric server that forescale.yaml names under prometheus.url hold these series?"),
      el("li", {}, "Do the labels that a name like {namespace}.{app} is made of exist on the series?"),
    ),
    el("pre", { tabindex: "0", "aria-label": "Example of forescale.yaml" }, EXAMPLE),
    notesList(notes),
    el("p", { class: "quiet" }, "This page updates by itself, after every cycle."),
  );
}

const EXAMPLE = `workloads:
  - name: "{namespace}.{app}"
    query: sum by (namespace, app) (rate(http_requests_total[1m]))`;

/** Series that could not become workloads, and why. */
export function notesList(notes) {
  if (!notes.length) return null;
  return el(
    "details",
    { class: "notes", open: notes.length <= 3 },
    el("summary", {}, notes.length === 1 ? "1 series was left out" : `${notes.length} series were left out`),
    el("ul", {}, ...notes.map((note) => el("li", {}, note))),
  );
}

/** @param {import("./api.js").ApiError} error */
export function errorPanel(error, retry) {
  const { title, advice } = errorWords(error);
  return panel("error", title, ...told(error), el("p", {}, advice), retryButton(retry));
}

/** One section of a page without data; the rest of the page stays. */
export function sectionError(error, retry) {
  const { title, advice } = errorWords(error);
  return el(
    "div",
    { class: "section-error" },
    el("p", {}, el("strong", {}, `${title}.`), ` ${advice}`),
    ...told(error),
    retryButton(retry),
  );
}

export function missingPanel(title, ...children) {
  return panel("missing", title, ...children, el("p", {}, el("a", { href: "#/" }, "All workloads")));
}

/** @param {(token: string) => void} use */
export function tokenPanel(wasRefused, use) {
  const [field, hint] = [freshId("token"), freshId("token-hint")];
  const input = el("input", {
    id: field,
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": hint,
    "aria-invalid": wasRefused ? "true" : null,
  });
  const submit = (event) => {
    event.preventDefault();
    use(input.value.trim());
  };
  return panel(
    "token",
    "This server asks for a token",
    el(
      "p",
      { id: hint, class: wasRefused ? "refused" : null },
      wasRefused
        ? "The server refused this token. Check that it is whole and still listed in the server's tokens file."
        : "Give one of the bearer tokens of the forecast server. It is kept in this tab until you close it.",
    ),
    el(
      "form",
      { class: "token-form", onsubmit: submit },
      el("label", { for: field }, "Token"),
      input,
      el("button", { type: "submit" }, "Continue"),
    ),
  );
}

/** A strip above content that is still worth reading. */
export function banner(kind, title, ...children) {
  return el("div", { class: `banner ${kind}` }, el("strong", {}, title), " ", ...children);
}

/** Grey shapes of the size of what is to come. */
export function skeleton(...heights) {
  const node = el("div", { class: "skeleton", "aria-hidden": "true" });
  for (const height of heights) node.append(el("div", { class: `bone ${height}` }));
  return node;
}

function told(error) {
  return error.detail && error.status !== 0
    ? [el("p", { class: "told" }, error.detail, el("span", { class: "quiet" }, ` (status ${error.status})`))]
    : [];
}

function retryButton(retry) {
  return retry ? el("p", {}, el("button", { type: "button", onclick: retry }, "Try again")) : null;
}
