"""`python -m bench.picture [--minutes 12] [--out docs/dashboard.png]`: the picture of the README, of a run that is one.

A folder, `jobq serve`, three workers and a few hundred jobs that sleep, fail and are preempted; then Chromium looks.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.dashboard import served
from bench.machine import ROOT
from bench.processes import Failed
from bench.stores import JOBQ, Store, fresh_store, job_lines

SLOTS = 4
REALM = "exp7"
VIEW = {"width": 1400, "height": 1120}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.picture", description="The picture at the README's opening.")
    parser.add_argument("--minutes", type=float, default=12, help="how long to work before it is taken")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/dashboard.png", metavar="FILE")
    given = parser.parse_args()
    with fresh_store("local") as place, ExitStack() as running:
        store = Store(place.queue.replace("/bench", f"/{REALM}"), "", place.folder)
        origin = running.enter_context(served(store))
        _push(store, seconds=60 * given.minutes)
        for number, gpu in enumerate(("a100", "a100", "v100")):
            running.callback(_end, _worker(store, f"node-{number}", gpu))
        time.sleep(60 * given.minutes / 2)
        store.jobq("preempt", "--tag", "lr", "--yes", samples=False)
        time.sleep(60 * given.minutes / 2)
        _take(f"{origin}/dashboard/#/{REALM}?range=1h", given.out)
    print(f"wrote {given.out}, {given.out.stat().st_size / 1000:.0f} kB")


def _push(store: Store, seconds: float) -> None:
    """More than three workers do in that time: one batch done, one half done, one that waits."""
    chance = random.Random(7)
    total = int(3 * SLOTS * seconds / 7)
    for batch, share, tags, lane in (
        ("tokenize", 0.25, "exp7,data", "0"),
        ("sweep-lr", 0.9, "exp7,lr", "1"),
        ("evaluate", 0.35, "exp7,eval", "2"),
    ):
        commands = [_command(chance, batch, n) for n in range(int(total * share))]
        lines = job_lines(store, commands)
        store.jobq("push", "--batch", batch, "--tags", tags, "--lane", lane, lines=lines, samples=False)


def _command(chance: random.Random, batch: str, n: int) -> str:
    work = f": {batch} --seed {n}; sleep {chance.lognormvariate(1.6, 0.6):.1f}"
    fate = chance.random()
    if fate < 0.04:
        return f"{work}; echo 'CUDA out of memory: tried to allocate 2.50 GiB on GPU {n % 4}' >&2; exit 3"
    if fate < 0.06:
        return f"{work}; echo 'FileNotFoundError: /data/shards/{n % 9:03}.parquet' >&2; exit 1"
    return work


def _worker(store: Store, host: str, gpu: str) -> subprocess.Popen[bytes]:
    words = ["worker", "-n", str(SLOTS), "--forever", "--quiet", "--label", f"node={host}", "--label", f"gpu={gpu}"]
    log = (store.folder / f"{host}.log").open("wb")
    with log:
        return subprocess.Popen([JOBQ, *words], env=store.env, cwd=store.folder, stdout=log, stderr=log)


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()


def _take(address: str, out: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise Failed("Chromium is not installed: `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=os.getuid() != 0)
        page = browser.new_context(viewport=VIEW, color_scheme="light", locale="en-GB").new_page()
        page.goto(address)
        page.get_by_test_id("counter-total").wait_for()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main()
