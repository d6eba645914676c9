// Tags and lanes: how far each is; lanes can be paused.

import { html } from "../vendor/htm-preact.js";
import { askToPause } from "../asking.js";
import { count, percent } from "../format.js";
import { STATES, toHash } from "../route.js";
import { Counted, Name, Progress, Section } from "../ui.js";

export function Tags({ view, summary }) {
  const scope = summary.more_tags ? `now; the first ${count(summary.tags.length)}` : "now";
  return html`<${Section} title="Tags" scope=${scope} id="tags-title">
    ${summary.tags.length === 0
      ? html`<p class="quiet">No tags: <code>jobq push --tag NAME</code> gives jobs one.</p>`
      : html`<${Rows} view=${view} rows=${summary.tags} by="tag" />`}
  <//>`;
}

export function Lanes({ view, summary }) {
  const isAllPaused = summary.paused.includes("*");
  const isOff = (lane) => isAllPaused || summary.paused.includes(lane);
  const mark = (lane) => isOff(lane) && html` <span class="badge paused">paused</span>`;
  const button = (lane) => {
    const isPaused = isOff(lane);
    return html`${!isAllPaused && html`<button type="button" class="small"
        data-testid="action-${isPaused ? "resume" : "pause"}-${lane}"
        onClick=${() => askToPause(view.realm, lane, !isPaused)}
        aria-label="${isPaused ? "Resume" : "Pause"} lane ${lane}">${isPaused ? "Resume" : "Pause"}</button>`}`;
  };
  return html`<${Section} title="Lanes" scope="now; the lowest goes first" id="lanes-title">
    <${Rows} view=${view} rows=${summary.lanes} by="lane" mark=${mark} last=${button} />
  <//>`;
}

function Rows({ view, rows, by, mark, last }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Counts of each ${by}"><table class="counts">
    <thead><tr><th scope="col">${by}</th>${!last && html`<th scope="col">ended</th>`}
      ${STATES.map((state) => html`<th key=${state} scope="col" class="right">${state}</th>`)}
      <th scope="col" class="right">total</th>${last && html`<th scope="col"><span class="hidden">actions</span>
        </th>`}</tr></thead>
    <tbody>${rows.map((row) => html`<${Row} key=${row[by]} view=${view} row=${row} by=${by} mark=${mark}
      last=${last} />`)}</tbody>
  </table></div>`;
}

function Row({ view, row, by, mark, last }) {
  const name = row[by];
  const filter = { [by]: name };
  const what = `of ${by} ${name}`;
  const ended = row.succeeded + row.failed + row.cancelled;
  return html`<tr data-testid="${by}-${name}">
    <th scope="row"><a href=${toHash({ ...view, filter })}
      aria-current=${view.filter[by] === name ? "true" : undefined}><${Name} text=${name} /></a>${mark?.(name)}</th>
    ${!last && html`<td><span class="withbar"><${Progress} counts=${row} label="${by} ${name}" /><span
      class="percent">${percent(ended, row.total)}</span></span></td>`}
    ${STATES.map((state) => html`<td key=${state} class="right ${row[state] ? state : "none"}">
      <${Counted} number=${row[state]} view=${view} filter=${{ ...filter, state }} what="${state} ${what}" /></td>`)}
    <td class="right"><${Counted} number=${row.total} view=${view} filter=${filter} what="jobs ${what}" /></td>
    ${last && html`<td class="right">${last(name)}</td>`}
  </tr>`;
}
