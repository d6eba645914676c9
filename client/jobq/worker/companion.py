"""The worker's end of the process that copies what a job writes (`jobq.sync`): started for jobs that have something."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jobq.core.checkpoints import checkpoint_key, has_checkpoint
from jobq.core.realm import Realm
from jobq.errors import BadInput, JobqError, Unreachable
from jobq.model.address import Backend, parse_address
from jobq.model.job import Job
from jobq.model.outputs import target_of
from jobq.settings import Settings, inherited_environment
from jobq.sync.process import Config
from jobq.sync.tree import is_empty
from jobq.worker.directory import JobDirectory
from jobq.worker.process import JobProcess
from jobq.worker.supervision import Supervision

logger = logging.getLogger(__name__)

LONGEST_TEXT = 64 * 1024
"""Of what the process has said; it says little."""


@dataclass(slots=True)
class Companion:
    """`begin` it before the job starts, `look` now and then, `finish` it at the job's end, `close` it in any case."""

    realm: Realm
    settings: Settings
    job: Job
    directory: JobDirectory
    supervision: Supervision
    until: Callable[[], float]
    """When it is killed if nobody renews the lease, of `boot_time`."""
    _process: JobProcess | None = None
    _ending: asyncio.Future[int | None] | None = None
    _starting: asyncio.Future[None] | None = None
    _said: bytearray = field(default_factory=bytearray)
    _answer: dict[str, Any] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self) -> None:
        """The checkpoint of an earlier attempt is back when this returns. Raises Unreachable, BadInput, OSError."""
        restores = await has_checkpoint(self.realm, self.job)
        if restores or self.job.spec.outputs:
            await self._start(restores=restores)

    def look(self) -> None:
        """Whether the job has begun to write a checkpoint."""
        if self._starting is None and self._process is None and not is_empty(self.directory.checkpoint):
            self._starting = asyncio.ensure_future(self._start(restores=False))
            self._starting.add_done_callback(_log_trouble)

    def keep(self) -> None:
        """The lease was renewed."""
        if self._process:
            self._process.keep(self.until())

    async def finish(self, *, is_ok: bool) -> str:
        """Nobody writes any more: copy the rest. What of the outputs could not be stored, or ""."""
        if self._starting:
            await asyncio.wait([self._starting])
        if self._process is None and (is_ok or is_empty(self.directory.checkpoint)):
            return ""
        for _ in range(2):  # the job may have killed it
            try:
                if self._process is None:
                    await self._start(restores=False)
            except (JobqError, OSError) as error:
                self._answer = _failed(str(error), is_ok=is_ok)
                continue
            assert self._process is not None
            assert self._ending is not None
            self._process.signal_group(signal.SIGUSR1 if is_ok else signal.SIGTERM)
            code = await self._ending
            self._process = None
            if "outputs" in self._answer:
                break
            self._answer = _failed(f"the process that copies ended with {code}", is_ok=is_ok)
        if problem := self._answer["checkpoint"]:
            logger.warning("could not save the checkpoint of job %s: %s", self.job.id, problem)
        return str(self._answer["outputs"]) if self.job.spec.outputs else ""

    def close(self) -> None:
        """At once: nothing more is copied."""
        if self._starting:
            self._starting.cancel()
        if self._ending:
            self._ending.cancel()
        if self._process:
            self._process.close()
            self._process = None

    async def _start(self, *, restores: bool) -> None:
        """Raises Unreachable where it cannot restore the checkpoint now, BadInput where it never can."""
        self._said.clear()
        self._answer = {}
        file = self.directory.root / "sync.json"  # the directory is this user's only
        file.write_text(self._config(restores=restores).to_json())
        process = await JobProcess.start(
            self.supervision,
            [sys.executable, "-P", "-m", "jobq.sync.process", str(file)],
            env=inherited_environment() | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd=Path("/"),
            feed=self._feed,
            until=self.until(),
        )
        self._process, self._ending = process, asyncio.ensure_future(self._wait(process))
        while "ready" not in self._answer and not self._ending.done():
            self._changed.clear()
            await self._changed.wait()
        if "ready" not in self._answer:
            self._process = None
            why = self._answer.get("failed") or f"the process for it ended with {self._ending.result()}"
            what = "restore the checkpoint of" if restores else "copy the outputs of"
            kind = BadInput if self._answer.get("is_final") else Unreachable
            raise kind(f"could not {what} job {self.job.id}: {why}")

    async def _wait(self, process: JobProcess) -> int | None:
        try:
            return await process.wait()
        finally:
            process.close()
            self._changed.set()

    def _feed(self, data: bytes) -> None:
        self._said += data
        *lines, rest = self._said.split(b"\n")
        self._said = bytearray(rest[-LONGEST_TEXT:])
        for line in lines:
            self._hear(line)

    def _hear(self, line: bytes | bytearray) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            told = {"warning": line.decode(errors="replace")}
        if warning := told.pop("warning", ""):
            logger.warning("job %s: %s", self.job.id, warning)
        self._answer |= told
        self._changed.set()

    def _config(self, *, restores: bool) -> Config:
        address = parse_address(self.realm.address)
        if address.backend is Backend.LOCAL:  # the process is elsewhere
            address = replace(address, place=str(Path(address.place).resolve()))
        tables = self.realm.stack.tables or self.settings.tables
        outputs, env = self.job.spec.outputs, inherited_environment() | dict(self.job.spec.env)
        return Config(
            address=address,
            settings=replace(self.settings, queue="", tables=tables, key="", keys={}),
            checkpoint=str(self.directory.checkpoint),
            base=checkpoint_key(self.realm.name, self.job.id),
            attempt=self.job.attempt,
            restores=restores,
            outputs=str(self.directory.outputs) if outputs else "",
            target=target_of(self.job) if outputs else "",
            here=str(Path.cwd()),
            every=_number(env, "AMLT_DIRSYNC_FREQ", 30.0, least=0.1),
            width=int(_number(env, "AMLT_DIRSYNC_N_THREADS", 4, least=1)),
            include=env.get("AMLT_DIRSYNC_INCLUDE", ""),
            exclude=env.get("AMLT_DIRSYNC_EXCLUDE", ""),
            deletes=env.get("AMLT_DELETE_AFTER_COPY", "").lower() in ("1", "true", "yes", "on"),
        )


def _failed(why: str, *, is_ok: bool) -> dict[str, Any]:
    """The answer in place of a process that gave none. After a success there is no checkpoint to save."""
    return {"outputs": why, "checkpoint": "" if is_ok else why}


def _number(env: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    """Raises nothing: a job is not to fail for a variable that only says how fast."""
    try:
        return max(least, float(env.get(name, "") or default))
    except ValueError:
        logger.warning("%s=%r is no number: %s is used", name, env[name], default)
        return default


def _log_trouble(starting: asyncio.Future[None]) -> None:
    if not starting.cancelled() and (error := starting.exception()):
        logger.warning("a checkpoint is not saved for now: %s", error)
