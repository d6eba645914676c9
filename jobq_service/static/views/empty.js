// A realm without jobs: the three commands to start with, with this control plane's own address.

import { html } from "../vendor/htm-preact.js";
import { Copy } from "../ui.js";

export function Empty({ realm }) {
  const address = `${location.origin}/api/${realm || "demo"}`;
  const commands = [
    ["Install it", "pip install '.[azure]'", "in a clone of jobq"],
    ["Push a job", `jobq ${address} push -c 'echo hello from $JOBQ_JOB_ID'`,
      "or thousands: one a line on standard input"],
    ["Start a worker", `jobq ${address} worker`, "on any machine that reaches the queue; as many as you like"],
  ];
  return html`<section class="empty panel" data-testid="empty" aria-labelledby="empty-title">
    <h2 id="empty-title">Nothing is in realm ${realm || "demo"} yet</h2>
    <p>Three commands, and this page shows what becomes of it:</p>
    <ol>${commands.map(([title, command, hint]) => html`<li key=${title}>
      <h3>${title}</h3><div class="command"><pre><code>${command}</code></pre><${Copy} text=${command} /></div><p
        class="quiet">${hint}</p></li>`)}</ol>
    <p class="quiet">Where a control plane asks for keys, <code>JOBQ_KEY</code> holds the one for pushing.</p>
  </section>`;
}
