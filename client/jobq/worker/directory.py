"""An attempt's own directory: where the job runs, and beside it the files through which it and its worker talk."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobq.errors import BadInput
from jobq.model.job import Json, Progress
from jobq.model.wire import MAX_RESULT_BYTES

logger = logging.getLogger(__name__)

MAX_TEXT_BYTES = 2000


@dataclass(frozen=True, slots=True)
class JobDirectory:
    """What a job writes here is read as a stranger's: of any size, and maybe no file at all."""

    root: Path

    @classmethod
    def make(cls) -> JobDirectory:
        """A new one, readable by this user only. Raises OSError."""
        directory = cls(Path(tempfile.mkdtemp(prefix="jobq-")))
        try:
            directory.work.mkdir()
            directory.checkpoint.mkdir()
        except OSError:
            shutil.rmtree(directory.root, onerror=_force)
            raise
        return directory

    @property
    def work(self) -> Path:
        """Where the job runs; empty at first."""
        return self.root / "work"

    @property
    def checkpoint(self) -> Path:
        """What the job finds here at its next attempt, it has left here."""
        return self.root / "checkpoint"

    @property
    def outputs(self) -> Path:
        """What the job leaves here is copied. Made by `with_outputs`."""
        return self.root / "outputs"

    def with_outputs(self) -> dict[str, str]:
        """Make that directory; the variables that tell a job of it, the second one by the name its ancestor had.

        Raises OSError.
        """
        self.outputs.mkdir()
        return {"JOBQ_OUTPUT_DIR": str(self.outputs), "AMLT_DIRSYNC_DIR": str(self.outputs)}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that tell a job of its files and directories. None of the files exists at first."""
        return {
            "JOBQ_CHECKPOINT_DIR": str(self.checkpoint),
            "JOBQ_RESULT": f"{self.root}/result.json",
            "JOBQ_ERROR_FILE": f"{self.root}/error.txt",
            "JOBQ_PROGRESS": f"{self.root}/progress",
            "JOBQ_PREEMPTED": f"{self.root}/preempted",
        }

    def say_preempted(self) -> None:
        """Make the file appear that a job looks for which cannot handle signals."""
        with suppress(OSError):
            (self.root / "preempted").touch()

    def result(self) -> Json:
        """What the job has left as its result, None if nothing. Raises BadInput for what is no JSON, or too large."""
        data = _read(self.root / "result.json", MAX_RESULT_BYTES + 1)
        if data is None:
            return None
        if len(data) > MAX_RESULT_BYTES:
            raise BadInput(f"its result is larger than {MAX_RESULT_BYTES:,} bytes; put it in a file of its own")
        try:
            value: Json = json.loads(data, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"its result is no JSON: {error}") from error
        return value

    def error(self) -> str:
        """Why it failed, in the job's own words; "" if it has left none."""
        data = _read(self.root / "error.txt", MAX_TEXT_BYTES)
        return data.decode(errors="replace").strip() if data else ""

    def was_undecodable(self) -> bool:
        """Whether a Python function was never called, since its arguments did not fit."""
        return _read(self.root / "undecodable", 1) is not None

    def progress(self) -> Progress | None:
        """How far it is, by the last whole line that it has written."""
        data = _read(self.root / "progress", MAX_TEXT_BYTES, from_end=True)
        return Progress.parse(data.decode(errors="replace")) if data else None

    async def remove(self) -> None:
        """With all that is in it, also what the job has made unreadable."""
        try:  # most jobs leave it empty: that costs less than to ask a thread
            for directory in (self.work, self.checkpoint, self.root):
                os.rmdir(directory)  # noqa: PTH106
        except OSError:
            await asyncio.to_thread(shutil.rmtree, self.root, onerror=_force)  # a full one may take minutes


def _read(file: Path, most: int, *, from_end: bool = False) -> bytes | None:
    """Of a file that a job may have written: neither a link, nor a pipe to wait at. None where there is none."""
    try:
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            return None
        if from_end and found.st_size > most:
            os.lseek(number, -most, os.SEEK_END)
        return os.read(number, most)
    except OSError:
        return None
    finally:
        os.close(number)


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _force(function: object, path: str, _error: object) -> None:
    try:
        for place in (Path(path).parent, Path(path)):
            if place.is_dir() and not place.is_symlink():  # what a link points to is not the job's
                place.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        logger.warning("could not remove %s: %s", path, error)
