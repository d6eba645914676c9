// Batches with how far they are, how fast they go, when they may be done, and what failed in them.

import { html } from "../vendor/htm-preact.js";
import { askAboutMany } from "../asking.js";
import { count, etaRange, percent, rate } from "../format.js";
import { toHash } from "../route.js";
import { Ago, Counted, Name, Progress, Section } from "../ui.js";

export function Batches({ view, summary }) {
  const { batches } = summary;
  const newest = summary.more_batches ? `the newest ${count(batches.length)}, ` : "";
  const scope = `now; ${newest}unfinished ones first`;
  return html`<${Section} title="Batches" scope=${scope} id="batches-title">
    ${batches.length === 0 && html`<p class="quiet">No batches.</p>`}
    <ul class="batches" tabindex="0" aria-label="Batches">
      ${batches.map((batch) => html`<${Batch} key=${batch.batch} view=${view} batch=${batch} />`)}
    </ul>
  <//>`;
}

function Batch({ view, batch }) {
  const ended = batch.succeeded + batch.failed + batch.cancelled;
  const filter = { batch: batch.batch };
  const isChosen = view.filter.batch === batch.batch;
  return html`<li class="batch" data-testid="batch-${batch.batch}">
    <div class="line">
      <a class="name" href=${toHash({ ...view, filter })} aria-current=${isChosen ? "true" : undefined}><${Name}
        text=${batch.batch} /></a>
      <span class="when">pushed <${Ago} at=${batch.pushed_at} /></span>
      <span class="actions">
        ${batch.failed > 0 && html`<button type="button" class="small"
          onClick=${() => askAboutMany("retry", view.realm, { ...filter, state: "failed" })}
            aria-label="Retry ${batch.failed} failed of batch ${batch.batch}">Retry ${count(batch.failed)}</button>`}
        ${ended < batch.total && html`<button type="button" class="small"
          onClick=${() => askAboutMany("cancel", view.realm, filter)}
            aria-label="Cancel batch ${batch.batch}">Cancel</button>`}
      </span>
    </div>
    <div class="line">
      <${Progress} counts=${batch} label="batch ${batch.batch}" />
      <span class="percent">${percent(ended, batch.total)}</span>
    </div>
    <div class="line facts">
      <span>${count(ended)} of <${Counted} number=${batch.total} view=${view} filter=${filter}
        what="jobs of batch ${batch.batch}" /> ended</span>
      <${Part} view=${view} batch=${batch} state="running" />
      <${Part} view=${view} batch=${batch} state="queued" />
      <${Part} view=${view} batch=${batch} state="failed" />
      <${Part} view=${view} batch=${batch} state="cancelled" />
      ${batch.preempted > 0 && html`<span class="part preempted"
        title="attempts, so far">${count(batch.preempted)} preempted</span>`}
      ${batch.per_minute !== null && html`<span title="over the last 10 minutes">${rate(batch.per_minute)}/min</span>`}
      ${batch.eta_seconds && html`<span class="eta">done in ${etaRange(batch.eta_seconds)}</span>`}
    </div>
  </li>`;
}

function Part({ view, batch, state }) {
  if (!batch[state]) return null;
  return html`<span class="part ${state}"><${Counted} number=${batch[state]} view=${view}
    filter=${{ batch: batch.batch, state }}
    what="${state} of batch ${batch.batch}" /> ${state}</span>`;
}
