"""`pull --print`: jobs that are checked out, and printed for a shell to run."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from jobq.cli.output import answer, answer_document, answer_json, say
from jobq.cli.params import option
from jobq.cli.session import Session
from jobq.errors import JobqError, Unreachable
from jobq.model.names import MAX_CHECKOUT

if TYPE_CHECKING:
    from jobq.backend import Backend
    from jobq.core.documents import Document
    from jobq.unpacking import Unpacking

F = TypeVar("F", bound=Callable[..., Any])

PAUSE = timedelta(seconds=10)
"""Until a job that cannot be printed here is there again, so that a loop does not meet it at every turn."""

_OPTIONS = (
    option("--print", is_flag=True, help="Check jobs out and print their commands for `eval`, instead of running one."),
    option("--count", type=click.IntRange(1, MAX_CHECKOUT), default=1, help="With --print: at most so many jobs."),
    option("--ack", is_flag=True, help="With --print: have each command say how it ended, by `jobq ack` or `nack`."),
    option(
        "-o",
        "--output",
        type=click.Choice(("table", "json", "jsonl")),
        default="table",
        help="With --print: commands for a shell, or all there is to know of the jobs.",
    ),
)
_ONLY_HERE = ("count", "ack", "output")
_ONLY_RUNNING = ("grace", "proc", "emulate_tty", "quiet")


def checkout_options(function: F) -> F:
    """`print`, and what goes with it alone: `count`, `ack`, `output`."""
    for add in reversed(_OPTIONS):
        function = add(function)
    return function


def check_options(ctx: click.Context) -> None:
    """Raises UsageError for options on the command line that say nothing to what `pull` is to do."""
    wrong, hint = (_ONLY_RUNNING, "does not go with") if ctx.params["print"] else (_ONLY_HERE, "goes with")
    said = [parameter for parameter in ctx.command.params if _is_said(ctx, parameter)]
    for parameter in said:
        if parameter.name in wrong:
            raise click.UsageError(f"{parameter.opts[-1]} {hint} --print", ctx)
    if ctx.params["output"] != "table" and any(parameter.name == "ack" for parameter in said):
        raise click.UsageError("--ack goes with commands for a shell, not with --output", ctx)


def _is_said(ctx: click.Context, parameter: click.Parameter) -> bool:
    """On the command line: variables and files speak of every pull."""
    return ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `pull --print` is asked for."""

    count: int
    lease: timedelta | None
    max_lane: str
    realms: Sequence[str] | None
    """None of all of the place, empty of the one addressed."""
    is_acked: bool
    form: str


def print_checkouts(ctx: click.Context) -> None:
    """What `pull` does with --print; `ctx` is its own."""
    from jobq.unpacking import Unpacking

    given, session = ctx.params, ctx.obj
    realms = tuple(dict.fromkeys((session.address().realm, *given["realms"]))) if given["realms"] else ()
    wanted = Wanted(
        count=given["count"],
        lease=given["visibility_timeout"],
        max_lane=given["max_lane"] or "",
        realms=None if given["all_realms"] else realms,
        is_acked=given["ack"],
        form=given["output"],
    )
    with session.backend() as backend:
        Checkouts(session, backend, wanted, Unpacking(Path.cwd())).run()


@dataclass(slots=True)
class Checkouts:
    """Jobs that are held for whoever reads what is printed. What is not printed is given back."""

    session: Session
    backend: Backend
    wanted: Wanted
    unpacking: Unpacking
    _held: list[Document] = field(default_factory=list)
    """Not printed yet."""
    _is_in_trouble: bool = False

    def run(self) -> None:
        """Raises JobqError if there were jobs whose files cannot be written, and no others."""
        want = self.wanted
        found = self.backend.check_out(want.count, lease=want.lease, max_lane=want.max_lane, realms=want.realms)
        self._held = list(found["jobs"])
        try:
            ready = [job for job in found["jobs"] if self._is_ready(job)]
            self._print(ready)
        finally:
            for job in list(self._held):
                self._give_back(job, "it was not printed")
        if self._is_in_trouble and not ready:
            raise JobqError("no job was printed: none of those that were pulled has its files here")

    def _is_ready(self, job: Document) -> bool:
        """Whether it can be printed, its files in their places; if not, it is given back."""
        if job["command"] is None and self.wanted.form == "table":
            self._give_back(job, "it calls a Python function, which no shell can: a worker runs it", delay=PAUSE)
            return False
        try:
            if job["files"]:
                self.unpacking.write(job["files"], self._realm_of(job).get_file)
        except Unreachable:
            raise
        except JobqError as error:
            self._give_back(job, str(error), delay=PAUSE)
            self._is_in_trouble = True
            return False
        return True

    def _print(self, jobs: Sequence[Document]) -> None:
        """One after the other. Those of which nothing was written when the reader has gone are given back."""
        if self.wanted.form == "json":
            answer_json({"jobs": jobs})
            self._held.clear()
            return
        for job in jobs:
            if self.wanted.form == "jsonl":
                answer_document(job, "jsonl")
            else:
                answer(self._acked(job) if self.wanted.is_acked else plain(job))
            self._held.remove(job)

    def _acked(self, job: Document) -> str:
        """A command that any shell can `eval`, whatever the job's own is: it runs in a shell of its own."""
        job_id, token = shlex.quote(job["id"]), shlex.quote(job["token"])
        is_elsewhere = job["realm"] != self.session.address().realm
        session = replace(self.session, realm=job["realm"]) if is_elsewhere else self.session
        ack = session.command(f"ack --token {token} -- {job_id}", program=_program())
        nack = session.command(f"nack --token {token} --failed --exit-code $? -- {job_id}", program=_program())
        return f"if {in_a_shell(job['command'], job['env'])}; then {ack}; else {nack}; fi"

    def _give_back(self, job: Document, why: str, *, delay: timedelta | None = None) -> None:
        self._held.remove(job)
        try:
            self._realm_of(job).nack(job["id"], job["token"], message=why, delay=delay)
            say(f"job {job['id']} was given back: {why}")
        except JobqError as error:
            say(f"job {job['id']} comes back when its lease ends, since it could not be given back ({error}): {why}")

    def _realm_of(self, job: Document) -> Backend:
        return self.backend.beside(job["realm"])


def _program() -> str:
    """Us, for the shell that reads what is printed."""
    return "jobq" if shutil.which("jobq") else shlex.quote(str(Path(sys.argv[0]).absolute()))


def plain(job: Document) -> str:
    """The command as it is, for the shell that reads it; with an environment, in a shell of its own."""
    return in_a_shell(job["command"], job["env"]) if job["env"] else str(job["command"])


def in_a_shell(command: str, env: Mapping[str, str]) -> str:
    """As a worker runs it, in bash: what the command does to its shell, or leaves open, ends with that."""
    variables = [shlex.quote(f"{name}={value}") for name, value in env.items()]
    return " ".join([*(["env", *variables] if env else []), "bash", "-c", shlex.quote(command)])
