// Asking again and again: every few seconds, seldom while nobody looks, and ever more patiently while nothing answers.

import { useEffect, useState } from "./vendor/htm-preact.js";
import { getJson, refreshAll, wake } from "./api.js";
import { createStore } from "./store.js";

const MOST_PATIENCE_SECONDS = 60;
const NOTHING = { path: "", data: null, error: null };

/** When a failed request is sent again, or null. */
export const nextTry = createStore(null);

/** `data` (null until there is some) and `error` of a document that is asked for every `seconds`.
 *
 * While the page is hidden: every `hiddenSeconds`, or not at all without them. Nothing is told while nothing changes.
 */
export function usePoll(path, seconds, hiddenSeconds = 0) {
  const [state, setState] = useState(NOTHING);
  useEffect(() => {
    if (!path) return undefined;
    const tell = (found) =>
      setState((before) => {
        const kept = before.path === path ? before : NOTHING;
        const next = { path, data: found.data ?? kept.data, error: found.error ?? null };
        return next.path === before.path && next.data === before.data && next.error === before.error ? before : next;
      });
    return startPolling((signal) => getJson(path, signal), seconds, hiddenSeconds, tell);
  }, [path, seconds]);
  return state.path === path ? state : NOTHING;
}

/** Call `ask` in turns until the returned function is called; `tell` its `{data}` or `{error}`. */
export function startPolling(ask, seconds, hiddenSeconds, tell) {
  const leaving = new AbortController();
  let timer = 0;
  let failures = 0;
  let isBusy = false;

  async function once() {
    if (isBusy || leaving.signal.aborted) return;
    clearTimeout(timer);
    isBusy = true;
    try {
      const data = await ask(leaving.signal);
      failures = 0;
      if (!leaving.signal.aborted) tell({ data });
    } catch (error) {
      if (leaving.signal.aborted) return;
      failures += 1;
      tell({ error });
    } finally {
      isBusy = false;
    }
    if (!leaving.signal.aborted) later();
  }

  function later() {
    clearTimeout(timer);
    const rest = document.hidden ? hiddenSeconds : seconds;
    if (!rest) return;
    const wait = failures ? patience(failures) : rest;
    if (failures) nextTry.set(Date.now() + wait * 1000);
    timer = setTimeout(once, wait * 1000);
  }

  const onVisible = () => (document.hidden ? later() : once());
  document.addEventListener("visibilitychange", onVisible);
  const unsubscribe = wake.subscribe(once);
  once();
  return () => {
    leaving.abort();
    clearTimeout(timer);
    unsubscribe();
    document.removeEventListener("visibilitychange", onVisible);
  };
}

/** Seconds before the next try after some failures: 2, 4, 8, … and a little chance, so that pages fall out of step. */
export function patience(failures) {
  return Math.min(MOST_PATIENCE_SECONDS, 2 ** Math.min(failures, 6)) * (0.85 + 0.3 * Math.random());
}

addEventListener("online", refreshAll);
