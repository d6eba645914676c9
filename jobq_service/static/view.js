// The view that the address bar says, and how to go to another one.

import { useEffect, useState } from "./vendor/htm-preact.js";
import { parseHash, toHash } from "./route.js";

const listeners = new Set();

/** `realm, job, filter, range`, kept up with the address. */
export function useView() {
  const [view, setView] = useState(parseHash(location.hash));
  useEffect(() => {
    const look = () => setView(parseHash(location.hash));
    listeners.add(look);
    addEventListener("hashchange", look);
    return () => {
      listeners.delete(look);
      removeEventListener("hashchange", look);
    };
  }, []);
  return view;
}

/** Go there; `isStep: false` for what one would not go back to, such as each letter typed. */
export function go(view, { isStep = true } = {}) {
  const hash = toHash(view);
  if (hash === location.hash) return;
  history[isStep ? "pushState" : "replaceState"](null, "", hash);
  for (const look of listeners) look();
}
