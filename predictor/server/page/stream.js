/** Server-sent events by fetch, because EventSource cannot send a token. */

import { request } from "./api.js";

const FIRST_WAIT = 500; // milliseconds; doubled after every failure
const LONGEST_WAIT = 30_000;
const SILENCE = 60_000; // a living server sends at least a comment within this time
const OFFLINE_AFTER = 3; // failures in a row

/**
 * Takes the stream's text in pieces of any size, and tells every whole event.
 * @param {(event: {event: string, data: string, id: string|null}) => void} onEvent
 * @returns {(text: string) => void}
 */
export function eventParser(onEvent) {
  let rest = "";
  let [event, id, data] = ["message", null, []];
  return (text) => {
    rest += text;
    let end;
    while ((end = rest.search(/\r\n|\n|\r(?!$)/)) >= 0) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
      if (line === "") {
        if (data.length) onEvent({ event, data: data.join("\n"), id });
        [event, data] = ["message", []];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") event = value;
      else if (field === "data") data.push(value);
      else if (field === "id") id = value;
    }
  };
}

/** One stream that comes back by itself. */
export class Stream {
  /**
   * @param {{path: string, onEvent: (name: string, data: any) => void,
   *          onState: (state: "connecting"|"live"|"reconnecting"|"offline"|"refused", error?: Error) => void}} told
   */
  constructor({ path, onEvent, onState }) {
    Object.assign(this, { path, onEvent, onState });
    this.lastId = null;
    this.failures = 0;
    this.stopping = new AbortController();
    this.wake = () => {};
  }

  async start() {
    const { signal } = this.stopping;
    const hurry = () => this.wake();
    addEventListener("online", hurry, { signal });
    addEventListener("offline", () => this.attempt?.abort(), { signal });
    this.onState("connecting");
    while (!signal.aborted) {
      const error = await this.#listen();
      if (signal.aborted) return;
      if (error?.status === 401) {
        this.onState("refused", error);
        return;
      }
      this.failures += 1;
      this.onState(!navigator.onLine || this.failures >= OFFLINE_AFTER ? "offline" : "reconnecting", error);
      await this.#rest();
    }
  }

  stop() {
    this.stopping.abort();
    this.attempt?.abort();
    this.wake();
  }

  async #listen() {
    const attempt = new AbortController();
    this.attempt = attempt;
    let silence = 0;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => attempt.abort(), SILENCE);
    };
    try {
      heard();
      const headers = { Accept: "text/event-stream" };
      if (this.lastId !== null) headers["Last-Event-ID"] = this.lastId;
      const response = await request(this.path, { signal: attempt.signal, headers });
      this.onState("live");
      const feed = eventParser((told) => this.#tell(told));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return null;
        heard();
        this.failures = 0;
        feed(value);
      }
    } catch (error) {
      return error;
    } finally {
      clearTimeout(silence);
    }
  }

  #tell({ event, data, id }) {
    if (id !== null) this.lastId = id;
    let parsed;
    try {
      parsed = JSON.parse(data);
    } catch {
      return; // of a newer server, perhaps
    }
    if (!this.stopping.signal.aborted) this.onEvent(event, parsed);
  }

  #rest() {
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.failures - 1));
    const wait = longest * (0.75 + Math.random() / 4); // many pages must not come back at once
    return new Promise((done) => {
      const timer = setTimeout(done, wait);
      this.wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }
}
