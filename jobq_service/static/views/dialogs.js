// The dialogs: one change of one thing, the key, the help.

import { html, useState } from "../vendor/htm-preact.js";
import { change, forgetKeys, giveKey, hasKeys, keyAsked, refreshAll } from "../api.js";
import { closeDialog, dialog, say } from "../asking.js";
import { escapeName, visible } from "../format.js";
import { useStore } from "../store.js";
import { Dialog, Notice, useKept } from "../ui.js";
import { BulkDialog } from "./bulk_dialog.js";

export function Dialogs({ summary, view, leave }) {
  const asked = useStore(dialog);
  const key = useStore(keyAsked);
  return html`
    ${asked?.kind === "many" && html`<${BulkDialog} key="many" asked=${asked} summary=${summary} />`}
    ${asked?.kind === "help" && html`<${Help} />`}
    ${asked && !["many", "help"].includes(asked.kind) &&
      html`<${Confirm} key=${asked.kind} ...${changeOf(asked, leave)} />`}
    ${key && html`<${KeyDialog} key=${key.privilege} asked=${key} realm=${view.realm} />`}`;
}

/** What is asked, and what is done then: `title, text, word, isDanger, act(value), said`. */
function changeOf(asked, leave) {
  if (asked.kind === "pause") return pauseOf(asked);
  if (asked.kind === "drain") {
    return {
      title: "Drain a worker",
      text: `Worker ${visible(asked.worker)} finishes what it runs, takes nothing new, and ends.`,
      word: "Drain it",
      act: () => change("POST", `manage/${asked.realm}/workers/${escapeName(asked.worker)}/drain`),
      said: `Asked worker ${visible(asked.worker)} to drain`,
    };
  }
  return changeOfJob(asked, leave);
}

function pauseOf({ realm, lane, isToPause }) {
  const what = lane ? `lane ${visible(lane)} of realm ${realm}` : `realm ${realm}`;
  return {
    title: `${isToPause ? "Pause" : "Resume"} ${what}`,
    text: isToPause ? "Workers take nothing new from there. What runs goes on." : "Workers take jobs from there again.",
    word: isToPause ? "Pause it" : "Resume it",
    act: () => change("POST", `manage/${realm}/${isToPause ? "pause" : "resume"}`, lane ? { lane } : {}),
    said: `${isToPause ? "Paused" : "Resumed"} ${what}`,
  };
}

function changeOfJob({ action, realm, job }, leave) {
  const name = visible(job.id);
  const path = `manage/${realm}/jobs/${escapeName(job.id)}`;
  const from = job.lanes[0] ?? "0";
  const isRunning = job.state === "running";
  return {
    retry: {
      title: `Retry job ${name}`,
      text: "It is queued again, with all its tries.",
      word: "Retry it",
      act: () => change("POST", `${path}/retry`),
      said: `Queued ${name} again`,
    },
    cancel: {
      title: `Cancel job ${name}`,
      text: isRunning ? "Its worker is asked to end it." : "It does not start any more.",
      word: "Cancel it",
      isDanger: true,
      act: () => change("POST", `${path}/cancel`, {}),
      said: `Cancelled ${name}, or asked its worker to`,
    },
    move: {
      title: `Move job ${name}`,
      text: `From lane ${visible(from)} to another one.`,
      word: "Move it",
      field: { label: "to lane" },
      act: (to) => change("POST", `manage/${realm}/move`, { ids: [job.id], from, to }).then(onlyChanged),
      said: `Moved ${name}`,
    },
    remove: {
      title: `Remove job ${name}`,
      text: `It goes for good, with its log and result.${isRunning ? " Its worker is asked to end it first." : ""}`,
      word: "Remove it",
      isDanger: true,
      act: () => change("DELETE", path).then(leave),
      said: `Removed ${name}`,
    },
  }[action];
}

function onlyChanged(answer) {
  if (answer.refused.length) throw new Error(answer.refused[0].error);
}

