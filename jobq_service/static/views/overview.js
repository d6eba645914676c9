// A realm's page: counters, charts, batches, failures, tags and lanes, jobs, workers.

import { html, useEffect, useRef } from "../vendor/htm-preact.js";
import { usePoll } from "../poll.js";
import { isSame } from "../route.js";
import { Notice, Steady } from "../ui.js";
import { Batches } from "./batches.js";
import { Charts } from "./charts.js";
import { Counters } from "./counters.js";
import { Empty } from "./empty.js";
import { Failures } from "./failures.js";
import { Jobs } from "./jobs.js";
import { Lanes, Tags } from "./tags.js";
import { Workers } from "./workers.js";

export function Overview({ view, summary, error }) {
  const workers = usePoll(view.realm && `status/${view.realm}/workers`, 5);
  useGoToList(view);
  if (!summary && error) return error.status === 401 ? null : html`<${Notice}
    error=${error} />`; // the key is asked for above
  if (!summary) return html`<p class="quiet">Asking…</p>`;
  if (!summary.counts.total) {
    return html`<${Empty} realm=${view.realm} /><${Workers} view=${view} workers=${workers.data} summary=${summary} />`;
  }
  return html`
    <${Steady} on=${[summary, view]} draw=${() => html`<${Counters} view=${view} summary=${summary} />`} />
    <${Charts} view=${view} summary=${summary} />
    <${Steady} on=${[summary, view]} draw=${() => html`
      <div class="columns">
        <div class="column"><${Batches} view=${view} summary=${summary} /><${Tags} view=${view} summary=${summary} />
          </div>
        <div class="column"><${Failures} view=${view} summary=${summary} /><${Lanes} view=${view} summary=${summary} />
          </div>
      </div>`} />
    <${Jobs} view=${view} summary=${summary} />
    <${Workers} view=${view} workers=${workers.data} summary=${summary} />
  `;
}

/** Whoever follows a number wants to see its list. */
function useGoToList(view) {
  const before = useRef(view);
  useEffect(() => {
    const last = before.current;
    before.current = view;
    const isTyping = document.activeElement?.closest?.("[role=search]");
    if (last === view || isTyping || last.realm !== view.realm || isSame(last.filter, view.filter)) return;
    const heading = document.getElementById("jobs-title");
    heading?.scrollIntoView({ block: "start" });
    heading?.focus({ preventScroll: true });
  }, [view]);
}
