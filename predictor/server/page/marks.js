/** Alarms and surges on the time axis, told apart by shape and by colour. */

import { LEFT, RIGHT } from "./charts.js";
import { el, freshId, put, svg } from "./dom.js";
import { onDemand } from "./figure.js";
import { counted, replicas } from "./format.js";
import { millis, timeNode, timeText, utcText } from "./times.js";
import { OUTCOMES } from "./words.js";

const [ROW, HEIGHT] = [20, 44];

/** Within a box of 12 × 12 around the origin. */
const SHAPES = {
  hit: "M0 -6 6 5H-6z",
  false: "M-5 -5 5 5M5 -5 -5 5",
  pending: "M0 -6 6 0 0 6 -6 0z",
  caught: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0",
  missed: "M-5 -5H5V5H-5z",
};
const LEGEND = [
  ["hit", "Alarm, hit"],
  ["false", "Alarm, false"],
  ["pending", "Alarm, pending"],
  ["caught", "Surge, caught"],
  ["missed", "Surge, missed"],
];

export function marksLane() {
  const titleId = freshId("marks");
  const title = svg("title", { id: titleId });
  const drawing = svg("svg", { class: "lane", role: "img", "aria-labelledby": titleId, height: HEIGHT });
  const numbers = onDemand("Alarms and surges as a table");
  const legend = el("ul", { class: "legend" }, ...LEGEND.map(([kind, text]) => el("li", {}, sample(kind), text)));
  const none = el("p", { class: "quiet lane-none" });
  const node = el("div", { class: "lane-box" }, drawing, legend, none, numbers.node);
  let shown = { alarms: null, range: [0, 1] };
  const watcher = new ResizeObserver(() => paint());
  watcher.observe(node);

  function paint() {
    const width = node.clientWidth;
    const { alarms: told, range } = shown;
    if (!width) return;
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const x = (instant) =>
      LEFT + ((millis(instant) / 1000 - range[0]) / (range[1] - range[0])) * (width - LEFT - RIGHT);
    const isInside = (instant) => millis(instant) / 1000 >= range[0];
    const rows = [label("Surges", 0), label("Alarms", 1), track(0, width), track(1, width)];
    for (const surge of told?.surges ?? []) {
      if (isInside(surge.began_at))
        rows.push(mark(surge.is_caught ? "caught" : "missed", x(surge.began_at), 0, surgeText(surge)));
    }
    for (const alarm of told?.alarms ?? []) {
      if (isInside(alarm.raised_at)) rows.push(mark(alarm.outcome, x(alarm.raised_at), 1, alarmText(alarm)));
    }
    put(drawing, title, ...rows);
  }

  return {
    node,
    /** @param {any|null} alarms null when they are not known @param {[number, number]} range seconds since the epoch */
    update(alarms, range) {
      shown = { alarms, range };
      const isKnown = alarms !== null && alarms.target_per_replica !== null;
      drawing.toggleAttribute("hidden", !isKnown);
      legend.hidden = !isKnown || alarms.alarms.length + alarms.surges.length === 0;
      none.textContent = isKnown
        ? legend.hidden
          ? "No surge and no alarm in this window."
          : ""
        : "Alarms and surges are not known: there is no target per replica, or too little demand.";
      none.hidden = none.textContent === "";
      numbers.node.hidden = legend.hidden;
      title.textContent = isKnown ? summary(alarms) : "";
      if (isKnown) numbers.set(() => events(alarms));
      paint();
    },
  };
}

function label(text, row) {
  return svg("text", { x: LEFT - 6, y: row * ROW + 16, "text-anchor": "end" }, text);
}

function track(row, width) {
  const y = row * ROW + 12;
  return svg("path", { class: "lane-track", d: `M${LEFT} ${y}H${width - RIGHT}` });
}

function mark(kind, x, row, text) {
  return svg(
    "g",
    { class: `mark ${kind}`, transform: `translate(${x.toFixed(1)} ${row * ROW + 12})` },
    svg("title", {}, text),
    svg("rect", { x: -9, y: -9, width: 18, height: 18, class: "target" }),
    svg("path", { d: SHAPES[kind] }),
  );
}

function sample(kind) {
  return svg(
    "svg",
    { class: "mark-sample", viewBox: "-8 -8 16 16", "aria-hidden": "true" },
    svg("g", { class: `mark ${kind}` }, svg("path", { d: SHAPES[kind] })),
  );
}

function summary({ alarms, surges }) {
  const caught = surges.filter((surge) => surge.is_caught).length;
  const of = (outcome) => alarms.filter((alarm) => alarm.outcome === outcome).length;
  return (
    `${counted(surges.length, "surge")}: ${caught} caught, ${surges.length - caught} missed. ` +
    `${counted(alarms.length, "alarm")}: ${of("hit")} hit, ${of("false")} false, ${of("pending")} pending.`
  );
}

function surgeText({ began_at: at, is_caught: isCaught, held, needed }) {
  return `Surge at ${timeText(at)}, ${isCaught ? "caught" : "missed"}: ${replicas(held)} replicas held, ${replicas(needed)} needed (${utcText(at)})`;
}

function alarmText({ raised_at: at, outcome, held, asked }) {
  return `Alarm at ${timeText(at)}, ${OUTCOMES[outcome]}: ${replicas(held)} replicas held, ${replicas(asked)} asked for (${utcText(at)})`;
}

function events({ alarms, surges }) {
  const newest = Math.max(
    0,
    ...alarms.map(({ raised_at: at }) => millis(at)),
    ...surges.map(({ began_at: at }) => millis(at)),
  );
  const rows = [
    ...alarms.map((alarm) => ({
      at: alarm.raised_at,
      cells: ["Alarm", OUTCOMES[alarm.outcome], replicas(alarm.held), `${replicas(alarm.asked)} asked for`],
    })),
    ...surges.map((surge) => ({
      at: surge.began_at,
      cells: ["Surge", surge.is_caught ? "caught" : "missed", replicas(surge.held), `${replicas(surge.needed)} needed`],
    })),
  ].sort((one, other) => millis(other.at) - millis(one.at));
  return {
    columns: ["Time", "What", "Outcome", "Replicas held", "Replicas"],
    rows: rows.map(({ at, cells }) => [timeNode(at, { today: newest }), ...cells]),
  };
}
