// The fleet: what each worker runs, how busy its machine is, when it was heard of, and whether it is to end.

import { html, useState } from "../vendor/htm-preact.js";
import { askToDrain } from "../asking.js";
import { count, farOf, plural, share } from "../format.js";
import { toHash } from "../route.js";
import { Ago, Meter, Name, Section, useNow } from "../ui.js";

const SHOWN_AT_FIRST = 60;

export function Workers({ view, workers, summary }) {
  const [most, setMost] = useState(SHOWN_AT_FIRST);
  const all = workers?.workers ?? [];
  const busy = all.reduce((sum, worker) => sum + worker.running.length, 0);
  const slots = all.reduce((sum, worker) => sum + worker.slots, 0);
  const scope = workers
    ? `now; ${plural(all.length, "worker")}, ${count(busy)} of ${plural(slots, "slot")} at work`
    : "now";
  return html`<${Section} title="Workers" scope=${scope} id="workers-title">
    ${workers && !all.length && html`<p class="quiet">
      ${summary.counts.queued ? "No worker is there for what waits: " : "No worker is there. "}
      <code>jobq worker</code> starts one.</p>`}
    <ul class="workers">${all.slice(0, most).map((worker) => html`<${Worker} key=${worker.id}
      view=${view} worker=${worker} />`)}</ul>
    ${all.length > most && html`<button type="button"
      onClick=${() => setMost(most + 200)}>
      Show ${count(Math.min(200, all.length - most))} more of ${count(all.length)}</button>`}
  <//>`;
}

function Worker({ view, worker }) {
  const isOld = useIsOld(worker);
  const labels = Object.entries(worker.labels).map(([name, value]) => `${name}=${value}`);
  const free = worker.slots - worker.running.length;
  const isIdle = !worker.running.length;
  const classes = ["worker", worker.draining && "draining", isOld && "old", isIdle && "idle"].filter(Boolean);
  return html`<li class=${classes.join(" ")} data-testid="worker-${worker.id}">
    <div class="line"><strong class="name"><${Name} text=${worker.host || worker.id} /></strong>
      ${worker.draining && html`<span class="badge drain">draining</span>`}
      ${isOld && html`<span class="badge silent">silent</span>`}
      ${!worker.draining && html`<button type="button" class="small" data-testid="action-drain"
        onClick=${() => askToDrain(view.realm, worker.id)}
        aria-label="Drain worker ${worker.id}">Drain</button>`}</div>
    <p class="quiet small"><${Name} text=${worker.id} />${labels.length > 0 && html` · <${Name}
      text=${labels.join(" ")} />`}${worker.image && html` · <${Name} text=${worker.image} />`}</p>
    <ul class="runs">${worker.running.slice(0, 8).map((id) => html`<${Run} key=${id} view=${view}
      id=${id} progress=${worker.progress[id]} />`)}
      ${worker.running.length > 8 && html`<li class="quiet">and ${count(worker.running.length - 8)} more</li>`}
      ${free > 0 && html`<li class="quiet">
        ${worker.running.length ? `${plural(free, "slot")} free` : "idle"}</li>`}</ul>
    <${Meter} value=${worker.cpu} label="CPU" hint="processes that ran or waited to, for each processor"
      text=${share(worker.cpu)} />
    <${Meter} value=${worker.memory} label="memory" text=${share(worker.memory)} />
    ${worker.gpus.slice(0, 8).map((gpu, index) => html`<${Meter} key=${index} value=${gpu.use} label="GPU ${index}"
      text="${share(gpu.use)}, ${share(gpu.memory)} memory" />`)}
    <p class="quiet small beat">last beat <${Ago} at=${worker.beat_at} /></p>
  </li>`;
}

function Run({ view, id, progress }) {
  const far = farOf(progress);
  return html`<li><a href=${toHash({ ...view, job: id })}><${Name} text=${id} /></a>${far && html` <span
    class="quiet">${far}</span>`}</li>`;
}

/** Half of the time for which it is believed has gone by without a word from it, and half a minute at least. */
function useIsOld({ beat_at, expires_at }) {
  const now = useNow();
  const beat = Date.parse(beat_at);
  return now - beat > Math.max(30_000, (Date.parse(expires_at) - beat) / 2);
}
