/** Puts a view into the page, and keeps it live. */

import { clock, token } from "./api.js";
import { say } from "./dom.js";
import { indicator } from "./indicator.js";
import { overview } from "./overview.js";
import { followTheme } from "./palette.js";
import { parseRoute } from "./router.js";
import { missingPanel, tokenPanel } from "./states.js";
import { Stream } from "./stream.js";
import { zone } from "./times.js";
import { workload } from "./workload.js";

const SOONEST_REFRESH = 2000; // milliseconds between two, however fast cycles come

const main = document.getElementById("main");
const forget = document.getElementById("forget");
const live = indicator();
let [current, route, stream, leaving] = [null, null, null, new AbortController()];
let refreshing = null;
let lastRefresh = 0;

/** Show what the address says. */
function go() {
  const next = parseRoute(location.hash);
  if (current && route.view === next.view && current.onRoute?.(next)) {
    route = next;
    retitle();
    return;
  }
  const isFirst = route === null;
  leave();
  route = next;
  const page = { main, route, signal: leaving.signal, refused, retitle };
  if (next.view === "unknown") {
    main.replaceChildren(missingPanel("No such page"));
    document.title = "No such page · Forescale";
  } else {
    current = next.view === "overview" ? overview(page) : workload(page);
    listen();
    retitle();
  }
  if (!isFirst) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  }
}

function leave() {
  leaving.abort();
  leaving = new AbortController();
  stream?.stop();
  [stream, current, refreshing] = [null, null, null];
}

function retitle() {
  if (current) document.title = `${current.title} · Forescale`;
}

function listen() {
  let wasLost = false;
  stream = new Stream({
    path: current.streamPath,
    onState(state, error) {
      live.show(state);
      if (state === "refused") refused(error);
      else if (state === "live" && wasLost) refresh();
      wasLost ||= state === "reconnecting" || state === "offline";
    },
    onEvent(name, data) {
      if (name === "cycle") {
        live.cycle(data);
        refresh();
      }
      current?.onEvent(name, data);
    },
  });
  stream.start();
}

/** After news, but one at a time, not too often, and not for a hidden tab. */
function refresh() {
  if (refreshing || !current || document.hidden) return;
  const view = current;
  const wait = Math.max(0, lastRefresh + SOONEST_REFRESH - Date.now());
  refreshing = new Promise((done) => setTimeout(done, wait))
    .then(() => view.ready)
    .then(() => {
      lastRefresh = Date.now();
      return view === current ? view.refresh() : null;
    })
    .finally(() => {
      if (view === current) refreshing = null;
    });
}

/** The server wants a token, or another one. */
function refused() {
  const hadToken = token.get() !== "";
  leave();
  live.show("refused");
  token.set("");
  forget.hidden = true;
  document.title = "Token needed · Forescale";
  main.replaceChildren(
    tokenPanel(hadToken, (given) => {
      token.set(given);
      forget.hidden = false;
      route = null;
      go();
    }),
  );
  main.querySelector("input").focus();
}

forget.hidden = token.get() === "";
forget.addEventListener("click", () => {
  token.set("");
  location.reload();
});
say(document.getElementById("zone"), zone());
followTheme(document.getElementById("theme"), () => current?.onColours());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash is the address
  main.focus();
});
addEventListener("hashchange", go);
document.addEventListener("visibilitychange", refresh);
setInterval(() => {
  if (!document.hidden) {
    current?.onTick(clock.now());
    live.tick();
  }
}, 1000);
go();
