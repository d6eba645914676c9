// What the charts draw, out of what the service tells. Plain functions: no page, no network.

import { clock, count, duration, rate } from "./format.js";

const STOCKS = ["waiting", "running", "workers"];
const ENDS = ["succeeded", "failed", "preempted"];

/** Numbers per minute for each bucket: `times` (seconds since 1970) and a list for each end; null in gaps. */
export function throughput(history) {
  const minutes = history.step / 60;
  return withGaps(history, (point) => ENDS.map((end) => point[end] / minutes));
}

/** Jobs that waited, jobs that ran and workers, at the end of each bucket. */
export function waiting(history) {
  return withGaps(history, (point) => [point.waiting, point.running, point.workers]);
}

function withGaps({ points, step }, valuesOf) {
  const columns = [[], [], [], []];
  const add = (row) => row.forEach((value, index) => columns[index].push(value));
  let last = null;
  for (const point of points) {
    const at = Date.parse(point.at) / 1000;
    if (last !== null && at - last > 1.5 * step) add([last + step, null, null, null]);
    add([at, ...valuesOf(point)]);
    last = at;
  }
  return columns;
}

/** Each list on top of the ones before it, as a stack is drawn: [times, a, a + b, a + b + c]. */
export function stacked([times, ...lists]) {
  const sums = times.map(() => 0);
  return [times, ...lists.map((list) => list.map((value, index) => (value === null ? null : (sums[index] += value))))];
}

/** `3 s – 10 s` and how many, for each bar that there is something to say about. */
export function bars({ bounds, counts }) {
  const found = counts.map((number, index) => ({ label: between(bounds, index), under: upTo(bounds, index), number }));
  const first = counts.findIndex((number) => number > 0);
  if (first < 0) return [];
  const last = counts.length - 1 - [...counts].reverse().findIndex((number) => number > 0);
  return found.slice(Math.max(0, first - 1), Math.min(counts.length, last + 2));
}

function between(bounds, index) {
  if (index === 0) return `under ${duration(bounds[0])}`;
  if (index === bounds.length) return `over ${duration(bounds[index - 1])}`;
  return `${duration(bounds[index - 1])} – ${duration(bounds[index])}`;
}

function upTo(bounds, index) {
  return index === bounds.length ? `> ${duration(bounds[index - 1])}` : `≤ ${duration(bounds[index])}`;
}

/** What a chart shows, in one sentence, for who does not see it. */
export function throughputInWords(history) {
  const sums = ENDS.map((end) => [end, history.points.reduce((sum, point) => sum + point[end], 0)]);
  return sums.map(([end, sum]) => `${count(sum)} ${end}`).join(", ");
}

export function waitingInWords({ points }) {
  if (!points.length) return "nothing yet";
  const last = points[points.length - 1];
  const most = Math.max(...points.map((point) => point.waiting));
  const now = `${count(last.waiting)} waiting, ${count(last.running)} running, ${count(last.workers)} workers`;
  return `now ${now}; at most ${count(most)} waiting`;
}

export function durationsInWords(found) {
  return found.map(({ label, number }) => `${label}: ${count(number)}`).join(", ") || "nothing yet";
}

/** A table of the same: heads and rows of text. */
export function throughputTable(history) {
  const minutes = history.step / 60;
  const rows = history.points.map((point) => [clock(point.at), ...ENDS.map((end) => rate(point[end] / minutes))]);
  return { heads: ["until", ...ENDS.map((end) => `${end} per minute`)], rows };
}

export function waitingTable({ points }) {
  const rows = points.map(({ at, ...found }) => [clock(at), ...STOCKS.map((stock) => count(found[stock]))]);
  return { heads: ["at", ...STOCKS], rows };
}

export function durationsTable(found) {
  return { heads: ["run time", "runs"], rows: found.map(({ label, number }) => [label, count(number)]) };
}

/** A job's attempts, oldest first; of one that ran before attempts were kept, the last as the job itself tells it. */
export function attemptsOf(job) {
  if (job.attempt_list?.length || !job.started_at || !job.attempts) return job.attempt_list ?? [];
  const { started_at, seconds, worker, reason, exit_code, message, attempts } = job;
  const isGoing = job.state === "running";
  const computed = new Date(Date.parse(started_at) + 1000 * (seconds ?? 0)).toISOString();
  const ended_at = isGoing ? null : (job.ended_at ?? computed);
  const last = { attempt: attempts, started_at, ended_at, seconds, worker, exit_code, message };
  return [{ ...last, reason: isGoing ? null : reason }];
}

/** A job's attempts as parts of the time from its push to its end: `left` and `width` in percent. */
export function segments(job, attempts, now) {
  const from = Date.parse(job.pushed_at);
  const ends = attempts.map((one) => (one.ended_at ? Date.parse(one.ended_at) : now));
  const whole = Math.max(1, ...ends.map((end) => end - from));
  const parts = attempts.map((one, index) => {
    const start = Math.max(from, Date.parse(one.started_at));
    const left = Math.min(99.5, (100 * (start - from)) / whole);
    const width = Math.max(0.5, Math.min(100 - left, (100 * (ends[index] - start)) / whole));
    const kind = kindOf(one);
    const title = `attempt ${one.attempt}: ${one.reason ?? kind}, ${duration((ends[index] - start) / 1000)}`;
    return { attempt: one.attempt, left, width, kind, title };
  });
  return { parts, seconds: whole / 1000 };
}

/** How an attempt stands, in a word that is its colour, too. */
export function kindOf({ ended_at, reason }) {
  if (!ended_at) return "running";
  if (!reason) return "succeeded";
  return ["preempted", "cancelled", "lost"].includes(reason) ? reason : "failed";
}
