"""A push on its way: window by window, and what is said about it, also when it does not come to its end."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jobq.backend import Backend
from jobq.cli.feed import Window
from jobq.cli.output import Progress, answer, answer_json, answer_lines, answer_table, how_many, say
from jobq.cli.session import Session
from jobq.errors import BadInput, JobqError, PartlyDone
from jobq.model.job import IfExists
from jobq.model.names import new_token
from jobq.model.wire import spec_to_json
from jobq.telemetry import PushSpan

_MAX_SHOWN = 5


@dataclass(slots=True)
class Pushing:
    session: Session
    backend: Backend
    batch: str
    if_exists: IfExists
    chunk: int
    form: str
    span: PushSpan
    counts: Counter[str] = field(default_factory=Counter)
    """Jobs by what became of them: queued, exists, refused."""
    ids: list[str] = field(default_factory=list)
    """Of jobs that are in the queue now, or were before."""
    _results: list[dict[str, Any]] = field(default_factory=list)
    _token: str = field(default_factory=new_token)
    _progress: Progress = field(default_factory=Progress)

    def run(self, feed: Iterator[Window]) -> int:
        """Push every window. Raises PartlyDone or BadInput for a bad line, Unreachable; before that it says how far
        it came and how to go on."""
        problem = ""
        try:
            for window in feed:
                self._push(window)
                problem = window.problem
        except (KeyboardInterrupt, JobqError):
            self._progress.clear()
            self._answer()
            say(f"at least {self._so_far()}. To complete it, {self._how_to_go_on()}")
            raise
        self._progress.clear()
        self._answer()
        if problem:
            raise self._stopped(problem)
        self._summary()
        return PartlyDone.exit_code if self.counts["refused"] else 0

    def _push(self, window: Window) -> None:
        if not window.jobs:
            return
        results = self.backend.push(
            window.jobs, batch=self.batch, if_exists=self.if_exists, chunk=self.chunk, token=self._token
        )
        self.span.answered(results)
        for result in results:
            self.counts[result["status"]] += 1
            if result["status"] != "refused":
                self.ids.append(result["id"])
            elif self.counts["refused"] <= _MAX_SHOWN:
                self._progress.clear()
                say(f"refused {result['id']}: {result.get('error', '')}")
        self._keep(results)
        self._progress.show(f"pushing to {self.session.address()} as batch {self.batch}: {self.stored:,} jobs")

    @property
    def stored(self) -> int:
        return self.counts["queued"] + self.counts["exists"]

    def _keep(self, results: list[dict[str, Any]]) -> None:
        if self.form == "json":
            self._results += results
        elif self.form == "jsonl":
            answer_lines(results)
        elif self.form == "ids":
            for result in results:
                if result["status"] != "refused":
                    answer(result["id"])

    def _answer(self) -> None:
        if self.form == "json":
            counts = {status: self.counts[status] for status in ("queued", "exists", "refused")}
            answer_json({"batch": self.batch, **counts, "jobs": self._results})

    def _summary(self) -> None:
        notes = [f"{self.counts['exists']:,} already there"] if self.counts["exists"] else []
        notes += [f"{self.counts['refused']:,} refused"] if self.counts["refused"] else []
        what = how_many(self.counts["queued"])
        note = f" ({', '.join(notes)})" if notes else ""
        say(f"Pushed {what} to {self.session.address()} as batch {self.batch}{note}")
        if self.stored:
            watch, logs, stop = (
                self.session.command(words)
                for words in (
                    f"status batch {self.batch} -w",
                    f"logs {shlex.quote(self.ids[0])} -f",
                    f"cancel --batch {self.batch}",
                )
            )
            say(f"  watch: {watch}\n  logs:  {logs}\n  stop:  {stop}")

    def _stopped(self, problem: str) -> JobqError:
        """The error for a line that was refused."""
        if not self.stored:
            return BadInput(f"{problem}. Nothing was pushed")
        return PartlyDone(
            f"{problem}. {self._so_far()}, nothing from this line on. Correct the line, then {self._how_to_go_on()}"
        )

    def _so_far(self) -> str:
        return f"{how_many(self.stored)} of batch {self.batch} {'is' if self.stored == 1 else 'are'} in the queue"

    def _how_to_go_on(self) -> str:
        again = self.session.command(f"push --batch {self.batch}")
        return f"repeat the push with the same input and options: {again} … (what is there is skipped)"


@dataclass(frozen=True, slots=True)
class DryRun:
    """A push that only says what it would do."""

    address: str
    batch: str
    form: str

    def run(self, feed: Iterator[Window]) -> int:
        """Raises BadInput for the first bad line."""
        rows: list[tuple[str, ...]] = []
        documents: list[dict[str, Any]] = []
        count = 0
        for window in feed:
            count += len(window.jobs)
            for job in window.jobs:
                if self.form == "ids":
                    answer(job.id)
                elif self.form == "table":
                    rows.append((job.id, ",".join(job.spec.lanes), ",".join(job.spec.tags), job.spec.title))
                else:
                    documents.append({"id": job.id, **spec_to_json(job.spec)})
            if window.problem:
                raise BadInput(f"{window.problem}. Nothing was pushed")
        self._answer(rows, documents)
        say(f"Would push {how_many(count)} to {self.address} as batch {self.batch}")
        return 0

    def _answer(self, rows: list[tuple[str, ...]], documents: list[dict[str, Any]]) -> None:
        if self.form == "table" and rows:
            answer_table(("ID", "LANES", "TAGS", "COMMAND"), rows)
        elif self.form == "json":
            answer_json({"batch": self.batch, "jobs": documents})
        elif self.form == "jsonl":
            answer_lines(documents)
