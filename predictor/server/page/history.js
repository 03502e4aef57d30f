/** Joining what is known of the past with news of it.  Pure. */

import { millis } from "./times.js";

/** Samples from just before the end of what is known: the newest ones may have been late. */
const OVERLAP_STEPS = 10;

/** From when to ask, so that `merge` leaves no hole. */
export function resumeAt(history, from) {
  if (!history?.times.length) return from;
  const last = millis(history.times.at(-1));
  return Math.max(from, last - OVERLAP_STEPS * history.step_seconds * 1000);
}

/** `known` until `news` begins, then `news`; nothing before `from`, in milliseconds. */
export function merge(known, news, from) {
  if (!known?.times.length || !news.times.length || known.step_seconds !== news.step_seconds) return news;
  const begins = millis(news.times[0]);
  const kept = known.times.findIndex((time) => millis(time) >= begins);
  const end = kept < 0 ? known.times.length : kept;
  let start = known.times.findIndex((time) => millis(time) >= from);
  if (start < 0 || start > end) start = end;
  const join = (old, fresh) => (old && fresh ? [...old.slice(start, end), ...fresh] : fresh);
  const replicas =
    known.replicas && news.replicas
      ? {
          needed: join(known.replicas.needed, news.replicas.needed),
          recommended: join(known.replicas.recommended, news.replicas.recommended),
          observed: join(known.replicas.observed, news.replicas.observed),
        }
      : news.replicas;
  return {
    ...news,
    times: join(known.times, news.times),
    demand: join(known.demand, news.demand),
    forecasts: { ...news.forecasts, path: news.forecasts.path.map((row, at) => join(known.forecasts.path[at], row)) },
    replicas,
  };
}

/** The place of the level next to `wanted`. */
export function nearest(levels, wanted) {
  let best = 0;
  levels.forEach((level, at) => {
    if (Math.abs(level - wanted) < Math.abs(levels[best] - wanted)) best = at;
  });
  return best;
}

/** The newest value that is known. */
export function lastKnown(values) {
  const at = values.findLastIndex((value) => value !== null);
  return at < 0 ? null : { at, value: values[at] };
}
