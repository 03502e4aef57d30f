/** Instants in the viewer's zone, with UTC on demand. */

import { el } from "./dom.js";
import { DASH } from "./format.js";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** Milliseconds of an ISO instant, of a number of milliseconds, or of nothing. */
export function millis(instant) {
  return instant === null || instant === undefined ? null : new Date(instant).getTime();
}

/** `14:05`, or `23 Nov 14:05` when that is another day than `today`. */
export function timeText(instant, { seconds = false, today = null } = {}) {
  const date = new Date(instant);
  const text = (seconds ? clockSeconds : clock).format(date);
  return today !== null && dayYear.format(date) !== dayYear.format(new Date(today))
    ? `${day.format(date)} ${text}`
    : text;
}

export function dateText(instant) {
  return dayYear.format(new Date(instant));
}

/** `2026-11-24 09:59:00 UTC`. */
export function utcText(instant) {
  return `${new Date(instant).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** A `<time>`; a dash when there is none. */
export function timeNode(instant, how = {}) {
  if (instant === null || instant === undefined) return el("span", {}, DASH);
  const iso = new Date(instant).toISOString();
  return el("time", { datetime: iso, title: utcText(instant) }, timeText(instant, how));
}

/** A `<time>` of a day. */
export function dateNode(instant) {
  if (!instant || Number.isNaN(millis(instant))) return el("span", {}, instant || DASH);
  return el("time", { datetime: new Date(instant).toISOString(), title: utcText(instant) }, dateText(instant));
}

/** Tick labels of a time axis: the clock, and the day where it begins.  `seconds` since the epoch. */
export function tickText(seconds, isFine) {
  const date = new Date(seconds * 1000);
  if (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0) return day.format(date);
  return (isFine ? clockSeconds : clock).format(date);
}

/** The viewer's zone: `Europe/Berlin`. */
export function zone() {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";
}
