"""The dashboard, of few and of many jobs: how soon it shows, what an update takes, what a poll sends."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from bench.options import Options
from bench.processes import Failed
from bench.report import Table, judged, middle, number
from bench.stores import JOBQ, Store, fresh_store
from jobq.core.api import RealmApi
from jobq.core.realm import Realm
from jobq.model.job import NewJob, Spec

ENDED = 300
"""Jobs that a worker runs first, so that rates, run times and failures are there to be shown."""
WINDOW = 1000
START_SECONDS = 60
TIMEOUT_SECONDS = 60
COLUMNS = [
    *("jobs", "first paint, ms", "counters, ms", "list, ms", "update, ms", "of it busy, ms"),
    *("bytes of a poll", "unchanged", "target for counters"),
]
WATCH = """
window.shown = {};
new MutationObserver(() => {
  const counter = document.querySelector('[data-testid="counter-total"]');
  if (counter) shown.counters ??= performance.now();
  const text = counter?.textContent;
  if (text !== shown.text) [shown.text, shown.changed] = [text, performance.now()];
  if (document.querySelector('[data-testid^="job-"]')) shown.jobs ??= performance.now();
}).observe(document, {subtree: true, childList: true, characterData: true});
"""
"""Kept by the page itself, by its own clock: what is seen when."""


@dataclass(slots=True)
class _Seen:
    paint: list[float] = field(default_factory=list)
    counters: list[float] = field(default_factory=list)
    jobs: list[float] = field(default_factory=list)
    update: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    changed_bytes: int = 0
    same_bytes: int = 0


def dashboard(options: Options) -> Table:
    sizes = (500, 2000) if options.quick else (1000, 100_000)
    loads = options.count(10, 2)
    seen = {size: _measure(size, loads) for size in sizes}
    base = statistics.median(seen[sizes[0]].counters)
    rows = [_row(size, one, base if size != sizes[0] else None) for size, one in seen.items()]
    return Table(
        "dashboard",
        "The dashboard in Chromium, over `jobq serve` on a local folder",
        f"{loads} loads and as many updates a row; medians and range",
        COLUMNS,
        rows,
        [
            f"{ENDED} of the jobs have ended, in 3 ways; the others wait, in 50 batches with 20 tags. Times of a load "
            "are from its start, in a fresh context, with nothing kept. An update: from asking for the summary after a "
            "push until its new total stands there; busy is what the page's main thread did in that time. Bytes: "
            "headers and body of the answer to a poll, when something has changed and when nothing has."
        ],
    )


def _row(size: int, seen: _Seen, base: float | None) -> list[str]:
    times = [middle(values) for values in (seen.paint, seen.counters, seen.jobs, seen.update, seen.busy)]
    target = judged(statistics.median(seen.counters) / base, 1.5) if base else ""
    return [number(size), *times, number(seen.changed_bytes), number(seen.same_bytes), target]


def _measure(size: int, loads: int) -> _Seen:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise Failed("Chromium is not installed: `apt-get install chromium`")
    seen = _Seen()
    with fresh_store("local") as store:
        _fill(store, size)
        with served(store) as origin, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=os.getuid() != 0)
            for n in range(loads + 1):
                _look(browser, origin, n, seen if n else _Seen())  # the first fills the caches of the disk
            browser.close()
    return seen


def _fill(store: Store, size: int) -> None:
    ended = [
        NewJob(f"ended-{n}", Spec(command=f"echo {n} out of memory >&2; exit {n % 3}", tags=("done",)))
        for n in range(ENDED)
    ]
    _push(store, "ended", ended)
    store.jobq("worker", "-n", "4", "--quiet", samples=False)
    for number_of in range(50):
        batch = f"batch-{number_of}"
        count = (size - ENDED) // 50
        jobs = [NewJob(f"{batch}-{n}", Spec(command=f"fit --seed {n}", tags=(f"t{n % 20}",))) for n in range(count)]
        for start in range(0, count, WINDOW):
            _push(store, batch, jobs[start : start + WINDOW])


def _push(store: Store, batch: str, jobs: Sequence[NewJob]) -> None:
    async def push() -> None:
        stack = store.stack()
        try:
            await RealmApi(Realm(stack, "bench")).push(jobs, batch=batch, chunk=WINDOW if len(jobs) > ENDED else 1)
        finally:
            await stack.close()

    asyncio.run(push())


@contextmanager
def served(store: Store) -> Iterator[str]:
    """`jobq serve`; where it answers."""
    log = store.folder / "serve.log"
    with log.open("wb") as said:
        process = subprocess.Popen([JOBQ, "serve", "--port", "0"], env=store.env, cwd=store.folder, stderr=said)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"(http://\S+)/dashboard/", log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"jobq serve did not start: {log.read_text()}")
            time.sleep(0.05)
        yield found[1]
    finally:
        process.terminate()
        process.wait(timeout=30)


def _look(browser: Browser, origin: str, n: int, seen: _Seen) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(f"{origin}/dashboard/#/bench")
    _wait(page, "shown.counters && shown.jobs")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    shown = page.evaluate("shown")
    seen.paint.append(paint)
    seen.counters.append(shown["counters"])
    seen.jobs.append(shown["jobs"])
    page.wait_for_load_state("networkidle")
    _update(page, origin, n, seen)
    context.close()


def _update(page: Page, origin: str, n: int, seen: _Seen) -> None:
    """A job is pushed, and the page is told to look: as when the machine is on a network again."""
    job = {"batch": f"more-{n}", "jobs": [{"cmd": "true"}]}
    requests.post(f"{origin}/api/enqueue/bench/jobs", json=job, timeout=TIMEOUT_SECONDS).raise_for_status()
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable")
    busy = _busy_seconds(metrics)
    start = page.evaluate("shown.changed = 0, dispatchEvent(new Event('online')), performance.now()")
    _wait(page, "shown.changed")
    seen.update.append(page.evaluate("shown.changed") - start)
    seen.busy.append(1000 * (_busy_seconds(metrics) - busy))
    seen.changed_bytes, seen.same_bytes = _poll_bytes(origin)


def _poll_bytes(origin: str) -> tuple[int, int]:
    """Of the answer, and of one that says that nothing has changed."""
    url = f"{origin}/api/status/bench/summary"
    whole = requests.get(url, timeout=TIMEOUT_SECONDS)
    same = requests.get(url, headers={"if-none-match": whole.headers["etag"]}, timeout=TIMEOUT_SECONDS)
    if (whole.status_code, same.status_code) != (200, 304):
        raise Failed(f"a poll was answered {whole.status_code}, and again {same.status_code}")
    return _bytes(whole), _bytes(same)


def _bytes(answer: requests.Response) -> int:
    return len(answer.content) + sum(len(f"{name}: {value}\r\n") for name, value in answer.headers.items())


def _wait(page: Page, condition: str) -> None:
    """Playwright's own wait evaluates text again and again, which the page's policy forbids."""
    look = f"const look = () => ({condition}) ? done() : setTimeout(look, 5); look()"
    page.evaluate(f"new Promise((done) => {{ {look} }})")


def _busy_seconds(metrics: CDPSession) -> float:
    found = metrics.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in found if one["name"] == "TaskDuration"))
