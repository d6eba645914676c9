// The small parts that every view is made of.

import { Component, html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { serviceNow } from "./api.js";
import { ago, clock, count, duration, ending, percent, visible } from "./format.js";
import { toHash } from "./route.js";
import { createStore, useStore } from "./store.js";

/** The moment, every few seconds: what is shown as `2 min ago` grows older together. */
const moment = createStore(serviceNow());
setInterval(() => document.hidden || moment.set(serviceNow()), 5000);

export function useNow() {
  return useStore(moment);
}

/** A stranger's text in one line. The text only: never markup. */
export function Name({ text }) {
  return html`<bdi>${visible(text)}</bdi>`;
}

export function Ago({ at }) {
  const now = useNow();
  return at ? html`<time datetime=${at} title=${clock(at)}>${ago(at, Math.max(now, Date.parse(at)))}</time>` : "–";
}

/** How long something has gone on. */
export function Since({ at }) {
  const now = useNow();
  const seconds = Math.max(0, Math.floor((now - Date.parse(at)) / 1000));
  return html`<time datetime=${at} title=${clock(at)}>for ${duration(seconds)}</time>`;
}

export function State({ state, reason, exitCode }) {
  const end = state === "succeeded" || reason === state ? "" : ending(reason, exitCode);
  const isBefore = state === "queued" || state === "running"; // what is said is of the attempt before
  return html`<span class="state ${state}">${state}</span>${end && html` <span
    class="reason">${isBefore ? "after " : ""}${end}</span>`}`;
}

/** A number that leads to the list of what it counts. */
export function Counted({ number, view, filter, what, testid }) {
  const label = `${count(number)} ${what}: show them`;
  const target = toHash({ ...view, job: "", filter });
  return html`<a class="number" href=${target} aria-label=${label} title=${label}
    data-testid=${testid}>${count(number)}</a>`;
}

const PARTS = ["succeeded", "failed", "cancelled", "running"];

/** How far some jobs are: a bar of what has ended and what runs. */
export function Progress({ counts, label }) {
  const ended = counts.succeeded + counts.failed + counts.cancelled;
  const parts = PARTS.map((part) => `${count(counts[part])} ${part}`).join(", ");
  const said = `${label}: ${percent(ended, counts.total)} ended; ${parts}`;
  return html`<span class="bar" role="progressbar" aria-label=${said} aria-valuemin="0" aria-valuemax="100"
    aria-valuenow=${counts.total ? Math.floor((100 * ended) / counts.total) : 0} title=${said}>
    ${PARTS.filter((part) => counts[part] > 0).map(
      (part) => html`<span key=${part} class=${part} style=${{ width: `${(100 * counts[part]) / counts.total}%` }}>
        </span>`,
    )}
  </span>`;
}

export function Meter({ value, label, text, hint }) {
  const width = `${Math.min(100, Math.round(100 * (value ?? 0)))}%`;
  const level = value > 0.9 ? "high" : "";
  return html`<span class="meter" title=${hint}><span class="what">${label}</span>
    <span class="track" aria-hidden="true"><span class="fill ${level}" style=${{ width }}></span></span>
    <span class="much">${text}</span></span>`;
}

/** A part of the page under a heading. `scope` says what its numbers are about. */
export function Section({ title, scope, id, more, children, testid }) {
  return html`<section aria-labelledby=${id} class="panel" data-testid=${testid}>
    <header class="head"><h2 id=${id} tabindex="-1">${title}</h2>${scope && html`<p class="scope">${scope}</p>`}
      ${more && html`<div class="more">${more}</div>`}</header>
    ${children}
  </section>`;
}

/** Draws its children again only when one of `on` has changed. */
export class Steady extends Component {
  shouldComponentUpdate(next) {
    return next.on.some((value, index) => value !== this.props.on[index]);
  }
  render() {
    return this.props.draw();
  }
}

/** A modal dialog: the browser keeps the focus inside, and gives it back. */
export function Dialog({ title, close, testid, children }) {
  const dialog = useRef(null);
  const name = `${testid ?? "dialog"}-title`;
  useEffect(() => {
    const shown = dialog.current;
    const before = document.activeElement;
    shown.showModal();
    return () => {
      shown.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    close();
  };
  return html`<dialog ref=${dialog} aria-labelledby=${name} data-testid=${testid} onCancel=${cancel}>
    <h2 id=${name}>${title}</h2>
    ${children}
  </dialog>`;
}

export function Notice({ error, retry }) {
  if (!error) return null;
  return html`<p class="notice" role="alert">${visible(error.message)} ${
    retry && html`<button type="button" onClick=${retry}>Try again</button>`
  }</p>`;
}

/** Copies text; says so on itself. */
export function Copy({ text, label = "Copy" }) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      setSaid("Not allowed");
    }
    setTimeout(() => setSaid(""), 2000);
  };
  return html`<button type="button" class="quiet" onClick=${copy}>${said || label}</button>`;
}

/** A value of localStorage, as the page has it. */
export function useKept(name, usual) {
  const [value, setValue] = useState(localStorage.getItem(name) ?? usual);
  const keep = (next) => {
    localStorage.setItem(name, next);
    setValue(next);
  };
  return [value, keep];
}
