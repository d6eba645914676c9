"""`jobq serve` over a place, and workers beside it: real processes, which a test ends and starts again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.stacks import Place
from tests.until import until

ROOT = Path(__file__).resolve().parents[2]
JOBQ = [sys.executable, "-c", "from jobq.cli.main import main; main()"]
TIMEOUT = 30


@dataclass(slots=True)
class Site:
    """`folder` is where the processes run, and where what they say is kept."""

    place: Place
    folder: Path
    keys: str = ""
    port: int = 0
    serving: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, where: str = "") -> str:
        """The address of a view: what comes after `#/`."""
        return f"{self.origin}/dashboard/#/{where}"

    async def start(self) -> None:
        """On the port that it had before, where it had one."""
        log = self.folder / "serve.log"
        keys = {"JOBQ_SERVE_KEYS": self.keys} if self.keys else {}
        self.serving = self._jobq(log, ["serve", "--port", str(self.port)], keys)
        await until(lambda: "the dashboard is at" in log.read_text() or not self.is_up)
        found = re.search(r"127\.0\.0\.1:(\d+)/dashboard/", log.read_text())
        assert found, log.read_text()
        self.port = int(found[1])

    @property
    def is_up(self) -> bool:
        return self.serving is not None and self.serving.poll() is None

    def stop(self) -> None:
        """As when its machine goes."""
        assert self.serving is not None
        self.serving.kill()
        self.serving.wait()

    def worker(self, realm: str, *options: str) -> subprocess.Popen[bytes]:
        log = self.folder / f"worker-{len(self.workers)}.log"
        process = self._jobq(log, ["worker", "--realms", realm, *options], {})
        self.workers.append(process)
        return process

    async def work(self, realm: str) -> None:
        """All that there is to do."""
        worker = self.worker(realm, "-n", "4", "--exit-when-empty")
        await until(lambda: worker.poll() is not None)

    def push(self, realm: str, *jobs: str | Mapping[str, Any], batch: str, **every: Any) -> list[str]:
        """Commands or jobs, and what each of them has; their ids."""
        each = [{"cmd": job} if isinstance(job, str) else job for job in jobs]
        asked = {"batch": batch, "jobs": [{**every, **job} for job in each]}
        return [job["id"] for job in self.ask("POST", f"enqueue/{realm}/jobs", asked)["results"]]

    def counts(self, realm: str) -> dict[str, int]:
        counts: dict[str, int] = self.ask("GET", f"status/{realm}/total")
        return counts

    def ask(self, method: str, path: str, document: object = None, key: str = "") -> Any:
        """Below `/api`."""
        headers = {"x-functions-key": key} if key else {}
        url = f"{self.origin}/api/{path}"
        answer = requests.request(method, url, json=document, headers=headers, timeout=TIMEOUT)
        assert answer.ok, answer.text
        return answer.json()

    def close(self) -> None:
        """End all of it, and print what it has said."""
        for process in [*self.workers, *([self.serving] if self.serving else [])]:
            process.kill()
            process.wait()
        for log in sorted(self.folder.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")

    def _jobq(self, log: Path, arguments: list[str], more: Mapping[str, str]) -> subprocess.Popen[bytes]:
        paths = {"PYTHONPATH": f"{ROOT / 'client'}:{ROOT}", "HOME": str(self.folder)}
        env = {**self.place.environment, **paths, **more}
        with log.open("wb") as said:
            return subprocess.Popen(
                [*JOBQ, *arguments], env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