function Confirm({ title, text, word, isDanger, field, act, said }) {
  const [value, setValue] = useState("");
  const [isGoing, setGoing] = useState(false);
  const [error, setError] = useState(null);
  const go = async (event) => {
    event.preventDefault();
    if (isGoing) return;
    setGoing(true);
    try {
      await act(value);
      closeDialog();
      say(said);
      refreshAll();
    } catch (failure) {
      setError(failure);
      setGoing(false);
    }
  };
  return html`<${Dialog} title=${title} close=${closeDialog}><form onSubmit=${go}>
    <p>${text}</p>
    ${field && html`<label>${field.label} <input value=${value} required autocomplete="off" size="8"
      onInput=${(event) => setValue(event.target.value.trim())} /></label>`}
    <${Notice} error=${error} />
    <div class="buttons"><button type="button" onClick=${closeDialog}>Leave it</button>
      <button type="submit" class=${isDanger ? "danger" : "primary"} data-testid="confirm"
        disabled=${isGoing || (field && !value)}>${isGoing ? "Working…" : word}</button></div>
  </form><//>`;
}

function KeyDialog({ asked }) {
  const [key, setKey] = useState("");
  const { privilege, wasWrong, answer } = asked;
  const give = (event) => {
    event.preventDefault();
    if (key.trim()) answer(key.trim());
  };
  return html`<${Dialog} title="The key for ${privilege}" close=${() => answer("")} testid="key-dialog">
    <form onSubmit=${give}>
    ${wasWrong && html`<p class="notice" role="alert">The key that was sent was not taken: it is wrong,
      it has expired, or it is not for ${privilege}.</p>`}
    <p>${privilege === "status" ? "This control plane shows what is in it to those who have its key for status."
      : "To change something takes the key for manage. Without it, everything can still be looked at."}</p>
    <label class="wide">Key for ${privilege} <input type="password" data-testid="key-input" value=${key}
      autocomplete="off" spellcheck="false"
      onInput=${(event) => setKey(event.target.value)} /></label>
    <p class="quiet">It stays in this tab until the tab is closed, and is sent to this control plane only,
      as a header.</p>
    <div class="buttons"><button type="button" onClick=${() => answer("")}>Not now</button>
      <button type="submit" class="primary" disabled=${!key.trim()}>Use this key</button></div>
  </form><//>`;
}

const KEYS = [
  ["/", "filter the jobs by text"],
  ["r", "retry all that match the filter, or the job that is shown"],
  ["c", "cancel all that match, or the job that is shown"],
  ["?", "this help"],
  ["Escape", "close a dialog, leave the filter box or a job's page"],
];

function Help() {
  const [shortcuts, setShortcuts] = useKept("jobq-shortcuts", "on");
  return html`<${Dialog} title="Keys and help" close=${closeDialog}>
    <dl class="keys">${KEYS.map(([key, what]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${what}</dd>
      </div>`)}</dl>
    <label><input type="checkbox" checked=${shortcuts === "on"}
      onChange=${(event) => setShortcuts(event.target.checked ? "on" : "off")} />
      ${" "}keys of one letter do something</label>
    <p>The filter box also takes <code>tag:exp7 state:failed reason:oom lane:0 batch:b1</code> and
      quotes: <code>tag:"house work"</code>. Every number leads to the list of what it counts; the address of this page
      holds the filter, so it can be kept or sent.</p>
    <div class="buttons">
      ${hasKeys() && html`<button type="button"
        onClick=${() => { forgetKeys(); closeDialog(); }}>Forget the keys</button>`}
      <button type="button" onClick=${() => { closeDialog(); giveKey("status"); }}>Key for status…</button>
      <button type="button" onClick=${() => { closeDialog(); giveKey("manage"); }}>Key for manage…</button>
      <button type="button" class="primary" onClick=${closeDialog}>Close</button></div>
  <//>`;
}
