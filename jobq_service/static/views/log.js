// An attempt's output, followed while it runs.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { serviceNow } from "../api.js";
import { visibleOutput } from "../format.js";
import { startPolling } from "../poll.js";
import { Notice, Section } from "../ui.js";
import { lately, Tail } from "../tail.js";

const FOLLOW_SECONDS = 2;
const ENDED_SECONDS = 60;

export function Log({ path, attempts, chosen, choose }) {
  const attempt = attempts.find((one) => one.attempt === chosen) ?? attempts.at(-1);
  const isGoing = !attempt.ended_at;
  const [shown, fromStart] = useTail(path, attempt, isGoing);
  const picker = html`<label>attempt <select value=${attempt.attempt}
    onChange=${(event) => choose(Number(event.target.value))}>
    ${attempts.map((one) => html`<option key=${one.attempt} value=${one.attempt}>${one.attempt}</option>`)}</select>
      </label>`;
  return html`<${Section} title="Log" scope="attempt ${attempt.attempt}${isGoing ? ", followed while it runs" : ""}"
    id="log-title" more=${attempts.length > 1 && picker}>
    <${Notice} error=${shown.error} />
    ${shown.isCut && html`<p class="quiet">Earlier output is left out. <button type="button"
      onClick=${fromStart}>Read from the start</button>
      ${" "}(at most its last 400,000 characters are kept here; <code>jobq logs</code> has all of it)</p>`}
    <${Text} text=${shown.text} isAsked=${shown.isAsked} isGoing=${isGoing} key=${attempt.attempt} />
  <//>`;
}

function useTail(path, attempt, isGoing) {
  const [state, setState] = useState({ text: "", isCut: false, isAsked: false, error: null });
  const [round, setRound] = useState(0);
  const kept = useRef({});
  useEffect(() => {
    const name = `${path} ${attempt.attempt}`;
    if (kept.current.name !== name) {
      kept.current = { name, tail: new Tail(path, attempt.attempt) };
      setState({ text: "", isCut: false, isAsked: false, error: null });
    }
    const { tail } = kept.current;
    const since = lately(attempt, serviceNow());
    const read = (signal) => tail.read(signal, since).then(() => tail.text);
    // Once more after the end: what was written last may come after the word of it.
    return startPolling(read, isGoing ? FOLLOW_SECONDS : ENDED_SECONDS, 0, ({ error = null }) =>
      setState((before) => {
        const next = { text: tail.text, isCut: tail.isCut, isAsked: true, error };
        return Object.keys(next).every((key) => next[key] === before[key]) ? before : next;
      }),
    );
  }, [path, attempt.attempt, isGoing, round]);
  const fromStart = () => {
    kept.current.tail.fromStart();
    setRound(round + 1);
  };
  return [state, fromStart];
}

function Text({ text, isAsked, isGoing }) {
  const box = useRef(null);
  const [isAtEnd, setAtEnd] = useState(true);
  useLayoutEffect(() => {
    if (isAtEnd && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, isAtEnd]);
  const onScroll = ({ target }) => setAtEnd(target.scrollHeight - target.scrollTop - target.clientHeight < 24);
  if (!text) return html`<p class="quiet"
    data-testid="log">${isAsked ? (isGoing ? "No output yet." : "No output.") : "Asking…"}</p>`;
  return html`<div class="log"><pre ref=${box} data-testid="log" tabindex="0" role="region" aria-label="Output"
    dir="ltr" onScroll=${onScroll}>${visibleOutput(text)}</pre>
    ${!isAtEnd && html`<button type="button" class="jump" onClick=${() => setAtEnd(true)}>Jump to end</button>`}</div>`;
}
