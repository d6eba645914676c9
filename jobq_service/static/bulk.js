// Work on all jobs that match a filter, done by the service piece by piece: this page only says "go on from there".

import { change, getJson, pause, Unreachable } from "./api.js";
import { patience } from "./poll.js";
import { queryOf } from "./route.js";

const FIT = { retry: ["failed", "cancelled"], cancel: ["queued", "running"], move: ["queued"], remove: [] };
const MOST_REFUSALS = 100;

/** Whether an action means anything for a filter. To remove everything takes more than an empty filter. */
export function fits(action, filter) {
  if (action === "remove") return Object.keys(filter).length > 0;
  return !filter.state || FIT[action].includes(filter.state);
}

/** The filters to go through, one after another: what the action is for, where no state is asked for. */
export function passes(action, filter) {
  if (filter.state || !FIT[action].length) return [filter];
  return FIT[action].map((state) => ({ ...filter, state }));
}

/** How many jobs match all of `filters`; `tell` what was counted so far. */
export async function countAll(realm, filters, tell, signal) {
  let found = 0;
  for (const filter of filters) {
    let after = "";
    do {
      const path = `status/${realm}/jobs/count?${queryOf(filter, { after })}`;
      const answer = await patiently(() => getJson(path, signal), signal);
      found += answer.count;
      after = answer.next;
      tell(found);
    } while (after);
  }
  return found;
}

/** Act on all that match; `tell` `{matched, changed, refused}` so far. A piece without an answer is asked for again. */
export async function actOnAll(realm, action, filters, more, tell, signal) {
  const done = { matched: 0, changed: 0, refused: [] };
  for (const filter of filters) {
    let after = null;
    do {
      const body = { ...filter, ...more, ...(after ? { after } : {}) };
      const answer = await patiently(() => change("POST", `manage/${realm}/${action}`, body, signal), signal);
      done.matched += answer.matched;
      done.changed += answer.changed;
      done.refused = [...done.refused, ...answer.refused].slice(0, MOST_REFUSALS);
      after = answer.next ?? null;
      tell({ ...done });
    } while (after);
  }
  return done;
}

/** Repeating a piece is harmless, so a lost answer is no reason to stop. */
async function patiently(ask, signal) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      await pause(patience(failures), signal);
    }
  }
}
