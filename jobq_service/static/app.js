// The dashboard of a jobq control plane: starts it, and what stands around every view.

import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { connection, getJson, giveKey, refreshAll } from "./api.js";
import { askAboutMany, askAboutOne, askToPause, showHelp, toast } from "./asking.js";
import { fits } from "./bulk.js";
import { clock, count, escapeName } from "./format.js";
import { nextTry, usePoll } from "./poll.js";
import { toHash } from "./route.js";
import { useStore } from "./store.js";
import { useKept } from "./ui.js";
import { go, useView } from "./view.js";
import { Dialogs } from "./views/dialogs.js";
import { JobPage } from "./views/job.js";
import { Overview } from "./views/overview.js";

const SUMMARY_SECONDS = 5;
const HIDDEN_SECONDS = 60;

function App() {
  const view = useView();
  const realms = usePoll("status", 60, 600);
  const names = realms.data?.realms ?? [];
  useUsualRealm(view, realms.data);
  const path = view.realm && `status/${view.realm}/summary`;
  const { data: summary, error } = usePoll(path, SUMMARY_SECONDS, HIDDEN_SECONDS);
  useShortcuts(view);
  useTitle(view, summary);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} view=${view} names=${names} summary=${summary} />
    <${Offline} />
    <main id="main" tabindex="-1">
      ${!view.job && html`<h1 class="hidden">Realm ${view.realm}</h1>`}
      ${needsKey(error ?? realms.error) && html`<p class="notice" role="alert">This takes the key for status.
        ${" "}<button type="button" onClick=${() => giveKey("status")}>Give the key…</button></p>`}
      ${view.job ? html`<${JobPage} key=${view.job} view=${view} />`
        : html`<${Overview} key=${view.realm} view=${view} summary=${summary} error=${error ?? realms.error} />`}
    </main>
    <${Toast} />
    <${Dialogs} summary=${summary} view=${view} leave=${() => go({ ...view, job: "" })} />`;
}

function needsKey(error) {
  return error?.status === 401;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Header({ view, names, summary }) {
  const choose = (event) => go({ realm: event.target.value, range: view.range });
  const all = view.realm && !names.includes(view.realm) ? [view.realm, ...names] : names;
  const isPaused = summary?.paused.includes("*");
  return html`<header class="top">
    <a class="brand" href=${toHash({ realm: view.realm })}>jobq</a>
    ${view.realm && html`<label class="realm"><span>realm</span> <select value=${view.realm} onChange=${choose}>
      ${all.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>`}
    ${isPaused && html`<span class="badge paused">paused</span>`}
    ${summary && html`<button type="button" data-testid="action-${isPaused ? "resume" : "pause"}"
      onClick=${() => askToPause(view.realm, "", !isPaused)}>${isPaused ? "Resume" : "Pause"} realm</button>`}
    <span class="space"></span>
    <${Live} />
    <${Theme} />
    <button type="button" data-testid="help" onClick=${showHelp}>Help</button>
  </header>`;
}

function Live() {
  const { since, heard } = useStore(connection);
  if (since) return html`<span class="live lost">offline</span>`;
  const last = heard ? clock(new Date(heard).toISOString()) : "–";
  return html`<span class="live ${heard ? "" : "asking"}" title="The control plane last answered at ${last}">
    ${heard ? "live" : "asking"}</span>`;
}

function Offline() {
  const { since, heard, why } = useStore(connection);
  if (!since) return null;
  const at = (moment) => clock(new Date(moment).toISOString()).slice(11);
  return html`<div class="offline" data-testid="offline">
    <span role="alert"><strong>The control plane cannot be reached since ${at(since)}</strong> (${why}).
    ${" "}${heard ? `What is shown is old: from ${at(heard)}.` : "Nothing has been shown yet."}</span>
    ${" "}<${NextTry} /> <button type="button" onClick=${refreshAll}>Try now</button></div>`;
}

function NextTry() {
  const next = useStore(nextTry);
  const [, setSecond] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSecond((second) => second + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const wait = Math.ceil(((next ?? 0) - Date.now()) / 1000);
  return html`It is tried again ${wait > 0 ? `in ${count(wait)} s` : "now"}.`;
}

function Theme() {
  const [theme, keep] = useKept("jobq-theme", "");
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const turn = () => {
    const next = isDark ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    keep(next);
  };
  return html`<button type="button" data-testid="theme" aria-label="${isDark ? "Light" : "Dark"} theme"
    onClick=${turn}>${isDark ? "Light" : "Dark"}</button>`;
}

function Toast() {
  const said = useStore(toast);
  return html`<div class="toast" role="status" data-testid="toast">${said?.text ?? ""}</div>`;
}

/** Where the address names no realm: the one that was looked at last, or the first. */
function useUsualRealm(view, realms) {
  useEffect(() => {
    if (view.realm) localStorage.setItem("jobq-realm", view.realm);
    else if (realms) {
      const last = localStorage.getItem("jobq-realm");
      const usual = realms.realms.includes(last) ? last : (realms.realms[0] ?? "demo");
      go({ ...view, realm: usual }, { isStep: false });
    }
  }, [view.realm, realms]);
}

function useTitle(view, summary) {
  const failed = summary?.counts.failed;
  useEffect(() => {
    const what = [view.job, view.realm].filter(Boolean).join(" · ");
    document.title = `${failed ? `(${count(failed)} failed) ` : ""}${what ? `${what} · ` : ""}jobq`;
  }, [view.realm, view.job, failed]);
}

function useShortcuts(view) {
  useEffect(() => {
    const onKey = (event) => {
      const isOther = event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented;
      const isTyped = event.target.closest?.("input, select, textarea");
      if (isOther || isTyped || document.querySelector("dialog[open]")) return;
      const isOn = (localStorage.getItem("jobq-shortcuts") ?? "on") === "on";
      const leave = view.job && (() => go({ ...view, job: "" }));
      const act = event.key === "Escape" ? leave : isOn && shortcut(event.key, view);
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [view]);
}

function shortcut(key, view) {
  if (key === "?") return showHelp;
  if (key === "/") return () => document.querySelector("[data-testid=filter-text]")?.focus();
  const action = { r: "retry", c: "cancel" }[key];
  if (!action || !view.realm) return null;
  if (!view.job) return fits(action, view.filter) && (() => askAboutMany(action, view.realm, view.filter));
  const path = `status/${view.realm}/jobs/${escapeName(view.job)}`;
  return async () => askAboutOne(action, view.realm, await getJson(path));
}

render(html`<${App} />`, document.getElementById("page"));
