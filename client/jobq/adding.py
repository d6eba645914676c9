"""Jobs that are added one by one, each under an id of its own: what a caller gives, as checked jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobq.client import tag_names
from jobq.core.documents import Document
from jobq.core.push import check_payload
from jobq.errors import BadInput, IllegalTransition
from jobq.model.data import payload_of
from jobq.model.job import Json, NewJob, Spec
from jobq.model.names import MAX_LANES, job_id, lane_name, realm_name
from jobq.model.wire import checked_json, sameness

_KEYS = ("realm_id", "job_id", "queue_id", "data", "tags")
_MOST_ERRORS = 5

Added = tuple[str, NewJob]
"""A job, and the realm that it goes to."""


def added(given: Mapping[str, Any], *, realm: str = "") -> Added:
    """Of an object with `job_id`, `queue_id` and, if need be, `realm_id`, `data`, `tags`. Raises BadInput.

    `realm`: the one that it goes to; without it `realm_id` has to say so.
    """
    if unknown := sorted(given.keys() - set(_KEYS)):
        raise BadInput(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    named = str(given.get("realm_id") or realm)
    if missing := [key for key in ("job_id", "queue_id") if key not in given] + ([] if named else ["realm_id"]):
        raise BadInput(f"it has no {missing[0]!r}")
    if realm and named != realm:
        raise BadInput(f"it is for the realm {named}, and this is {realm}")
    data: Json = json.loads(checked_json(given.get("data")))
    command, kwargs = payload_of(data)
    spec = Spec(command, kwargs, tags=tag_names(given.get("tags") or ()), lanes=(lane_name(given["queue_id"]),))
    job = NewJob(job_id(given["job_id"]), spec)
    check_payload(job)
    return realm_name(named), job


def all_added(given: Iterable[Mapping[str, Any]], *, realm: str = "") -> dict[str, list[NewJob]]:
    """Jobs by their realms, in order; one that comes again has the tags and lanes of both.

    Raises BadInput, naming the job's position.
    """
    found: dict[str, dict[str, NewJob]] = {}
    for position, each in enumerate(given, 1):
        try:
            if not isinstance(each, Mapping):
                raise BadInput(f"it is a {type(each).__name__}, not an object with {', '.join(_KEYS)}")
            name, job = added(each, realm=realm)
            jobs = found.setdefault(name, {})
            jobs[job.id] = _merged(jobs[job.id], job) if job.id in jobs else job
        except BadInput as error:
            raise BadInput(f"job {position} of the list: {error}") from error
    return {name: list(jobs.values()) for name, jobs in found.items()}


def check_added(answers: Sequence[tuple[str, Document]]) -> None:
    """Of all jobs, with their realms. Raises IllegalTransition for those that were not added, and says which."""
    refused = [f"job {answer['id']} of {realm}: {answer['error']}" for realm, answer in answers if "error" in answer]
    if not refused:
        return
    few = "; ".join(refused[:_MOST_ERRORS]) + ("; …" if len(refused) > _MOST_ERRORS else "")
    if len(answers) == 1:
        raise IllegalTransition(few)
    raise IllegalTransition(f"{len(refused)} of {len(answers)} jobs were not added, the others were: {few}")


def _merged(first: NewJob, again: NewJob) -> NewJob:
    if sameness(first.spec) != sameness(again.spec):
        raise BadInput(f"a conflict: the job {again.id!r} is in the list before, with other data")
    tags = tag_names((*first.spec.tags, *again.spec.tags))
    lanes = tuple(dict.fromkeys((*first.spec.lanes, *again.spec.lanes)))
    if len(lanes) > MAX_LANES:
        raise BadInput(f"{len(lanes)} lanes are too many: a job is in at most {MAX_LANES}")
    return replace(first, spec=replace(first.spec, tags=tags, lanes=lanes))
