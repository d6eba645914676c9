// The end of an attempt's output, followed by byte: what has come since is asked for, and only the last part is kept.

import { getBytes, getJson } from "./api.js";

const KEPT_CHARACTERS = 400_000;
const LONG_AGO_MINUTES = 10;

/** One attempt's output. `text` is its end, `bytes` how far it was read, `isCut` whether earlier text was left out. */
export class Tail {
  constructor(path, attempt) {
    this.path = path;
    this.attempt = attempt;
    this.text = "";
    this.bytes = 0;
    this.isCut = false;
    this.isPlaced = false;
    this.decoder = new TextDecoder();
  }

  /** Take what has come since the last call; whether there was any. */
  async read(signal, since) {
    if (!this.isPlaced) await this.place(signal, since);
    const response = await getBytes(`${this.path}/log?attempt=${this.attempt}&start=${this.bytes}`, signal);
    const before = this.bytes;
    if (!response.body) return false;
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      this.bytes += value.length;
      this.add(this.decoder.decode(value, { stream: true }));
    }
    return this.bytes > before;
  }

  fromStart() {
    this.text = "";
    this.bytes = 0;
    this.isCut = false;
    this.isPlaced = true;
    this.decoder = new TextDecoder();
  }

  /** Of an output that began long ago, begin with what came lately. */
  async place(signal, since) {
    this.isPlaced = true;
    if (!since) return;
    const asked = `${this.path}/log/start?attempt=${this.attempt}&since=${encodeURIComponent(since)}`;
    const { start } = await getJson(asked, signal);
    if (start > 0 && start < 2 ** 40) {
      this.bytes = start;
      this.isCut = true;
    }
  }

  add(text) {
    this.text += text;
    if (this.text.length <= KEPT_CHARACTERS) return;
    const from = this.text.indexOf("\n", this.text.length - KEPT_CHARACTERS / 2);
    this.text = this.text.slice(from < 0 ? -KEPT_CHARACTERS / 2 : from + 1);
    this.isCut = true;
  }
}

/** From when on the output of an attempt is of interest at first; "" for all of it. */
export function lately(attempt, now) {
  const end = attempt.ended_at ? Date.parse(attempt.ended_at) : now;
  const from = end - LONG_AGO_MINUTES * 60_000;
  return attempt.started_at && Date.parse(attempt.started_at) < from ? new Date(from).toISOString() : "";
}
