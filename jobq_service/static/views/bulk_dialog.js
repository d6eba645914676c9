// Before all that match are changed: how many, and which. While it goes on: how far it is, and how to stop it.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { refreshAll } from "../api.js";
import { closeDialog, say } from "../asking.js";
import { actOnAll, countAll, passes } from "../bulk.js";
import { count, plural, visible } from "../format.js";
import { inWords } from "../route.js";
import { Dialog, Name, Notice } from "../ui.js";

const WORDS = {
  retry: { verb: "Retry", done: "Queued again", hint: "They are queued again, with all their tries." },
  cancel: { verb: "Cancel", done: "Cancelled", hint: "What waits does not start any more; what runs is asked to end." },
  move: { verb: "Move", done: "Moved", hint: "What runs stays where it is." },
  remove: { verb: "Remove", done: "Removed", hint: "They go for good, logs and results, too; what runs ends first." },
};
const MOST_SHOWN = 20;

export function BulkDialog({ asked, summary }) {
  const { action, realm } = asked;
  const lanes = summary?.lanes.map((one) => one.lane) ?? [];
  const [source, setSource] = useState(asked.filter.lane ?? lanes[0] ?? "0");
  const [target, setTarget] = useState("");
  const isMove = action === "move";
  const filter = isMove ? { ...asked.filter, lane: source } : asked.filter;
  const filters = passes(action, filter);
  const [found, counting, countError] = useCount(realm, filters, `${action} ${source}`);
  const [work, start, stop] = useWork(realm, action, filters, isMove ? { from: source, to: target } : {});
  const { verb, hint } = WORDS[action];
  const isReady = !counting && !countError && found > 0 && (!isMove || (target && target !== source));
  return html`<${Dialog} title="${verb} all that match" close=${work.isGoing ? () => {} : closeDialog}>
    ${isMove && html`<${Lanes} lanes=${lanes} source=${source} setSource=${setSource}
      target=${target} setTarget=${setTarget}
      isFixed=${Boolean(asked.filter.lane)} isGoing=${work.isBegun} />`}
    <p class="asked">${verb} <strong>${counting ? `${count(found)} … (counting)` : plural(found, "job")}</strong>
      ${" "}of realm <strong>${realm}</strong>:
      ${" "}<strong>${inWords(filter, visible)}</strong>${statesOf(filter, filters)}${
        isMove && target ? html`, to lane <strong><${Name} text=${target} /></strong>` : ""}.</p>
    <p class="quiet">${hint}</p>
    <${Notice} error=${countError ?? work.error} />
    ${work.isBegun && html`<${Done} work=${work} found=${found} word=${WORDS[action].done} />`}
    <div class="buttons">
      ${work.isGoing ? html`<button type="button" onClick=${stop}>Stop</button>`
        : html`<button type="button" onClick=${closeDialog}>${work.isBegun ? "Close" : "Leave it"}</button>`}
      ${!work.isOver && html`<button type="button"
        class=${action === "remove" || action === "cancel" ? "danger" : "primary"} data-testid="confirm"
        disabled=${!isReady || work.isGoing} onClick=${start}>${wordOf(work, verb, counting, found)}</button>`}
    </div>
  <//>`;
}

/** What the states are that an action is for, where the filter names none. */
function statesOf(filter, filters) {
  if (filter.state || !filters[0].state) return "";
  return `, as far as they are ${filters.map((one) => one.state).join(" or ")}`;
}

function wordOf(work, verb, counting, found) {
  if (work.isGoing) return "Working…";
  if (work.isBegun) return `Go on: ${verb.toLowerCase()} the rest`;
  return counting ? `${verb} …` : `${verb} ${plural(found, "job")}`;
}

function Lanes({ lanes, source, setSource, target, setTarget, isFixed, isGoing }) {
  return html`<div class="fields">
    <label>from lane <select value=${source} disabled=${isFixed || isGoing}
      onChange=${(event) => setSource(event.target.value)}>
      ${[...new Set([source, ...lanes])].map((lane) => html`<option key=${lane}
        value=${lane}>${visible(lane)}</option>`)}</select></label>
    <label>to lane <input value=${target} disabled=${isGoing} autocomplete="off" size="8"
      onInput=${(event) => setTarget(event.target.value.trim())} /></label>
  </div>`;
}

function Done({ work, found, word }) {
  const { matched, changed, refused } = work.done;
  return html`<div data-testid="progress">
    <progress max=${Math.max(found, matched, 1)} value=${matched} aria-label="Jobs seen to"></progress>
    <p role="status">${word}: ${count(changed)} of ${count(matched)} seen to${
      refused.length ? `; ${count(matched - changed)} refused` : ""}${
      work.isStopped ? " – stopped; what is done stays done" : work.isOver ? " – all done" : ""}</p>
    ${refused.length > 0 && html`<ul class="refused">
      ${refused.slice(0, MOST_SHOWN).map((one) => html`<li key=${one.id}>
        <code><${Name} text=${one.id} /></code>: <${Name} text=${one.error} /></li>`)}
      ${refused.length > MOST_SHOWN && html`<li>and ${count(refused.length - MOST_SHOWN)} more</li>`}</ul>`}
  </div>`;
}

function useCount(realm, filters, key) {
  const [state, setState] = useState([0, true, null]);
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    setState([0, true, null]);
    countAll(realm, filters, (found) => signal.aborted || setState([found, true, null]), signal)
      .then((found) => setState([found, false, null]))
      .catch((error) => signal.aborted || setState([0, false, error]));
    return () => leaving.abort();
  }, [key]);
  return state;
}

const NONE = { matched: 0, changed: 0, refused: [] };
const IDLE = { done: NONE, isBegun: false, isGoing: false, isOver: false, isStopped: false, error: null };

/** The work, how to start it (twice is as once) and how to stop it. */
function useWork(realm, action, filters, more) {
  const [work, setWork] = useState(IDLE);
  const going = useRef(null);
  useEffect(() => () => going.current?.abort(), []);
  const start = async () => {
    if (going.current) return;
    const leaving = new AbortController();
    going.current = leaving;
    setWork({ ...IDLE, isBegun: true, isGoing: true });
    try {
      const tell = (soFar) => setWork((before) => ({ ...before, done: soFar }));
      const done = await actOnAll(realm, action, filters, more, tell, leaving.signal);
      setWork((before) => ({ ...before, done, isGoing: false, isOver: true }));
      const refused = done.refused.length ? `, ${count(done.matched - done.changed)} refused` : "";
      say(`${WORDS[action].done}: ${plural(done.changed, "job")}${refused}`);
    } catch (error) {
      const isStopped = leaving.signal.aborted;
      setWork((before) => ({ ...before, isGoing: false, isStopped, error: isStopped ? null : error }));
    } finally {
      going.current = null;
      refreshAll();
    }
  };
  return [work, start, () => going.current?.abort()];
}
