// What is shown of numbers, times and names. Plain functions: no page, no network.

const HIDDEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e" +
    "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]" +
    "|[\\u{e0000}-\\u{e007f}]|[\\ud800-\\udfff]", // the last: halves of a pair
  "gu",
);
const ANSI = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;
const COUNT = new Intl.NumberFormat("en");

/** Text of a stranger in one line: what would be invisible, or turn the text round, is shown as its code point. */
export function visible(text) {
  return visibleLines(String(text ?? "")).replace(/[\t\n]/g, mark);
}

/** The same for text of several lines, where line ends and tabs stay. */
export function visibleLines(text) {
  return text.replace(HIDDEN, mark);
}

/** Output of a program: colours are left out, and a line that was overwritten stays a line. */
export function visibleOutput(text) {
  return visibleLines(text.replace(ANSI, "").replace(/\r\n/g, "\n").replace(/\r/g, "\n"));
}

function mark(character) {
  return `⟨${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** As `jobq.model.names.escape`: what stands in a path for a name of any characters. */
export function escapeName(name) {
  let escaped = "";
  for (const byte of new TextEncoder().encode(name)) {
    const character = String.fromCharCode(byte);
    escaped += /[A-Za-z0-9_.-]/.test(character) ? character : `!${byte.toString(16).padStart(2, "0")}`;
  }
  return escaped;
}

export function count(number) {
  return number === null || number === undefined ? "–" : COUNT.format(number);
}

export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

export function percent(part, whole) {
  if (!whole) return "0%";
  const share = (100 * part) / whole;
  // 100% is said when all are there, and 0% when none is.
  return `${share > 99 && part < whole ? 99 : share > 0 && share < 1 ? "<1" : Math.round(share)}%`;
}

export function share(fraction) {
  return fraction === null || fraction === undefined ? "–" : `${Math.round(100 * fraction)}%`;
}

/** A rate in few digits: 0.25, 3.5, 120. */
export function rate(number) {
  if (number === null || number === undefined) return "–";
  if (number === 0) return "0";
  if (number < 0.1) return number.toPrecision(1);
  return number < 10 ? String(Number(number.toFixed(number < 1 ? 2 : 1))) : count(Math.round(number));
}

/** Seconds as `850 ms`, `12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return seconds === 0 ? "0 s" : `${Math.max(1, Math.round(1000 * seconds))} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return twoParts(minutes, "min", Math.floor(seconds % 60), "s");
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return twoParts(Math.floor(minutes / 60), "h", minutes % 60, "min");
  return twoParts(Math.floor(minutes / 1440), "d", Math.floor((minutes % 1440) / 60), "h");
}

function twoParts(large, largeUnit, small, smallUnit) {
  return small ? `${large} ${largeUnit} ${small} ${smallUnit}` : `${large} ${largeUnit}`;
}

/** A range such as `11–14 min`; one value where both ends read alike. */
export function etaRange(range) {
  if (!range) return "–";
  const [low, high] = range.map(roughly);
  if (low === high) return low;
  const [lowNumber, lowUnit] = low.split(" ");
  const [highNumber, highUnit] = high.split(" ");
  return lowUnit === highUnit ? `${lowNumber}–${highNumber} ${highUnit}` : `${low} – ${high}`;
}

function roughly(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Number((seconds / 3600).toFixed(1))} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** How long ago a moment was, against the service's clock. */
export function ago(iso, now) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (seconds < 5) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

/** A moment in the reader's own time zone, `2026-11-25 14:03:09`. */
export function clock(iso) {
  if (!iso) return "–";
  const moment = new Date(iso);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day} ${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
}

/** What a job runs, in one line. */
export function commandOf(job) {
  const text = job.command ?? (job.kwargs ? JSON.stringify(job.kwargs) : "");
  return visible(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}

/** A number in few characters, for axes: 950, 4.9k, 1.2M. */
export function short(number) {
  if (number >= 1e6) return `${Number((number / 1e6).toFixed(1))}M`;
  if (number >= 1000) return `${Number((number / 1000).toFixed(1))}k`;
  return String(Number(number.toFixed(2)));
}

/** A moment on an axis whose marks are `step` seconds apart: the time, or the day where one begins. */
export function axisTime(seconds, step) {
  const [day, time] = clock(new Date(seconds * 1000).toISOString()).split(" ");
  return step >= 86400 || time === "00:00:00" ? day.slice(5) : time.slice(0, 5);
}

/** How far a job says that it is: `42% epoch 12`; empty where it says nothing. */
export function farOf(progress) {
  if (!progress) return "";
  const { fraction, text } = progress;
  return [fraction === null ? "" : share(fraction), visible(text)].filter(Boolean).join(" ");
}

/** How a job or an attempt ended: `exit 3`, `oom`, `timeout`; empty where there is nothing to say. */
export function ending(reason, exitCode) {
  if (!reason) return "";
  return reason === "exit" && exitCode !== null && exitCode !== undefined ? `exit ${exitCode}` : reason;
}
