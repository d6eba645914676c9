// What failed alike: one row for each last line of output, the most jobs first.

import { html } from "../vendor/htm-preact.js";
import { askAboutMany } from "../asking.js";
import { count, plural } from "../format.js";
import { toHash } from "../route.js";
import { Name, Section } from "../ui.js";

export function Failures({ view, summary }) {
  const { failures } = summary;
  const scope = `now, by the last line${summary.more_failures ? `; the ${count(failures.length)} most frequent` : ""}`;
  return html`<${Section} title="Failures" scope=${scope} id="failures-title">
    ${failures.length === 0 &&
      html`<p class="quiet">${summary.counts.failed ? "Not grouped yet." : "Nothing has failed."}</p>`}
    <ul class="failures" tabindex="0" aria-label="Failures that are alike">
      ${failures.map((group) => html`<${Group} key=${group.error} view=${view} group=${group} />`)}
    </ul>
  <//>`;
}

function Group({ view, group }) {
  const filter = { error: group.error, state: "failed" };
  return html`<li data-testid="failure-${group.error}">
    <a href=${toHash({ ...view, filter })} aria-current=${view.filter.error === group.error ? "true" : undefined}>
      <span class="number">${count(group.jobs)}</span>
      <span class="said"><${Name} text=${group.line} /></span>
    </a>
    <button type="button" class="small" onClick=${() => askAboutMany("retry", view.realm, filter)}
      aria-label="Retry ${plural(group.jobs, "job")} that failed with this">Retry</button>
  </li>`;
}
