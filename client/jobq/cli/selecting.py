"""Which jobs a command is about: ids, or all that match. Asks before it touches many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobq.cli.output import answer_document, how_many, is_talking_to_a_person, say
from jobq.cli.params import BATCH, ERROR, JOB_ID, REASON, STATE, TAG, TEXT, lane_option, option
from jobq.errors import BadInput, IllegalTransition, PartlyDone

if TYPE_CHECKING:
    from jobq.backend import Backend
    from jobq.core.api import Selection
    from jobq.core.documents import Document
    from jobq.core.listing import Filter

F = TypeVar("F", bound=Callable[..., Any])


def filter_options(function: F) -> F:
    """`tag`, `batch`, `lane`, `state`, `reason`, `text`, `error`: all that are given must hold."""
    function = option("--state", type=STATE, help="Only jobs in this state.")(detail_options(function))
    function = lane_option(help="Only jobs of this lane.")(function)
    function = option("--batch", type=BATCH, help="Only jobs of this push.")(function)
    return option("--tag", type=TAG, help="Only jobs with this tag.")(function)


def detail_options(function: F) -> F:
    help_ = "Only failed jobs whose error has this fingerprint: their last line, less what varies."
    function = option("--error", type=ERROR, help=help_)(function)
    help_ = "Only jobs with this in id, command or arguments; upper and lower case are the same."
    function = option("--text", type=TEXT, help=help_)(function)
    return option("--reason", type=REASON, help="Only jobs whose last attempt ended so.")(function)


def selection_options(function: F) -> F:
    return click.argument("ids", nargs=-1, type=JOB_ID)(bulk_options(function))


def bulk_options(function: F) -> F:
    function = option("-y", "--yes", is_flag=True, help="Do not ask.")(function)
    function = option("--all", is_flag=True, help="All jobs of the realm.")(function)
    return filter_options(function)


def make_filter(
    *,
    tag: str | None = None,
    batch: str | None = None,
    lane: str | None = None,
    state: str | None = None,
    reason: str | None = None,
    text: str | None = None,
    error: str | None = None,
) -> Filter:
    from jobq.core.listing import Filter
    from jobq.model.job import JobState, Reason

    return Filter(
        tag=tag or "",
        batch=batch or "",
        lane=lane or "",
        state=JobState(state) if state else None,
        reason=Reason(reason) if reason else None,
        text=text or "",
        error=error or "",
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `selection_options`, as given."""

    ids: Sequence[str]
    tag: str | None
    batch: str | None
    lane: str | None
    state: str | None
    reason: str | None
    text: str | None
    error: str | None
    all: bool
    yes: bool

    @property
    def is_bulk(self) -> bool:
        return self.all or any(self._filter.values())

    @property
    def _filter(self) -> dict[str, str | None]:
        names = ("tag", "batch", "lane", "state", "reason", "text", "error")
        return {name: getattr(self, name) for name in names}

    def selection(self) -> Selection:
        from jobq.core.api import Selection

        if self.is_bulk == bool(self.ids):
            which = "both are given" if self.ids else "nothing is given"
            options = "--tag, --batch, --lane, --state, --reason, --text, --error or --all"
            raise BadInput(f"say which jobs, by their ids or by {options}: {which}")
        if self.ids:
            return Selection(ids=tuple(self.ids))
        return Selection(where=make_filter(**self._filter))


def confirmed(
    backend: Backend, where: Filter, verb: str, *, yes: bool, must_be_sure: bool = False, states: Sequence[str] = ()
) -> bool:
    """Whether to go on with a bulk command. On a terminal a person is asked, who sees the number of jobs.

    Of a filter without a state, `states` are those that the command is about; none given, all.

    Raises BadInput where nobody can be asked and `must_be_sure`, unless `yes`.
    """
    if yes:
        return True
    if not is_talking_to_a_person():
        if must_be_sure:
            raise BadInput(f"this would {verb} all jobs that match, and there is nobody to ask: add --yes")
        return True
    found = _count(backend, where, states)
    if not found:
        say("no job matches")
        return False
    return click.confirm(f"{verb} {how_many(found)}?", err=True)


def _count(backend: Backend, where: Filter, states: Sequence[str]) -> int:
    from jobq.model.job import JobState

    if where.state or not states:
        return backend.count(where)
    return sum(backend.count(replace(where, state=JobState(state))) for state in states)


def report(backend: Backend, done: Document, said: str, form: str) -> None:
    """Say what a bulk answer (`matched, changed, refused`) means. Raises if some, or all, were refused."""
    refused = done["matched"] - done["changed"]
    if form != "table":
        answer_document(done, form)
    elif done["changed"] or not refused:
        say(said.format(how_many(done["changed"])))
    if not refused:
        return
    if done["matched"] == 1:
        backend.job(done["refused"][0]["id"])  # one that is not there raises NotFound
        raise IllegalTransition(done["refused"][0]["error"])
    shown = "; ".join(entry["error"] for entry in done["refused"][:3])
    text = f"{refused:,} of {done['matched']:,} were refused: {shown}{'; …' if refused > 3 else ''}"
    raise PartlyDone(text) if done["changed"] else IllegalTransition(text)
