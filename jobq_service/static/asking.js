// What the page asks before it changes anything, and what it says afterwards. One dialog at a time.

import { createStore } from "./store.js";

export const dialog = createStore(null);
export const toast = createStore(null);

/** `retry`, `cancel`, `move` or `remove` all that match. */
export function askAboutMany(action, realm, filter) {
  dialog.set({ kind: "many", action, realm, filter });
}

export function askAboutOne(action, realm, job) {
  dialog.set({ kind: "one", action, realm, job });
}

/** The whole realm without a lane. */
export function askToPause(realm, lane, isToPause) {
  dialog.set({ kind: "pause", realm, lane, isToPause });
}

export function askToDrain(realm, worker) {
  dialog.set({ kind: "drain", realm, worker });
}

export function showHelp() {
  dialog.set({ kind: "help" });
}

export function closeDialog() {
  dialog.set(null);
}

export function say(text) {
  const said = { text };
  toast.set(said);
  setTimeout(() => toast.get() === said && toast.set(null), 8000);
}
