// The filter of the job list: what is typed and chosen goes into the page's address.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { visible } from "../format.js";
import { FILTERS, hasNames, parseBox, REASONS, STATES } from "../route.js";
import { go } from "../view.js";

const TYPING_MS = 300;

export function Filters({ view, summary }) {
  const { filter } = view;
  const set = (change, options) => {
    const next = { ...filter, ...change };
    for (const name of FILTERS) if (!next[name]) delete next[name];
    go({ ...view, filter: next }, options);
  };
  const group = filter.error && summary.failures.find((one) => one.error === filter.error);
  return html`<form role="search" aria-label="Filter the jobs"
    class="filters" onSubmit=${(event) => event.preventDefault()}>
    <${Text} text=${filter.text ?? ""} set=${set} />
    <${Choice} name="state" value=${filter.state} options=${STATES} set=${set} />
    <${Choice} name="reason" value=${filter.reason} options=${REASONS} set=${set} />
    <${Choice} name="lane" value=${filter.lane} options=${summary.lanes.map((one) => one.lane)} set=${set} />
    <${Named} name="tag" value=${filter.tag ?? ""} options=${summary.tags.map((one) => one.tag)} set=${set} />
    <${Named} name="batch" value=${filter.batch ?? ""} options=${summary.batches.map((one) => one.batch)} set=${set} />
    ${filter.error && html`<button type="button" class="chip" onClick=${() => set({ error: "" })}
      aria-label="Do not filter by this failure any more">failure: ${visible(group?.line ?? filter.error)} ×</button>`}
    ${Object.keys(filter).length > 0 && html`<button type="button"
      onClick=${() => go({ ...view, filter: {} })}>Clear</button>`}
  </form>`;
}

function Text({ text, set }) {
  const [draft, setDraft] = useDraft(text);
  const timer = useRef(0);
  const apply = (box, options) => {
    clearTimeout(timer.current);
    set(hasNames(box) ? { text: "", ...parseBox(box) } : { text: box.trim() }, options);
  };
  const type = (event) => {
    const box = event.target.value;
    setDraft(box);
    clearTimeout(timer.current);
    if (!hasNames(box)) timer.current = setTimeout(() => apply(box, { isStep: false }), TYPING_MS);
  };
  const onKey = (event) => {
    if (event.key === "Enter") apply(event.target.value);
    if (event.key === "Escape") {
      event.preventDefault(); // which would empty it
      event.target.blur();
    }
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`<label class="text"><span>text</span>
    <input type="search" data-testid="filter-text" value=${draft} onInput=${type} onKeyDown=${onKey}
      onChange=${(event) => apply(event.target.value)}
      placeholder="id, command, arguments … or tag:exp7" autocomplete="off" spellcheck="false" /></label>`;
}

function Choice({ name, value = "", options, set }) {
  const all = value && !options.includes(value) ? [value, ...options] : options;
  return html`<label><span>${name}</span><select value=${value}
    onChange=${(event) => set({ [name]: event.target.value })}>
    <option value="">any</option>
    ${all.map((option) => html`<option key=${option} value=${option}>${visible(option)}</option>`)}</select></label>`;
}

function Named({ name, value, options, set }) {
  const [draft, setDraft] = useDraft(value);
  return html`<label><span>${name}</span><input value=${draft} list="options-${name}" placeholder="any"
    autocomplete="off" spellcheck="false"
      onInput=${(event) => setDraft(event.target.value)}
      onChange=${(event) => set({ [name]: event.target.value.trim() })} />
    <datalist id="options-${name}">${options.map((option) => html`<option key=${option}
      value=${option} />`)}</datalist></label>`;
}

/** What is being typed, until the address says something else. */
function useDraft(value) {
  const [draft, setDraft] = useState(value);
  useEffect(() => setDraft((before) => (before.trim() === value ? before : value)), [value]);
  return [draft, setDraft];
}
