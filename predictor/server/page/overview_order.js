/** Which workloads are listed, and in which order.  Pure. */

import { trust } from "./words.js";

/** @type {Record<string, (workload: any) => string|number|null>} */
const KEYS = {
  name: (workload) => workload.name,
  demand: (workload) => workload.demand,
  peak: (workload) => workload.expected?.peak_median ?? null,
  replicas: (workload) => workload.expected?.replicas ?? null,
  trust: (workload) => trust(workload.trust.state).order,
  skill: (workload) => workload.score?.skill ?? null,
  age: (workload) => workload.freshness.age_seconds,
};

/** What the buttons above the table let through. */
export const STATES = {
  all: { title: "All", holds: () => true },
  trusted: { title: "Trusted", holds: (workload) => workload.trust.state === "trusted" },
  unproven: { title: "Unproven", holds: (workload) => workload.trust.state === "unproven" },
  distrusted: { title: "Distrusted", holds: (workload) => workload.trust.state === "distrusted" },
  none: { title: "No forecast", holds: (workload) => workload.status !== "ok" },
};

export const SORTS = {
  name: "Name",
  demand: "Demand now",
  peak: "Expected peak",
  replicas: "Replicas asked for",
  trust: "Trust",
  skill: "Skill",
  age: "Age of data",
};

/** The names are few words: every one of them has to occur. */
export function matching(workloads, { q, state }) {
  const wanted = q.toLowerCase().split(/\s+/).filter(Boolean);
  const { holds } = STATES[state] ?? STATES.all;
  return workloads.filter((workload) => {
    const name = workload.name.toLowerCase();
    return holds(workload) && wanted.every((word) => name.includes(word));
  });
}

/** A new array; what is not known comes last in either direction, and equals stay in order of name. */
export function sorted(workloads, { sort, isDescending }) {
  const key = KEYS[sort] ?? KEYS.name;
  const names = new Intl.Collator("en", { numeric: true });
  const sign = isDescending ? -1 : 1;
  return workloads
    .map((workload) => ({ workload, value: key(workload) }))
    .sort((one, other) => {
      if (one.value === null || other.value === null) {
        if (one.value !== other.value) return one.value === null ? 1 : -1;
      } else if (one.value !== other.value) {
        const order = typeof one.value === "string" ? names.compare(one.value, other.value) : one.value - other.value;
        if (order) return sign * order;
      }
      return names.compare(one.workload.name, other.workload.name);
    })
    .map(({ workload }) => workload);
}
