"""The process that copies what one job writes: `python -m jobq.sync.process CONFIG`, started by the job's worker.

Apart from the worker, so that a mount that hangs, or an upload of an hour, holds up neither it nor its leases. It reads
CONFIG (JSON, removed at once: there may be a key in it) and talks in lines of JSON: {"ready": true} when the checkpoint
is restored, or {"failed": "…"}; {"warning": "…"} now and then. SIGUSR1 says that the job has succeeded, SIGTERM that it
has ended otherwise: then it copies the rest, says {"outputs": "", "checkpoint": ""}, each with what is wrong, and ends.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jobq.connect import open_stack, open_target
from jobq.errors import BadInput, JobqError
from jobq.model.address import Address, Backend
from jobq.model.wire import dumps
from jobq.settings import Settings
from jobq.sync.checkpoint import Checkpoint
from jobq.sync.mirror import CopyFailed, Mirror, persistently
from jobq.sync.tree import FLUSH_NOTE, Pick

NOTE_SECONDS = 1.0
"""How often a note that asks for a copy now is looked for."""


@dataclass(frozen=True, slots=True)
class Config:
    """What is to be copied, from where to where."""

    address: Address
    settings: Settings
    checkpoint: str
    """The job's directory for it."""
    base: str
    """Of the checkpoint's blobs."""
    attempt: int
    restores: bool
    outputs: str = ""
    """The job's directory for them; "" for a job without."""
    target: str = ""
    here: str = ""
    """The worker's directory, which a relative target begins at."""
    every: float = 30.0
    """Seconds between two passes."""
    width: int = 4
    include: str = ""
    exclude: str = ""
    deletes: bool = False

    def to_json(self) -> str:
        return dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Config:
        data = json.loads(text)
        address = Address(**data.pop("address"))
        address = Address(Backend(address.backend), address.place, address.realm, address.tables)
        return cls(address=address, settings=Settings(**data.pop("settings")), **data)


@dataclass(slots=True)
class Copying:
    checkpoint: Checkpoint
    mirror: Mirror | None
    every: float
    _told: asyncio.Event = field(default_factory=asyncio.Event)
    _is_ok: bool = False

    def end(self, is_ok: bool) -> None:
        self._is_ok = is_ok
        self._told.set()

    async def run(self, *, restores: bool) -> None:
        if restores:
            await self.checkpoint.restore()
        _say(ready=True)
        while not self._told.is_set():
            await self._pass()
            await self._pause()
        outputs = await self._problem_of_outputs()
        checkpoint = await self._problem_of_checkpoint(is_ok=self._is_ok and not outputs)
        _say(outputs=outputs, checkpoint=checkpoint)

    async def _pass(self) -> None:
        """While the job runs: what goes wrong now may go well the next time, and at the end it has to."""
        try:
            if self.mirror:
                await self.mirror.copy()
        except CopyFailed as error:
            _say(warning=f"outputs are not all copied yet: {error}")
        try:
            await self.checkpoint.save()
        except CopyFailed as error:
            _say(warning=f"the checkpoint is not saved yet: {error}")

    async def _pause(self) -> None:
        note = self.mirror.source / FLUSH_NOTE if self.mirror else None
        deadline = asyncio.get_running_loop().time() + self.every
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, NOTE_SECONDS)):
                    await self._told.wait()
                    return
            if note is not None and await asyncio.to_thread(note.exists):
                await self._pass()
                await asyncio.to_thread(note.unlink, missing_ok=True)

    async def _problem_of_outputs(self) -> str:
        try:
            if self.mirror:
                await self.mirror.finish()
        except CopyFailed as error:
            return str(error)
        return ""

    async def _problem_of_checkpoint(self, *, is_ok: bool) -> str:
        try:
            if is_ok:
                await self.checkpoint.forget()
            else:
                await persistently(lambda: self.checkpoint.save(is_last=True))
        except (CopyFailed, JobqError) as error:
            return str(error)
        return ""


@asynccontextmanager
async def _copying(config: Config) -> AsyncIterator[Copying]:
    stack = open_stack(config.address, config.settings)
    target = None
    try:
        checkpoint = Checkpoint(stack.blobs, config.base, config.attempt, Path(config.checkpoint), config.width)
        mirror = None
        if config.outputs:
            target = open_target(config.target, config.address, config.settings, here=Path(config.here))
            pick = Pick.of(config.include, config.exclude)
            mirror = Mirror(Path(config.outputs), target, pick, config.width, config.deletes)
        yield Copying(checkpoint, mirror, config.every)
    finally:
        if target:
            await target.close()
        await stack.close()


async def _main(file: Path) -> int:
    config = Config.from_json(await asyncio.to_thread(file.read_text))
    await asyncio.to_thread(file.unlink)
    try:
        async with _copying(config) as copying:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, copying.end, False)
            loop.add_signal_handler(signal.SIGUSR1, copying.end, True)
            await copying.run(restores=config.restores)
    except (JobqError, OSError) as error:
        _say(failed=str(error), is_final=isinstance(error, BadInput))
        return 1
    return 0


def _say(**what: object) -> None:
    print(dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(Path(sys.argv[1]))))
