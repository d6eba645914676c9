// The list of jobs that match the filter, and what can be done to all of them.

import { Component, html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { wake } from "../api.js";
import { askAboutMany } from "../asking.js";
import { fits } from "../bulk.js";
import { commandOf, count, duration, farOf, plural, visible } from "../format.js";
import { Listing } from "../listing.js";
import { countedBy, inWords, queryOf, toHash } from "../route.js";
import { Ago, Name, Notice, Section, Since, State } from "../ui.js";
import { Filters } from "./filters.js";

const ACTIONS = [["retry", "Retry all"], ["cancel", "Cancel all"], ["move", "Move all…"], ["remove", "Remove all"]];
const PROGRESS_SECONDS = 10;

export function Jobs({ view, summary }) {
  const [list, more, restart] = useListing(view, summary);
  const counted = countedBy(summary, view.filter);
  const of = counted === null ? "" : ` of ${count(counted)}`;
  const scope = `now; ${inWords(view.filter, visible)}; ${plural(list.jobs.length, "job")} shown${of}, by id`;
  const actions = html`${ACTIONS.map(([action, word]) => html`<button key=${action} type="button"
    data-testid="action-${action}"
    disabled=${!fits(action, view.filter)} onClick=${() => askAboutMany(action, view.realm, view.filter)}
    title=${whyNot(action, view.filter)}>${word}</button>`)}`;
  return html`<${Section} title="Jobs" scope=${scope} id="jobs-title" more=${actions}>
    <${Filters} view=${view} summary=${summary} />
    ${list.isCut && html`<p class="quiet">The first pages are not shown any more. <button type="button"
      onClick=${restart}>Back to the start</button></p>`}
    ${!list.isKeptUp && !list.isBusy && html`<p
      class="quiet">This list took long to find, and is as it was then. <button type="button"
      onClick=${restart}>Look again</button></p>`}
    <${Table} jobs=${list.jobs} view=${view} />
    <${Notice} error=${list.error} retry=${more} />
    <${End} list=${list} more=${more} />
  <//>`;
}

function whyNot(action, filter) {
  if (fits(action, filter)) return "";
  return action === "remove" ? "Filter the jobs first" : "Not for jobs of this state";
}

function End({ list, more }) {
  if (list.isBusy) return html`<p class="quiet end" role="status">Looking…</p>`;
  if (list.error) return null;
  if (list.next === null) return list.jobs.length ? null : html`<p class="quiet end">No job matches.</p>`;
  return html`<p class="end">${list.jobs.length === 0 && "Nothing found so far. "}<button type="button"
    onClick=${more}>${
    list.jobs.length ? "Load more" : "Look further"}</button></p>`;
}

/** Drawn again only when the jobs, or where their links lead, have changed. */
class Table extends Component {
  shouldComponentUpdate(next) {
    return next.jobs !== this.props.jobs || next.view !== this.props.view;
  }
  render({ jobs, view }) {
    if (!jobs.length) return null;
    return html`<div class="scroll"><table class="jobs">
      <caption class="hidden">Jobs: ${inWords(view.filter, visible)}</caption>
      <thead><tr><th scope="col">job</th><th scope="col">state</th><th scope="col" class="right">attempts</th><th
        scope="col">lane</th>
        <th scope="col">tags</th><th scope="col">when</th><th scope="col">command</th></tr></thead>
      <tbody>${jobs.map((job) => html`<${Row} key=${job.id} job=${job} view=${view} />`)}</tbody>
    </table></div>`;
  }
}

class Row extends Component {
  shouldComponentUpdate(next) {
    return next.job !== this.props.job || next.view !== this.props.view;
  }
  render({ job, view }) {
    const command = commandOf(job);
    return html`<tr data-testid="job-${job.id}">
      <th scope="row" class="id"><a href=${toHash({ ...view, job: job.id })}><${Name} text=${job.id} /></a></th>
      <td class="is"><${State} state=${job.state} reason=${job.reason}
        exitCode=${job.exit_code} />${job.cancel_requested && html` <span
        class="badge drain">to be cancelled</span>`}</td>
      <td class="right tries">${count(job.attempts)}</td>
      <td class="lane">${job.lanes.map((lane) => visible(lane)).join(", ")}</td>
      <td class="tags">${job.tags.slice(0, 5).map((tag) => html`<a key=${tag} class="tag"
        href=${toHash({ ...view, filter: { tag } })}><${Name} text=${tag} /></a> `)}${
        job.tags.length > 5 ? `+${job.tags.length - 5}` : ""}</td>
      <td class="when"><${When} job=${job} /></td>
      <td class="command" title=${command}><code>${command}</code></td>
    </tr>`;
  }
}

function When({ job }) {
  if (job.state === "running") {
    const far = farOf(job.progress);
    return html`<${Since} at=${job.started_at} />${far && html` <span class="far">${far}</span>`}`;
  }
  if (job.ended_at && job.state !== "queued") return html`<${Ago} at=${job.ended_at} />${tookOf(job)}`;
  return html`pushed <${Ago} at=${job.pushed_at} />`;
}

function tookOf(job) {
  return job.seconds ? `, took ${duration(job.seconds)}` : "";
}

/** The list of a view, kept up: asked for again when the summary has changed, and while something in it runs. */
function useListing(view, summary) {
  const [list, setList] = useState({ jobs: [], next: null, isBusy: true, isCut: false, isKeptUp: true, error: null });
  const listing = useRef(null);
  useEffect(() => {
    const own = new Listing(view.realm, view.filter, setList);
    listing.current = own;
    own.more();
    return () => own.leave();
  }, [view.realm, queryOf(view.filter)]);
  const isRunning = list.jobs.some((job) => job.state === "running");
  useEffect(() => {
    listing.current.refresh();
  }, [summary]);
  useEffect(() => wake.subscribe(() => listing.current.refresh()), []);
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = setInterval(() => document.hidden || listing.current.refresh(), PROGRESS_SECONDS * 1000);
    return () => clearInterval(timer);
  }, [isRunning]);
  return [list, () => listing.current.more(), () => listing.current.restart()];
}
