"""What a job's process executes, and the environment it gets: its own, never the next job's."""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobq.errors import BadInput
from jobq.model.job import Job, Reason
from jobq.model.wire import dumps
from jobq.settings import inherited_environment
from jobq.worker.attempt import Program, Startable
from jobq.worker.directory import JobDirectory
from jobq.worker.shared_calls import SharedCalls, SharedProgram


@dataclass(frozen=True, slots=True)
class JobEnvironment:
    """What every job of a worker finds in its environment, besides its own."""

    queue_name: str
    worker: str
    base: Mapping[str, str]

    @classmethod
    def of_this_process(cls, queue_name: str, worker: str) -> JobEnvironment:
        base = inherited_environment() | {"PYTHONUNBUFFERED": "1", "JOBQ_WORKER_DIR": str(Path.cwd())}
        return cls(queue_name, worker, base)

    def of(self, job: Job, directory: JobDirectory) -> dict[str, str]:
        return {**self.base, **self.own(job, directory), **job.spec.env}

    def own(self, job: Job, directory: JobDirectory) -> dict[str, str]:
        """What tells a job who it is and where its files are."""
        timeout = job.spec.limits.timeout
        return {
            **directory.environment,
            **(directory.with_outputs() if job.spec.outputs else {}),
            **({"JOBQ_DEADLINE": str(int(time.time() + timeout.total_seconds()))} if timeout else {}),
            "JOBQ_JOB_ID": job.id,
            "JOBQ_TASK_ID": job.id,
            "JOBQ_BATCH": job.batch,
            "JOBQ_ATTEMPT": str(job.attempt),
            "JOBQ_QUEUE_NAME": self.queue_name,
            "JOBQ_WORKER_ID": self.worker,
            **({"TRACEPARENT": job.spec.traceparent, "TRACESTATE": ""} if job.spec.traceparent else {}),
        }

    def importing(self, env: Mapping[str, str]) -> dict[str, str]:
        """With the worker's folder among the places for modules: `jobq worker --proc tasks:fit` means ./tasks.py."""
        places = [self.base["JOBQ_WORKER_DIR"], *sys.path, env.get("PYTHONPATH")]
        return {**env, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def shell_program(job: Job, environment: JobEnvironment, directory: JobDirectory) -> Program:
    """Raises BadInput for a job that has no command."""
    if job.spec.command is None:
        raise BadInput("it holds arguments for a Python callable, and this worker runs shell commands (see --proc)")
    return Program(["bash", "-c", job.spec.command], environment.of(job, directory))


ALONE_AFTER = frozenset({Reason.LOST, Reason.SIGNAL, Reason.OOM})
"""A call that may have ended a process once shares none any more."""


@dataclass(frozen=True, slots=True)
class CallableProgram:
    """Jobs as calls of a Python function, each in a fresh interpreter that inherits no lock and no state."""

    reference: str
    """`module:function`, or `/path/to/script.py:function` for one defined in the script that is being run."""
    shared: SharedCalls | None = None
    """Of an async function: where calls run side by side instead, unless they need an interpreter of their own."""

    @classmethod
    def of(cls, handler: Callable[..., Any]) -> CallableProgram:
        """Raises BadInput for what another process cannot import: a lambda, a closure, something typed at a prompt."""
        name, module = getattr(handler, "__qualname__", ""), getattr(handler, "__module__", "")
        if not name or "<" in name:
            raise BadInput(f"handler {handler!r} must be a function at the top level of a module or a script")
        if module != "__main__":
            return cls(f"{module}:{name}")
        try:
            return cls(f"{Path(inspect.getfile(handler)).resolve(strict=True)}:{name}")
        except (TypeError, OSError) as error:
            raise BadInput(f"handler {name!r} must be in a file that another process can import") from error

    def __call__(self, job: Job, environment: JobEnvironment, directory: JobDirectory) -> Startable:
        if job.spec.kwargs is None:
            raise BadInput("it is a shell command, and this worker calls a Python function")
        (directory.root / "kwargs.json").write_text(dumps(dict(job.spec.kwargs)))
        if self.shared and not job.spec.env and not ALONE_AFTER & job.tries.keys():
            return SharedProgram(self.shared, directory.root, environment.own(job, directory))
        command = [sys.executable, "-m", "jobq.worker.call", self.reference, str(directory.root)]
        return Program(command, environment.importing(environment.of(job, directory)))
