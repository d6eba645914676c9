"""`make demo`: the main job on this machine, start to end, with real commands, a real worker and the control plane.

Everything happens in a temporary folder and on a free loopback port; nothing is left running.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

JOBQ = str(Path(sys.executable).with_name("jobq"))


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="jobq-demo-") as folder, _control_plane(folder) as url:
        queue = f"local:{folder}/q/demo"
        env = {**os.environ, "JOBQ": queue}
        _say(f"A queue is a folder here: JOBQ=local:…/q/demo. The control plane serves it at {url}")

        _say("35 commands on standard input, one a line, in two lanes; lane 0 goes first, whenever it was pushed.")
        tasks = [f"echo fit {n}: $(({n} * {n} % 97)); sleep 0.{2 * (n % 4) + 2}" for n in range(1, 31)]
        _run(env, ["push", "--tags", "fit,demo", "--lane", "1", "--batch", "fit"], "\n".join(tasks))
        urgent = [f"echo urgent {n}" for n in range(1, 6)]
        _run(env, ["push", "--tags", "urgent,demo", "--lane", "0", "--batch", "urgent"], "\n".join(urgent))

        _say("One more, over HTTP to the control plane. It fails, is retried after about a second, and fails again.")
        flaky = 'echo "reading /data/missing.csv"; echo "no such file: /data/missing.csv" >&2; exit 3'
        http = {**env, "JOBQ": f"{url}/api/demo"}
        _run(http, ["push", "--tag", "demo", "--num-retries", "1", "--batch", "flaky", "-c", flaky])

        _say("A worker, four jobs at a time. It ends when the queue is empty; until then `jobq status -w` watches.")
        worker = subprocess.Popen(
            [JOBQ, "worker", "-n", "4"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        _run(env, ["status", "tag", "demo", "--watch"])
        _, talk = worker.communicate(timeout=120)
        print(talk.strip().splitlines()[-1])

        _say("How far each tag is, as the control plane tells it:")
        _run(http, ["status"])
        _say("What failed, and why:")
        failed = subprocess.run([JOBQ, "jobs", "--state", "failed", "--output", "ids"], env=http, capture_output=True)
        _run(http, ["show", failed.stdout.decode().strip()])

        address = f"{url}/api/status/demo"
        _say(f"The same as JSON, for scripts: {address}")
        with urllib.request.urlopen(address, timeout=10) as answer:
            counts = json.load(answer)
        print(json.dumps({key: counts[key] for key in ("total", "succeeded", "failed")}))
        is_right = (counts["total"], counts["succeeded"], counts["failed"]) == (36, 35, 1) and worker.returncode == 0
        print("\nDone; the folder and the control plane are gone." if is_right else "\nThis is not what was expected.")
        return 0 if is_right else 1


def _say(text: str) -> None:
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def _run(env: dict[str, str], arguments: list[str], given: str | None = None) -> None:
    shown = " ".join(shlex.quote(argument) for argument in arguments)
    print(f"$ jobq {shown}" + (" < tasks.txt" if given else ""), flush=True)
    subprocess.run([JOBQ, *arguments], env=env, input=given, text=True, check=True)


@contextmanager
def _control_plane(folder: str) -> Iterator[str]:
    """`jobq serve` on a free loopback port, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [JOBQ, f"local:{folder}/q/demo", "serve", "--port", str(port)]
    with (Path(folder) / "serve.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/api/health", process)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the control plane did not start")


if __name__ == "__main__":
    sys.exit(main())
