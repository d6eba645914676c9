// Throughput, waiting against workers, and how long runs take.

import { html, useMemo, useState } from "../vendor/htm-preact.js";
import { clock, count, plural, rate, short } from "../format.js";
import { Plot } from "../plot.js";
import { usePoll } from "../poll.js";
import { RANGES, secondsOf, toHash } from "../route.js";
import * as series from "../series.js";
import { Notice, Steady } from "../ui.js";

const HINT = "Shown from the first minutes of work on.";
const THROUGHPUT = [
  { label: "preempted", color: "--preempted", kind: "bars" },
  { label: "failed", color: "--failed", kind: "bars" },
  { label: "succeeded", color: "--succeeded", kind: "bars" },
];
const WAITING = [
  { label: "waiting", color: "--queued", kind: "area" },
  { label: "running", color: "--running", kind: "line", isRight: true },
  { label: "workers", color: "--workers", kind: "line", isRight: true },
];

export function Charts({ view, summary }) {
  const { data: history, error } = usePoll(`status/${view.realm}/history?range=${view.range}`, 20);
  return html`<section aria-labelledby="charts-title" class="charts">
    <div class="ranges"><h2 id="charts-title">Over time</h2>
      <nav aria-label="Range of the charts"><ul>${RANGES.map((range) => html`<li key=${range}>
        <a href=${toHash({ ...view, range })} aria-current=${range === view.range ? "true" : undefined}>${range}</a>
          </li>`)}</ul></nav></div>
    <${Notice} error=${history ? null : error} />
    <div class="row">
      <${Steady} on=${[history]} draw=${() => html`<${Throughput} history=${history} range=${view.range} />`} />
      <${Steady} on=${[history]} draw=${() => html`<${Waiting} history=${history} range=${view.range} />`} />
      <${Steady} on=${[summary.durations]} draw=${() => html`<${Durations} durations=${summary.durations} />`} />
    </div>
  </section>`;
}

function Throughput({ history, range }) {
  const found = useMemo(() => history && drawn(series.stacked(series.throughput(history))), [history]);
  const plain = useMemo(() => history && drawn(series.throughput(history)), [history]);
  return html`<${Chart} title="Throughput" scope="jobs a minute, last ${range}" testid="chart-throughput"
    words=${history && series.throughputInWords(history)} table=${() => series.throughputTable(history)}
    data=${found} read=${plain} lines=${THROUGHPUT} range=${range} show=${rate} hint=${HINT} />`;
}

/** The tallest bars of a stack are drawn first, so that the shorter ones stand before them. */
function drawn([times, ...lists]) {
  return [times, ...lists.reverse()];
}

function Waiting({ history, range }) {
  const found = useMemo(() => history && series.waiting(history), [history]);
  return html`<${Chart} title="Waiting and workers" scope="last ${range}" testid="chart-waiting"
    words=${history && series.waitingInWords(history)} table=${() => series.waitingTable(history)}
    data=${found} read=${found} lines=${WAITING} range=${range} show=${count} hint=${HINT} />`;
}

function Durations({ durations }) {
  const found = series.bars(durations);
  const most = Math.max(1, ...found.map(({ number }) => number));
  const runs = found.reduce((sum, { number }) => sum + number, 0);
  const body = html`<div class="histogram"
    aria-hidden="true">${found.map(({ label, under, number }) => html`<div key=${label} class="column"
    title="${label}: ${count(number)}">
      <span class="many">${number ? short(number) : ""}</span>
      <span class="stack" style=${{ height: `${Math.round((100 * number) / most)}px` }}></span><span
        class="under">${under}</span></div>`)}</div>`;
  return html`<${Frame} title="Run times" scope="of ${plural(runs, "run")} that succeeded" testid="chart-durations"
    words=${series.durationsInWords(found)} table=${() => series.durationsTable(found)}
    isEmpty=${!found.length} hint="Shown as soon as a job has succeeded.">${body}<//>`;
}

function Chart({ title, scope, testid, words, table, data, read, lines, range, show, hint }) {
  const [index, setIndex] = useState(null);
  const points = read ? read[0].length : 0;
  const at = index !== null && index < points ? index : null;
  const legend = html`<p class="legend" aria-hidden="true">
    ${lines.map((line, number) => html`<span key=${line.label} class="key">
      <span class="swatch" style=${{ background: `var(${line.color})` }}></span>
      ${line.label}${line.isRight ? " (right)" : ""}
      <strong>${at === null ? "" : show(read[number + 1][at])}</strong></span>`)}
    <span class="at">${at === null ? "" : clock(new Date(read[0][at] * 1000).toISOString()).slice(5, 16)}</span></p>`;
  return html`<${Frame} title=${title} scope=${scope} testid=${testid} words=${words} table=${table}
    isEmpty=${!points} isAsked=${!data} hint=${hint}>${legend}<${Plot}
      data=${data} series=${lines} span=${secondsOf(range)} onPoint=${setIndex} /><//>`;
}

function Frame({ title, scope, testid, words, table, isEmpty, isAsked, hint, children }) {
  const [isTable, setTable] = useState(false);
  return html`<figure class="panel chart" data-testid=${testid}>
    <figcaption class="head"><h3>${title}</h3><p class="scope">${scope}</p>
      ${!isEmpty && html`<button type="button" class="quiet" aria-pressed=${isTable ? "true" : "false"}
        onClick=${() => setTable(!isTable)}
        aria-label="${title} as a table">Table</button>`}</figcaption>
    ${isEmpty ? html`<p class="quiet hint">${isAsked ? "Asking…" : hint}</p>`
      : isTable ? html`<${Figures} title=${title} table=${table()} />`
      : html`<div role="img" aria-label="${title}, ${scope}: ${words}">${children}</div>`}
  </figure>`;
}

function Figures({ title, table }) {
  return html`<div class="scroll figures" tabindex="0" role="region" aria-label="${title} as a table"><table>
    <thead><tr>${table.heads.map((head) => html`<th key=${head} scope="col">${head}</th>`)}</tr></thead>
    <tbody>${[...table.rows].reverse().map((row) => html`<tr key=${row[0]}>${row.map((text, index) =>
      index ? html`<td key=${index}>${text}</td>` : html`<th key="0" scope="row">${text}</th>`)}</tr>`)}</tbody>
  </table></div>`;
}
