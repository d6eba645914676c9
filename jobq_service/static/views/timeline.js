// A job's attempts over time: drawn to scale, and as a table.

import { html } from "../vendor/htm-preact.js";
import { clock, duration, ending, visible } from "../format.js";
import { kindOf, segments } from "../series.js";
import { Ago, Name, useNow } from "../ui.js";

export function Timeline({ job, attempts, choose }) {
  const now = useNow();
  if (!attempts.length) return html`<p class="quiet"
    data-testid="timeline">Not started yet; pushed <${Ago} at=${job.pushed_at} />.</p>`;
  const { parts, seconds } = segments(job, attempts, now);
  return html`<div data-testid="timeline">
    <div class="track" role="img"
      aria-label="${attempts.length} attempts within ${duration(seconds)}; the table has them one by one">
      ${parts.map((part) => html`<span key=${part.attempt} class="part ${part.kind}" title=${part.title}
        style=${{ left: `${part.left}%`, width: `${part.width}%` }}></span>`)}
    </div>
    <p class="ends"><span>pushed ${clock(job.pushed_at)}</span><span>${duration(seconds)} in all</span></p>
    <div class="scroll" tabindex="0" role="region" aria-label="How each attempt ended"><table class="attempts">
      <thead><tr><th scope="col">attempt</th><th scope="col">end</th><th scope="col">started</th><th scope="col"
        class="right">took</th><th scope="col">worker</th><th scope="col"><span class="hidden">log</span></th></tr>
        </thead>
      <tbody>${attempts.map((one) => html`<${Attempt} key=${one.attempt} one=${one} now=${now}
        choose=${choose} />`)}</tbody>
    </table></div>
  </div>`;
}

function Attempt({ one, now, choose }) {
  const kind = kindOf(one);
  const seconds = one.seconds ?? (one.ended_at ? null : Math.max(0, (now - Date.parse(one.started_at)) / 1000));
  const show = () => {
    choose(one.attempt);
    document.getElementById("log-title")?.scrollIntoView({ block: "start" });
  };
  return html`<tr data-testid="attempt-${one.attempt}">
    <th scope="row">${one.attempt}</th>
    <td><span class="state ${kind}">${kind}</span> <span
      class="reason">${one.reason === kind ? "" : ending(one.reason, one.exit_code)}</span>${
      one.message && html`<div class="quiet said"><${Name} text=${one.message} /></div>`}</td>
    <td title=${clock(one.started_at)}>${clock(one.started_at).slice(5)}</td><td class="right">${duration(seconds)}</td>
    <td>${one.worker ? html`<code title=${visible(one.worker)}><${Name} text=${one.worker} /></code>` : "–"}</td>
    <td><button type="button" class="small" onClick=${show} aria-label="Log of attempt ${one.attempt}">Log</button></td>
  </tr>`;
}
