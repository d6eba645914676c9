"""The ticket: the right to try a job, or a chunk of jobs of one shard and lane. Never the truth about them.

    {"v": 1, "t": "<ticket id>", "jobs": [{"i": id, "g": generation, "e": etag, "b": batch, "s": <spec, see wire.py>}]}

A job that is traced has `p`, too: when it was pushed. An entry without `s` has its row read instead: of a job too large
for the message, of one that was tried before (its row holds what the tries left), and in a ticket sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobq.errors import BadInput
from jobq.model.durations import from_iso, to_iso
from jobq.model.job import Job
from jobq.model.wire import dumps, loads_object, spec_from_json, spec_to_json


@dataclass(frozen=True, slots=True)
class Entry:
    """One job of a ticket. `job` is there when the ticket carries all that a claim needs: no row is read then."""

    job_id: str
    generation: int
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    id: str
    entries: tuple[Entry, ...]

    @property
    def is_chunk(self) -> bool:
        return len(self.entries) > 1


def encode_ticket(ticket_id: str, entries: Sequence[str]) -> bytes:
    """A ticket of entries made by `encode_entry` or `encode_reference`."""
    return f'{{"v":1,"t":{dumps(ticket_id)},"jobs":[{",".join(entries)}]}}'.encode()


def encode_entry(job: Job) -> str:
    """All that a claim needs, with the etag of the row as it is now. Only for a queued job that was never tried."""
    entry = {"i": job.id, "g": job.generation, "e": job.etag, "b": job.batch, "s": spec_to_json(job.spec)}
    return dumps(entry | ({"p": to_iso(job.pushed_at)} if job.spec.traceparent and job.pushed_at else {}))


def encode_reference(job_id: str, generation: int) -> str:
    """An entry whose row has to be read."""
    return dumps({"i": job_id, "g": generation})


def decode_ticket(body: bytes) -> Ticket:
    """Raises BadInput for anything that this version of jobq did not write."""
    data = loads_object(body)
    if data.get("v") != 1:
        raise BadInput(f"ticket of version {str(data.get('v'))[:20]!r}; this jobq reads version 1")
    jobs = data.get("jobs")
    if not isinstance(jobs, list) or not jobs or not isinstance(data.get("t"), str):
        raise BadInput("ticket without jobs")
    try:
        return Ticket(data["t"], tuple(_entry(job) for job in jobs))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInput(f"ticket with a broken entry ({error})") from error


def _entry(data: dict[str, Any]) -> Entry:
    job_id, generation = str(data["i"]), int(data["g"])
    job_id.encode()  # JSON can write half a surrogate pair, which no row key can
    if "s" not in data:
        return Entry(job_id, generation)
    job = Job(job_id, str(data["b"]), spec_from_json(data["s"]), etag=str(data["e"]), generation=generation)
    return Entry(job_id, generation, replace(job, pushed_at=from_iso(data["p"])) if "p" in data else job)
