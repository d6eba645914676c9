"""Where a push takes its jobs from: options, words after `--`, a file or standard input."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from jobq.cli.feed import Window, windows
from jobq.cli.output import say
from jobq.core.push import check_payload
from jobq.errors import BadInput
from jobq.model.job import NewJob, Spec
from jobq.model.submission import new_command, parse_line


def command_line(words: Sequence[str]) -> list[str]:
    """One command of the words after `--`. A single word is taken as it is: it is a whole command line in quotes."""
    if not words:
        return []
    return [words[0] if len(words) == 1 else shlex.join(words)]


@dataclass(frozen=True, slots=True)
class Source:
    commands: Sequence[str]
    path: str
    """Read where no command is given; `-` is standard input."""
    job_id: str | None
    """Of the one command."""
    batch: str
    defaults: Spec

    @contextmanager
    def windows(self) -> Iterator[Iterator[Window]]:
        """Raises BadInput for a file that cannot be read, and for a bad command before anything is pushed."""
        if self.commands:
            yield iter([Window([self._command(i) for i in range(1, len(self.commands) + 1)])])
            return
        with _opened(self.path) as (stream, name):
            yield windows(stream, self._line, batch=self.batch, source=name)

    def traced(self, traceparent: str) -> AbstractContextManager[Iterator[Window]]:
        """As `windows`, of jobs that are part of a trace if there is one."""
        return replace(self, defaults=replace(self.defaults, traceparent=traceparent)).windows()

    def _line(self, line: str, number: int) -> NewJob:
        return _checked(parse_line(line, batch=self.batch, position=number, defaults=self.defaults))

    def _command(self, position: int) -> NewJob:
        text = self.commands[position - 1]
        try:
            job = _checked(new_command(text, batch=self.batch, position=position, defaults=self.defaults))
        except BadInput as error:
            raise BadInput(f"command {position} of {len(self.commands)}: {error}") from error
        return NewJob(self.job_id, job.spec) if self.job_id else job


@contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, str]]:
    if path == "-":
        if sys.stdin.isatty():
            say("reading jobs from the terminal, one a line; Ctrl-D ends them")
        yield sys.stdin.buffer, "standard input"
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(path).open("rb"))
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror or error}") from error
        yield stream, path


def _checked(job: NewJob) -> NewJob:
    check_payload(job)
    return job
