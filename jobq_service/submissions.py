"""What a push sends, JSON or NDJSON, as checked jobs: one bad job refuses the request, by its index."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobq.core.push import MAX_CHUNK, check_payload
from jobq.errors import BadInput, TooLarge
from jobq.model.job import IfExists, NewJob
from jobq.model.names import batch_name, id_in_batch, job_id, new_batch
from jobq.model.wire import loads_object, spec_from_json
from jobq_service.problems import BadJob

MAX_JOBS = 10_000

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OPTIONS = ("batch", "if_exists", "chunk", "token")


@dataclass(frozen=True, slots=True)
class Options:
    batch: str = field(default_factory=new_batch)
    if_exists: IfExists = IfExists.SKIP
    chunk: int = 1
    token: str = ""
    """The same when a push is repeated whose answer was lost, so that it knows its own jobs again."""


@dataclass(frozen=True, slots=True)
class Submission:
    options: Options
    jobs: list[NewJob]


def from_json(text: str, query: Mapping[str, Any]) -> Submission:
    """`{"jobs": […], "batch": …, …}`; what the body does not say may be in the query. Raises BadInput, BadJob."""
    data = loads_object(text)
    unknown = data.keys() - {"jobs", *_OPTIONS}
    if unknown:
        raise BadInput(f"unknown key {min(unknown)!r}; known are jobs, {', '.join(_OPTIONS)}")
    items = data.pop("jobs", None)
    if not isinstance(items, list):
        raise BadInput("'jobs' must be a list of jobs")
    options = options_of({**query, **data})
    return Submission(options, _jobs(options.batch, ((None, item) for item in items), _object))


def from_ndjson(text: str, query: Mapping[str, Any]) -> Submission:
    """A job in each line that is not blank. Raises BadInput, BadJob."""
    options = options_of(query)
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return Submission(options, _jobs(options.batch, lines, loads_object))


def options_of(given: Mapping[str, Any]) -> Options:
    """Raises BadInput. Whole numbers may come as text, as they do in a query."""
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    for key in ("batch", "token", "if_exists"):
        if not isinstance(chosen.get(key, ""), str):
            raise BadInput(f"{key!r} must be a text")
    if "batch" in chosen:
        batch_name(chosen["batch"])
    if chosen.get("token") and not _TOKEN.fullmatch(chosen["token"]):
        raise BadInput("'token' takes 1 to 64 of A-Z, a-z, 0-9, '_' and '-'")
    if "if_exists" in chosen:
        chosen["if_exists"] = _if_exists(chosen["if_exists"])
    if "chunk" in chosen:
        chosen["chunk"] = _chunk(chosen["chunk"])
    return Options(**chosen)


def _jobs(batch: str, items: Iterable[tuple[int | None, Any]], decode: Callable[[Any], dict[str, Any]]) -> list[NewJob]:
    jobs: list[NewJob] = []
    seen: dict[str, int] = {}
    for index, (line, item) in enumerate(items):
        if index == MAX_JOBS:
            raise TooLarge(
                f"over {MAX_JOBS:,} jobs; send them in several requests under the same batch, with their ids"
            )
        try:
            job = _new_job(decode(item), batch, position=index + 1)
            if job.id in seen:
                raise BadInput(f"the id {job.id!r} is that of job {seen[job.id]} too; ids are unique in a request")
        except (ValueError, RecursionError) as error:  # BadInput, and numbers or depths that JSON cannot give back
            where = f"line {line}: " if line is not None else ""
            raise BadJob(f"{where}{error}", index, line) from error
        seen[job.id] = index
        jobs.append(job)
    if not jobs:
        raise BadInput("there are no jobs in the body (on Azure Functions one sent without Content-Length is lost)")
    return jobs


def _object(item: object) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise BadInput("a job is an object with 'cmd' or 'kwargs'")
    return item


def _new_job(data: dict[str, Any], batch: str, position: int) -> NewJob:
    spec = spec_from_json(data, also=frozenset({"id"}))
    name = data.get("id", id_in_batch(batch, position))
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise BadInput("'id' must be a text")
    job = NewJob(job_id(name), spec)
    check_payload(job)
    return job


def _if_exists(text: str) -> IfExists:
    try:
        return IfExists(text)
    except ValueError as error:
        raise BadInput(f"'if_exists' is one of {', '.join(IfExists)}, not {text[:40]!r}") from error


def _chunk(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 6 else value
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_CHUNK:
        raise BadInput(f"'chunk' is a number from 1 to {MAX_CHUNK}")
    return number
