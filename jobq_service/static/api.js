// Every request to the control plane: keys, ETags, patience, and what the page knows of the connection.

import { createStore } from "./store.js";

const BASE = new URL("/api/", location.origin);
const TIMEOUT_SECONDS = 40;
const MOST_REMEMBERED = 60;
const NOT_THERE = [502, 503, 504];
const FLICKER_MS = 3000;
const KEY_NAMES = { status: "jobq-status-key", manage: "jobq-manage-key" };

/** `since`: when the service was lost, or null. `heard`: when it last answered. `why`: what went wrong. */
export const connection = createStore({ since: null, heard: null, why: "" });
/** `{privilege, wasWrong, answer}` while a key is asked for: `answer(key)`, "" for none. */
export const keyAsked = createStore(null);
/** Grows when all that is shown should be asked for again. */
export const wake = createStore(0);

const remembered = new Map();
let clockOffset = 0;

/** An answer that is no success. `detail` says what happened and what to do. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The service gave no answer, or could not. */
export class Unreachable extends Error {}

/** Now, by the service's clock. */
export function serviceNow() {
  return Date.now() + clockOffset;
}

export function refreshAll() {
  wake.set(wake.get() + 1);
}

/** A JSON document below `status`. The same object as last time while the service says that nothing has changed. */
export async function getJson(path, signal) {
  const known = remembered.get(path);
  const response = await send("status", "GET", path, { signal, etag: known?.etag });
  if (response.status === 304 && known) return known.data;
  const data = await response.json();
  remember(path, response.headers.get("etag"), data);
  return data;
}

/** Bytes below `status`, as a response whose body can be read piece by piece. */
export function getBytes(path, signal) {
  return send("status", "GET", path, { signal, isLong: true });
}

/** Change something; below `manage`. */
export async function change(method, path, body, signal) {
  const response = await send("manage", method, path, { signal, body });
  return response.json();
}

export function hasKeys() {
  return Object.values(KEY_NAMES).some((name) => sessionStorage.getItem(name));
}

export function forgetKeys() {
  for (const name of Object.values(KEY_NAMES)) sessionStorage.removeItem(name);
  remembered.clear();
  refreshAll();
}

export async function giveKey(privilege) {
  if (await askKey(privilege, false)) refreshAll();
}

function remember(path, etag, data) {
  remembered.delete(path);
  if (!etag) return;
  remembered.set(path, { etag, data });
  if (remembered.size > MOST_REMEMBERED) remembered.delete(remembered.keys().next().value);
}

async function send(privilege, method, path, options) {
  for (;;) {
    const key = keyOf(privilege);
    const response = await fetched(key, method, path, options);
    if (response.status === 401) {
      if (keyOf(privilege) !== key) continue; // another request has asked meanwhile
      if (!(await askKey(privilege, key !== ""))) throw new Refused(401, `this needs the key for ${privilege}`);
      options.signal?.throwIfAborted();
    } else if (response.status === 429) {
      await pause(retryAfter(response), options.signal);
    } else if (NOT_THERE.includes(response.status)) {
      const why = await detailOf(response);
      lose(why);
      throw new Unreachable(why);
    } else {
      find();
      if (response.ok || response.status === 304) return response;
      throw new Refused(response.status, await detailOf(response));
    }
  }
}

async function fetched(key, method, path, { signal, etag, body, isLong = false }) {
  const headers = { accept: "application/json" };
  if (key) headers["x-functions-key"] = key;
  if (etag) headers["if-none-match"] = etag;
  if (body !== undefined) headers["content-type"] = "application/json";
  const own = new AbortController();
  const leave = () => own.abort();
  const timer = setTimeout(leave, TIMEOUT_SECONDS * 1000);
  signal?.addEventListener("abort", leave);
  try {
    const response = await fetch(new URL(path, BASE), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: isLong ? signal : own.signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
    const date = Date.parse(response.headers.get("date"));
    if (date && Math.abs(date - serviceNow()) > 2000) clockOffset = date - Date.now();
    return response;
  } catch (error) {
    signal?.throwIfAborted();
    const why = own.signal.aborted ? `there was no answer within ${TIMEOUT_SECONDS} s` : "there was no answer";
    lose(why);
    throw new Unreachable(why);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", leave);
  }
}

function lose(why) {
  const before = connection.get();
  connection.set({ ...before, since: before.since ?? Date.now(), why });
}

function find() {
  const { since } = connection.get();
  connection.set({ since: null, heard: Date.now(), why: "" });
  if (since !== null && Date.now() - since > FLICKER_MS) refreshAll(); // else one part fails while others answer
}

function keyOf(privilege) {
  const own = sessionStorage.getItem(KEY_NAMES[privilege]);
  return own ?? sessionStorage.getItem(KEY_NAMES.status) ?? ""; // one key may be for both
}

let asking = { status: null, manage: null };

/** Have somebody type a key; once, however many requests need it. */
function askKey(privilege, wasWrong) {
  asking[privilege] ??= oneQuestion(privilege, wasWrong).finally(() => (asking[privilege] = null));
  return asking[privilege];
}

async function oneQuestion(privilege, wasWrong) {
  while (keyAsked.get()) await new Promise((done) => setTimeout(done, 200));
  const key = await new Promise((answer) => keyAsked.set({ privilege, wasWrong, answer }));
  keyAsked.set(null);
  if (key) sessionStorage.setItem(KEY_NAMES[privilege], key);
  return key;
}

async function detailOf(response) {
  const text = await response.text().catch(() => "");
  try {
    return JSON.parse(text).detail ?? `the answer was ${response.status}`;
  } catch {
    return `the answer was ${response.status}`;
  }
}

function retryAfter(response) {
  const seconds = Number(response.headers.get("retry-after"));
  return seconds > 0 ? Math.min(seconds, 120) : 5;
}

export function pause(seconds, signal) {
  return new Promise((done, fail) => {
    const timer = setTimeout(finish, seconds * 1000);
    signal?.addEventListener("abort", finish);
    function finish() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      if (signal?.aborted) fail(signal.reason);
      else done();
    }
  });
}
