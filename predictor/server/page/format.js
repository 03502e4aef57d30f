/** Numbers, shares and spans of time as text.  What is not known is a dash, never a zero. */

export const DASH = "–";
const NBSP = "\u00a0";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** Demand: four digits are more than a forecast knows. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  return (Math.abs(value) >= 1000 ? whole : digits).format(value);
}

/** Replicas, which are a fraction where they are needed and whole where they are asked for. */
export function replicas(value) {
  return value === null || value === undefined ? DASH : tenths.format(value);
}

export function count(value) {
  return value === null || value === undefined ? DASH : whole.format(value);
}

/** `1 pair`, `4,291 pairs`. */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)}${NBSP}${value === 1 ? one : many}`;
}

/** A ratio in 0–1 as per cent. */
export function percent(ratio, decimals = 1) {
  if (ratio === null || ratio === undefined || !Number.isFinite(ratio)) return DASH;
  const shown = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return `${shown.format(ratio * 100).replace("-", "−")}${NBSP}%`;
}

/** A quantile level: 0.95 is `95 %`, 0.998 is `99.8 %`. */
export function level(ratio) {
  return `${tenths.format(ratio * 100)}${NBSP}%`;
}

/** A span that is exact, like a window or a horizon: `45 s`, `15 min`, `24 h`, `3 d`. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  if (seconds >= 172_800 && seconds % 3600 === 0) return `${tenths.format(seconds / 86_400)}${NBSP}d`;
  if (seconds > 5400) return `${tenths.format(seconds / 3600)}${NBSP}h`;
  if (seconds >= 60) return `${tenths.format(seconds / 60)}${NBSP}min`;
  return `${tenths.format(seconds)}${NBSP}s`;
}

/** A span that is passing, rounded down: `6 s`, `4 min`, `3 h`, `2 d`. */
export function age(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  const passed = Math.max(0, Math.floor(seconds));
  if (passed < 60) return `${passed}${NBSP}s`;
  if (passed < 3600) return `${Math.floor(passed / 60)}${NBSP}min`;
  if (passed < 172_800) return `${Math.floor(passed / 3600)}${NBSP}h`;
  return `${Math.floor(passed / 86_400)}${NBSP}d`;
}
