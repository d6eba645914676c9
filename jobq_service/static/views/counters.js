// The six counters of a realm, and what is said beside them.

import { html } from "../vendor/htm-preact.js";
import { count, etaRange, plural, rate } from "../format.js";
import { STATES, toHash } from "../route.js";

export function Counters({ view, summary }) {
  const { counts } = summary;
  return html`<section aria-labelledby="counters-title" class="counters">
    <h2 id="counters-title" class="hidden">Jobs by state, now, in the whole realm</h2>
    <ul>
      ${["total", ...STATES].map((state) => html`<${Counter} key=${state} view=${view} state=${state}
        number=${counts[state]} />`)}
    </ul>
    <p class="scope">now, in the whole realm · ${plural(summary.workers, "worker")} with
      ${" "}${plural(summary.slots, "slot")} · ${said(summary.per_minute)}${
        summary.eta_seconds ? html` · the rest in <strong>${etaRange(summary.eta_seconds)}</strong>` : ""
      }</p>
  </section>`;
}

function Counter({ view, state, number }) {
  const filter = state === "total" ? {} : { state };
  const isChosen = (view.filter.state ?? "total") === state && Object.keys(view.filter).length <= 1;
  return html`<li><a class="counter ${state}" href=${toHash({ ...view, filter })} data-testid="counter-${state}"
    aria-current=${isChosen ? "true" : undefined}>
    <span class="figure">${count(number)}</span><span class="word">${state}</span></a></li>`;
}

function said(perMinute) {
  const parts = ["succeeded", "failed", "preempted"].map((end) => [end, perMinute[end]]);
  if (parts.every(([, number]) => number === null)) return "no rate is known yet";
  return parts.map(([end, number]) => `${rate(number)} ${end}`).join(", ") + " a minute over the last 10 minutes";
}
