// One job: what it is, its attempts over time, how it ended, its log, result and files.

import { html, useState } from "../vendor/htm-preact.js";
import { askAboutOne } from "../asking.js";
import { clock, count, duration, escapeName, plural, share, visible, visibleLines } from "../format.js";
import { usePoll } from "../poll.js";
import { toHash } from "../route.js";
import { attemptsOf } from "../series.js";
import { Ago, Copy, Name, Notice, Section, State } from "../ui.js";
import { Log } from "./log.js";
import { Timeline } from "./timeline.js";

const MOST_CHARACTERS = 100_000;
const WORDS = { retry: "Retry", cancel: "Cancel", move: "Move", remove: "Remove" };
const FIT = { retry: ["failed", "cancelled"], cancel: ["queued", "running"], move: ["queued"] };

export function JobPage({ view }) {
  const path = `status/${view.realm}/jobs/${escapeName(view.job)}`;
  const [hasEnded, setEnded] = useState(false);
  const { data: job, error } = usePoll(path, hasEnded ? 30 : 3);
  const [chosen, choose] = useState(0);
  const ended = Boolean(job) && !["queued", "running"].includes(job.state);
  if (ended !== hasEnded) setEnded(ended);
  const back = html`<p><a href=${toHash({ ...view, job: "" })}>← back to the list</a></p>`;
  if (!job) {
    return html`${back}${error ? html`<${Notice} error=${error} />` : html`<p class="quiet">Asking…</p>`}`;
  }
  const attempts = attemptsOf(job);
  const isAll = attempts.length >= job.attempts;
  const scope = isAll ? "from the push on" : `${count(attempts.length)} of ${count(job.attempts)}`;
  return html`${back}
    ${error?.status === 404 && html`<p class="notice"
      role="alert">This job has been removed. What is shown is the last that was known of it.</p>`}
    <header class="jobhead"><h1><${Name} text=${job.id} /></h1><${State} state=${job.state} reason=${job.reason}
      exitCode=${job.exit_code} />
      ${job.cancel_requested && html`<span class="badge drain">to be cancelled</span>`}
      <div class="more">${Object.keys(WORDS).map((action) => html`<button key=${action}
        type="button" data-testid="action-${action}"
        disabled=${FIT[action] && !FIT[action].includes(job.state)}
          onClick=${() => askAboutOne(action, view.realm, job)}>${WORDS[action]}</button>`)}</div>
    </header>
    ${job.message && html`<p class="message">${visible(job.message)}</p>`}
    <div class="columns even">
      <${Section} title="What it is" id="what-title"><${Facts} job=${job} view=${view} /><//>
      <${Section} title="Attempts" scope=${scope} id="attempts-title">
        <${Timeline} job=${job} attempts=${attempts} choose=${choose} view=${view} /><//>
    </div>
    ${attempts.length > 0 && html`<${Log} path=${path} attempts=${attempts} chosen=${chosen} choose=${choose} />`}
    <${Result} job=${job} />
    ${job.files && html`<${Files} path=${`${path}/files`} manifest=${job.files} />`}`;
}

function Facts({ job, view }) {
  const tagLinks = job.tags.map((tag) => html`<a key=${tag} class="tag"
    href=${toHash({ ...view, job: "", filter: { tag } })}><${Name} text=${tag} /></a> `);
  const lanes = job.lanes.map((lane) => html`<a key=${lane} class="tag"
    href=${toHash({ ...view, job: "", filter: { lane } })}><${Name} text=${lane} /></a> `);
  const took = job.seconds ? `, took ${duration(job.seconds)}` : "";
  const facts = [
    ["batch", html`<a href=${toHash({ ...view, job: "", filter: { batch: job.batch } })}><${Name} text=${job.batch} />
      </a>`],
    ["tags", job.tags.length ? tagLinks : "none"],
    ["lanes", lanes],
    ["progress", job.progress && html`${job.progress.fraction !== null && share(job.progress.fraction)} <${Name}
      text=${job.progress.text} />`],
    ["pushed", html`<${Ago} at=${job.pushed_at} />`],
    ["started", job.started_at && html`<${Ago} at=${job.started_at} />`],
    ["ended", job.ended_at && html`<${Ago} at=${job.ended_at} />${took}`],
    ["due", job.state === "queued" && job.due_at && clock(job.due_at)],
    ["worker", job.worker && html`<code><${Name} text=${job.worker} /></code>`],
    ["tries", Object.entries(job.tries).map(([reason, number]) => `${number} × ${reason}`).join(", ")],
    ["limits", limitsOf(job)],
    ["environment", job.env_names.length > 0 && html`${job.env_names.map(visible).join(", ")} <span
      class="quiet">(values are not shown)</span>`],
    ["outputs to", job.bg_dirsync_to && html`<code><${Name} text=${job.bg_dirsync_to} /></code>`],
  ];
  const command = job.command ?? (job.kwargs ? JSON.stringify(job.kwargs, null, 2) : "");
  return html`<div class="command"><pre tabindex="0" role="region" aria-label="Command">
    <code>${clipped(command)}</code></pre><${Copy} text=${command} /></div>
    <dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<div key=${name}>
      <dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function limitsOf(job) {
  const retries = job.num_retries === 1 ? "1 retry" : `${count(job.num_retries)} retries`;
  const parts = [retries, plural(job.crash_limit, "lost worker"), plural(job.max_preemptions, "preemption")];
  if (job.timeout) parts.push(`${duration(job.timeout)} each`);
  return parts.join(", ");
}

function Result({ job }) {
  if (job.result === null || job.result === undefined) return null;
  const text = JSON.stringify(job.result, null, 2);
  return html`<${Section} title="Result" scope="as the job wrote it" id="result-title" more=${html`<${Copy}
    text=${text} />`}>
    <pre class="result" tabindex="0" role="region" aria-label="What the job wrote">${clipped(text)}</pre><//>`;
}

function Files({ path, manifest }) {
  const { data, error } = usePoll(path, 3600);
  const scope = data ? `${data.files.length < data.total ? `the first ${count(data.files.length)} of ` : ""}${
    plural(data.total, "file")} that came with it` : "";
  return html`<${Section} title="Files" scope=${scope} id="files-title">
    <${Notice} error=${error} />
    ${data && html`<div class="scroll"><table data-testid="files">
      <caption class="hidden">Files</caption>
      <thead><tr><th scope="col">path</th><th scope="col" class="right">bytes</th></tr></thead>
      <tbody>${data.files.map((file) => html`<tr key=${file.path}>
        <th scope="row"><code class="break"><${Name} text=${file.path} /></code>${
          file.executable && html` <span class="quiet">executable</span>`}</th>
        <td class="right">${count(file.size)}</td></tr>`)}</tbody></table></div>`}
    <p class="quiet">Stored as <code class="break"><${Name} text=${manifest} /></code></p><//>`;
}

function clipped(text) {
  const shown = visibleLines(text.slice(0, MOST_CHARACTERS));
  return text.length > MOST_CHARACTERS ? `${shown}\n… (${count(text.length)} characters in all)` : shown;
}
