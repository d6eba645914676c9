// What is looked at, as the address bar's hash says it: `#/realm?tag=…&state=…`, `#/realm/job/{id}`. Never a key.

export const FILTERS = ["state", "reason", "tag", "batch", "lane", "text", "error"];
export const STATES = ["queued", "running", "succeeded", "failed", "cancelled"];
export const REASONS = ["exit", "signal", "timeout", "oom", "upload", "lost", "preempted", "cancelled", "undecodable"];
export const RANGES = ["1h", "6h", "24h", "7d", "30d"];
const SECONDS = { h: 3600, d: 86400 };
const USUAL_RANGE = "24h";
const REALM = /^[a-z0-9](?:-?[a-z0-9]){2,39}$/;

/** `realm`, `job` (an id, or ""), `filter` (only what is set) and `range`. What does not fit is left out. */
export function parseHash(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [realm = "", kind = "", job = ""] = path.split("/").map(decoded);
  const asked = new URLSearchParams(query);
  const filter = {};
  for (const name of FILTERS) {
    const value = asked.get(name);
    if (value) filter[name] = value;
  }
  if (filter.state && !STATES.includes(filter.state)) delete filter.state;
  if (filter.reason && !REASONS.includes(filter.reason)) delete filter.reason;
  const range = RANGES.includes(asked.get("range")) ? asked.get("range") : USUAL_RANGE;
  const isRealm = REALM.test(realm);
  return { realm: isRealm ? realm : "", job: isRealm && kind === "job" ? job : "", filter, range };
}

/** How many seconds one of RANGES is. */
export function secondsOf(range) {
  return parseInt(range, 10) * SECONDS[range.at(-1)];
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

export function toHash({ realm = "", job = "", filter = {}, range = USUAL_RANGE }) {
  const path = [realm, ...(job ? ["job", job] : [])].map(encodeURIComponent).join("/");
  const query = queryOf(filter, range === USUAL_RANGE ? {} : { range });
  return `#/${path}${query && `?${query}`}`;
}

/** A filter as a query, for the page's address and for the service alike. */
export function queryOf(filter, more = {}) {
  const query = new URLSearchParams();
  for (const name of FILTERS) if (filter[name]) query.set(name, filter[name]);
  for (const [name, value] of Object.entries(more)) if (value) query.set(name, value);
  return query.toString();
}

export function isSame(one, other) {
  return queryOf(one) === queryOf(other);
}

/** `tag:exp7 state:failed "house work" fit` as a filter; words without a name are its text. */
export function parseBox(box) {
  const filter = {};
  const words = [];
  for (const [, name, quoted, plain] of box.matchAll(/(?:([a-z]+):)?(?:"([^"]*)"|(\S+))/g)) {
    const value = quoted ?? plain;
    if (name && FILTERS.includes(name) && name !== "text") filter[name] = value;
    else words.push(name ? `${name}:${value}` : value);
  }
  if (filter.state && !STATES.includes(filter.state)) delete filter.state;
  if (filter.reason && !REASONS.includes(filter.reason)) delete filter.reason;
  const text = words.join(" ");
  return text ? { ...filter, text } : filter;
}

/** Whether a filter box holds more than text. */
export function hasNames(box) {
  return new RegExp(`(?:^|\\s)(?:${FILTERS.join("|")}):\\S`).test(box);
}

/** A filter in words: `state failed, tag exp7`. `show` makes a stranger's name fit to be shown. */
export function inWords(filter, show = String) {
  const named = FILTERS.filter((name) => filter[name]).map((name) => {
    const value = show(filter[name]);
    if (name === "text") return `text “${value}”`;
    if (name === "error") return `failure group ${value}`;
    return `${name} ${value}`;
  });
  return named.length ? named.join(", ") : "all jobs";
}

/** How many jobs a filter has, where the summary counts just that; else null. */
export function countedBy(summary, filter) {
  const { state = "total", ...rest } = filter;
  const names = Object.keys(rest).filter((name) => rest[name]);
  if (!summary || names.length > 1) return null;
  if (!names.length) return summary.counts[state];
  const [name] = names;
  if (name === "error" && (state === "total" || state === "failed")) {
    return summary.failures.find((group) => group.error === rest.error)?.jobs ?? null;
  }
  const counted = { tag: summary.tags, batch: summary.batches, lane: summary.lanes }[name];
  return counted?.find((one) => one[name] === rest[name])?.[state] ?? null;
}
