"""What a push sends, JSON or NDJSON, as checked jobs: one bad job refuses the request, by its index."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobq.core.push import MAX_CHUNK, check_payload
from jobq.errors import BadInput, TooLarge
from jobq.model.data import payload_of
from jobq.model.job import IfExists, NewJob
from jobq.model.names import ADDED, batch_name, id_in_batch, job_id, new_batch, realm_name
from jobq.model.wire import loads_object, spec_from_json
from jobq_service.problems import BadJob

MAX_JOBS = 10_000
MAX_REALMS = 100
"""Of a request across realms; each of them costs storage requests of its own."""

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
    realms: list[str]
    """Of each job; empty for one whose realm the route names."""


def from_json(text: str, query: Mapping[str, Any], *, across: bool = False) -> Submission:
    """`{"jobs": […], "batch": …, …}`; what the body does not say may be in the query. Raises BadInput, BadJob.

    `across`: each job names its realm.
    """
    data = loads_object(text)
    unknown = data.keys() - {"jobs", *_OPTIONS}
    if unknown:
        raise BadInput(f"unknown key {min(unknown)!r}; known are jobs, {', '.join(_OPTIONS)}")
    items = data.pop("jobs", None)
    if not isinstance(items, list):
        raise BadInput("'jobs' must be a list of jobs")
    return _submission(options_of({**query, **data}), ((None, item) for item in items), _object, across)


def from_ndjson(text: str, query: Mapping[str, Any], *, across: bool = False) -> Submission:
    """A job in each line that is not blank. Raises BadInput, BadJob."""
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return _submission(options_of(query), lines, loads_object, across)


def added_job(text: str, name: str) -> NewJob:
    """The job of one object, which has the id `name`. Raises BadInput."""
    data = loads_object(text)
    if "id" in data:
        raise BadInput("the id is the one in the URL: leave it out of the body")
    try:
        return _new_job({**data, "id": name}, ADDED, 1)
    except (ValueError, RecursionError) as error:
        raise BadInput(str(error)) from error


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


def _submission(
    options: Options,
    items: Iterable[tuple[int | None, Any]],
    decode: Callable[[Any], dict[str, Any]],
    across: bool,
) -> Submission:
    jobs: list[NewJob] = []
    realms: list[str] = []
    seen: dict[tuple[str, str], int] = {}
    for index, (line, item) in enumerate(items):
        if index == MAX_JOBS:
            raise TooLarge(
                f"over {MAX_JOBS:,} jobs; send them in several requests under the same batch, with their ids"
            )
        try:
            data = decode(item)
            realm = _realm_of(data) if across else ""
            job = _new_job(data, options.batch, position=index + 1)
            if (first := seen.setdefault((realm, job.id), index)) != index:
                raise BadInput(f"the id {job.id!r} is that of job {first} too; ids are unique in a request")
        except (ValueError, RecursionError) as error:  # BadInput, and numbers or depths that JSON cannot give back
            where = f"line {line}: " if line is not None else ""
            raise BadJob(f"{where}{error}", index, line) from error
        jobs.append(job)
        realms.append(realm)
    if not jobs:
        raise BadInput("there are no jobs in the body (on Azure Functions one sent without Content-Length is lost)")
    check_realms(realms)
    return Submission(options, jobs, realms)


def check_realms(names: Iterable[str]) -> None:
    """Raises TooLarge for more realms than a request may name."""
    if (count := len(set(names))) > MAX_REALMS:
        raise TooLarge(f"{count} realms are named, and {MAX_REALMS} are the most in a request; send several")


def _realm_of(data: dict[str, Any]) -> str:
    """Which is taken out of the job."""
    realm = data.pop("realm", None)
    if not isinstance(realm, str):
        raise BadInput("a job that is pushed across realms names its 'realm'")
    return realm_name(realm)


def _object(item: object) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise BadInput("a job is an object with 'cmd', 'kwargs' or 'data'")
    return item


def _new_job(data: dict[str, Any], batch: str, position: int) -> NewJob:
    spec = spec_from_json(_without_data(data), also=frozenset({"id", "data"}))
    name = data.get("id", id_in_batch(batch, position))
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise BadInput("'id' must be a text")
    job = NewJob(job_id(name), spec)
    check_payload(job)
    return job


def _without_data(data: dict[str, Any]) -> dict[str, Any]:
    """With `cmd` or `kwargs` in place of `data`."""
    if "data" not in data:
        return data
    if data.get("cmd") is not None or data.get("kwargs") is not None:
        raise BadInput("'data' is given beside 'cmd' or 'kwargs'; a job has one of them")
    command, kwargs = payload_of(data["data"])
    return {**data, "cmd": command, "kwargs": kwargs}


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
