"""A fresh place for a queue (Azurite in memory, with a Service Bus broker or without, or a folder), and jobq on it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.machine import ROOT
from bench.processes import Failed, Usage, run
from jobq import Client
from jobq.connect import open_stack
from jobq.core.ports import Stack
from jobq.model.address import parse_address
from jobq.settings import Settings
from tests.azurite import ACCOUNT, running_azurite
from tests.service_bus import broker_process

Kind = Literal["azurite", "local", "servicebus"]
JOBQ = Path(sys.executable).parent / "jobq"
TAG = "bench"


@dataclass(frozen=True, slots=True)
class Bus:
    """The loopback Service Bus broker, as a process of its own."""

    process: subprocess.Popen[str]
    connection_string: str

    def counts(self) -> dict[str, int]:
        """What it has done, by kind; it ends with that. Raises Failed if somebody has broken its protocol."""
        out, _ = self.process.communicate()
        said: dict[str, Any] = json.loads(out.splitlines()[-1])
        if said["violations"]:
            raise Failed(f"the protocol of Service Bus was broken: {said['violations'][0]}")
        return said["counts"]  # type: ignore[no-any-return]  # as the broker wrote it


@dataclass(frozen=True, slots=True)
class Store:
    queue: str
    """The address of a realm."""
    connection_string: str
    folder: Path
    """Where commands run; nothing in it configures jobq."""
    bus: Bus | None = None

    @property
    def env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("JOBQ", "RESTQ", "APPLICATION"))}
        own = {"JOBQ": self.queue, "JOBQ_CONNECTION_STRING": self.connection_string, "HOME": str(self.folder)}
        if self.bus:
            own["JOBQ_SERVICEBUS_CONNECTION_STRING"] = self.bus.connection_string
        return kept | own | {"XDG_CONFIG_HOME": str(self.folder), "PYTHONPATH": f"{ROOT / 'client'}{os.pathsep}{ROOT}"}

    @property
    def settings(self) -> Settings:
        bus = self.bus.connection_string if self.bus else ""
        return Settings(connection_string=self.connection_string, servicebus_connection_string=bus)

    def stack(self) -> Stack:
        return open_stack(parse_address(self.queue), self.settings)

    def client(self) -> Client:
        bus = self.settings.servicebus_connection_string
        return Client(self.queue, connection_string=self.connection_string, servicebus_connection_string=bus)

    def jobq(self, *words: str, lines: Path | None = None, samples: bool = True) -> Usage:
        """The command line as a whole process."""
        return run([JOBQ, *words], env=self.env, folder=self.folder, lines=lines, samples=samples)

    def counted(self, *words: str, lines: Path | None = None) -> Mapping[str, int]:
        """Storage transactions of the command line, by kind."""
        file = self.folder / "counted.json"
        run([sys.executable, "-m", "bench.counted", file, *words], env=self.env, folder=self.folder, lines=lines)
        return json.loads(file.read_text())["counts"]  # type: ignore[no-any-return]  # as bench.counted wrote it

    def check(self, jobs: int, state: str = "succeeded") -> None:
        """Raises Failed unless there are that many jobs, all in this state."""
        words = [str(JOBQ), "status", "--output", "json"]
        said = subprocess.run(words, env=self.env, cwd=self.folder, capture_output=True, check=True).stdout
        status: dict[str, Any] = json.loads(said)
        if (status["total"], status[state]) != (jobs, jobs):
            raise Failed(f"{jobs} jobs should be {state}: {said.decode()[:300]}")

    def depth(self, name: str) -> int:
        """Messages in a queue, by its own name."""

        async def ask() -> int:
            stack = self.stack()
            try:
                return (await stack.queue(name).look(0)).messages
            finally:
                await stack.close()

        return asyncio.run(ask())


@contextmanager
def fresh_store(kind: Kind) -> Iterator[Store]:
    """Fresh for each measurement: the cost of Azurite's queues is linear in the messages of the account."""
    with tempfile.TemporaryDirectory(prefix="jobq-bench-") as folder:
        if kind == "local":
            yield Store(f"local:{folder}/q/bench", "", Path(folder))
            return
        with ExitStack() as running:
            azurite = running.enter_context(running_azurite(in_memory=True))
            if kind == "azurite":
                yield Store(f"{ACCOUNT}/bench", azurite.connection_string, Path(folder))
            else:
                bus = Bus(*running.enter_context(broker_process()))
                yield Store("sb://bench/bench", azurite.connection_string, Path(folder), bus)


def job_lines(store: Store, commands: Sequence[str]) -> Path:
    """A file with a job per line, for standard input."""
    file = store.folder / f"jobs-{len(commands)}.txt"
    file.write_text("".join(f"{command}\n" for command in commands))
    return file


def trues(store: Store, count: int) -> Path:
    return job_lines(store, ["true"] * count)
