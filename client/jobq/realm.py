"""A realm for callers who keep data in jobs and run them elsewhere: add, pull, and say what became of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from jobq.adding import all_added, check_added
from jobq.backend import Backend
from jobq.client import Duration, duration_of
from jobq.core.api import Selection
from jobq.core.documents import Document
from jobq.core.listing import Filter
from jobq.core.realm_settings import SettingsChange
from jobq.errors import BadInput, IllegalTransition, JobqError, LeaseLost, NotFound
from jobq.model import names
from jobq.model.data import data_of
from jobq.model.job import IfExists, JobState, Json, NewJob
from jobq.model.names import ADDED, MAX_CHECKOUT, lane_name, new_token, tag_name
from jobq.reading import Pages, seconds_out, whole_job

logger = logging.getLogger(__name__)

Lane = str | int
JobId = str | int

_REMAINING = (JobState.QUEUED, JobState.RUNNING)


class Realm:
    """One of `Realms`, made by its first use. All methods raise subclasses of JobqError.

    What was pulled here is held by this object until its lease ends: say `ack`, `nack` or `remove_job` when it is done.
    """

    def __init__(self, name: str, backend: Backend) -> None:
        self._name = name
        self._backend = backend
        self._tokens: dict[str, str] = {}
        """Of the jobs that were pulled here, by id. One that was lost stays, so that it is not taken for ours."""

    def __repr__(self) -> str:
        return f"<realm {self._name}>"

    @property
    def name(self) -> str:
        return self._name

    @property
    def status(self) -> Document:
        """What remains, queued or running: `queues` (jobs by lane), `total_jobs`, `total_tags`."""
        status = self._backend.status()
        return {
            "queues": {lane: _remaining(tally) for lane, tally in status["lanes"].items()},
            "total_jobs": _remaining(status),
            "total_tags": sum(_remaining(tally) > 0 for tally in status["tags"].values()),
        }

    def add(self, job_id: JobId, queue_id: Lane, data: Json = None, tags: Sequence[str] | None = None) -> None:
        """Store a job; or add the lane and the tags to the job with that id, which is queued again if it has ended.

        Raises IllegalTransition, a ValueError, if that one has other data, or a new lane comes while it runs. To a
        worker, a text is a shell command and an object holds keyword arguments.
        """
        self.bulk_add([{"job_id": job_id, "queue_id": queue_id, "data": data, "tags": tags}])

    def bulk_add(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        """As `add`, for each object with `job_id`, `queue_id`, and if need be `data`, `tags`.

        Raises BadInput before anything is stored; IllegalTransition, which names the refused jobs, when all else is.
        """
        by_realm = all_added(jobs, realm=self._name)
        check_added([(self._name, answer) for answer in self._add(by_realm.get(self._name, []))])

    def pull(self, count: int = 5, max_queue: Lane | None = None) -> dict[str, list[Any]]:
        """Up to `count` jobs, from the lowest lane up, as `{id: [lane, data]}`; a lane that is a number is an int.

        Nobody else gets them before their lease ends.
        """
        return {held["id"]: self._take(held) for held in check_out(self._backend, count, max_queue, ())}

    def get_job(self, job_id: JobId) -> Document:
        """`tags, data, queues`: each lane with the seconds since the job was checked out, or 0. Raises NotFound."""
        return _shown(self._backend.job(names.job_id(job_id)))

    def get_tagged_jobs(self, tag_id: str) -> dict[str, Document]:
        """Those that remain, by id, each as `get_job` gives it. Raises NotFound for a tag that no job has."""
        tag, found = tag_name(tag_id), {}
        for job in Pages(self._backend, Filter(tag=tag)):
            if job["state"] in _REMAINING:
                found[job["id"]] = _shown(whole_job(self._backend, job))
        if not found:
            self._backend.tag_status(tag)
        return found

    def get_tag_status(self, tag_id: str) -> dict[str, int]:
        """`count` of the jobs that remain under the tag. Raises NotFound for a tag that no job has."""
        return {"count": _remaining(self._backend.tag_status(tag_name(tag_id)))}

    def remove_job(self, job_id: JobId) -> None:
        """Delete a job, wherever it is; one that is not there is fine.

        Raises LeaseLost, and deletes nothing, for a job that was pulled here and that somebody else may hold by now.
        """
        self.bulk_remove([job_id])

    def bulk_remove(self, job_ids: Iterable[JobId]) -> None:
        """As `remove_job`, for each. Raises LeaseLost, which names the jobs, after all the others are deleted."""
        check_removed(self._name, self._remove(map(names.job_id, job_ids)))

    def remove_tagged_jobs(self, tag_id: str) -> None:
        """Delete all jobs with the tag, held or not."""
        self._backend.remove(Selection(where=Filter(tag=tag_name(tag_id))))

    def move_job(self, job_id: JobId, from_q: Lane, to_q: Lane) -> None:
        """Put a queued job into another lane. Raises IllegalTransition, a ValueError, where that cannot be."""
        selection = Selection(ids=(names.job_id(job_id),))
        for refused in self._backend.move(selection, source=lane_name(from_q), target=lane_name(to_q))["refused"]:
            raise IllegalTransition(refused["error"])

    def clear_queue(self, queue_id: Lane) -> None:
        """Take what is queued out of a lane; jobs that are also in another one stay there. BadInput: no such lane."""
        lane = lane_name(queue_id)
        lanes: list[str] = []
        with suppress(NotFound):
            lanes = self._backend.settings()["lanes"]
        if lane not in lanes:
            raise BadInput(f"there is no lane {lane} in {self._name}; it has {', '.join(lanes) or 'none yet'}")
        self._backend.clear(lane)

    def set_default_lease_time(self, lease_time: Duration) -> None:
        """How long jobs are leased from lanes that have no time of their own: seconds, or `2h30m`; 0: ten minutes."""
        self._backend.change_settings(SettingsChange(lease=duration_of(lease_time)))

    def set_queue_lease_time(self, queue_id: Lane, lease_time: Duration) -> None:
        """The same for one lane; 0 takes its time away."""
        lease = duration_of(lease_time)
        if lease is not None:
            self._backend.change_settings(SettingsChange(lane_leases={lane_name(queue_id): lease}))

    def ack(self, job_id: JobId, *, result: Json = None, message: str = "") -> Document:
        """A job that was pulled here has succeeded. Raises LeaseLost, and changes nothing, if it is no longer ours."""
        name = names.job_id(job_id)
        done = self._backend.ack(name, self._token(name), result=result, message=message)
        del self._tokens[name]
        return done

    def nack(
        self,
        job_id: JobId,
        *,
        failed: bool = False,
        exit_code: int | None = None,
        message: str = "",
        delay: Duration | None = None,
    ) -> Document:
        """Give back a job that was pulled here; with `failed` its attempt has failed. Raises LeaseLost."""
        name, pause = names.job_id(job_id), duration_of(delay)
        done = self._backend.nack(
            name, self._token(name), failed=failed, exit_code=exit_code, message=message, delay=pause
        )
        del self._tokens[name]
        return done

    def extend(self, job_id: JobId, lease: Duration | None = None) -> Document:
        """Hold a job that was pulled here for `lease` from now on, or as long as its lane says. Raises LeaseLost.

        `cancel_requested` of the answer says whether to stop.
        """
        name = names.job_id(job_id)
        return self._backend.extend(name, self._token(name), lease=duration_of(lease))

    def _add(self, jobs: Sequence[NewJob]) -> list[Document]:
        if not jobs:
            return []
        answers = self._backend.push(jobs, batch=ADDED, if_exists=IfExists.ADD, token=new_token())
        for answer in answers:
            if answer["status"] == "queued":  # a new one: what was held under its id is gone
                self._tokens.pop(answer["id"], None)
        return answers

    def _take(self, held: Document) -> list[Any]:
        self._tokens[held["id"]] = held["token"]
        return [_lane(held["lane"]), held["data"]]

    def _remove(self, job_ids: Iterable[str]) -> list[str]:
        """Those that were not deleted, since their leases were lost."""
        wanted = list(dict.fromkeys(job_ids))
        lost = [job_id for job_id in wanted if job_id in self._tokens and not self._is_ours(job_id)]
        ids = tuple(job_id for job_id in wanted if job_id not in lost)
        if ids:
            self._backend.remove(Selection(ids=ids))
        for job_id in ids:
            self._tokens.pop(job_id, None)
        return lost

    def _is_ours(self, job_id: str) -> bool:
        """Whether nobody else has taken the job; from now on nobody does, since it is done, or gone."""
        with suppress(NotFound):
            try:
                self._backend.ack(job_id, self._tokens[job_id])
            except LeaseLost:
                self._backend.job(job_id)
                return False
        return True

    def _token(self, job_id: str) -> str:
        if job_id not in self._tokens:
            raise BadInput(f"job {job_id} is not held here: it was not pulled by this object, or it is done already")
        return self._tokens[job_id]


def check_removed(realm: str, lost: Sequence[str]) -> None:
    """Raises LeaseLost for jobs that were not deleted."""
    if lost:
        which = f"job {lost[0]} of {realm} was" if len(lost) == 1 else f"jobs {', '.join(lost)} of {realm} were"
        raise LeaseLost(f"{which} not removed: the lease has ended, and somebody else may be at it by now")


def check_out(backend: Backend, count: int, max_queue: Lane | None, realms: Sequence[str] | None) -> list[Document]:
    if count < 1:
        raise BadInput(f"{count} jobs cannot be pulled")
    max_lane = "" if max_queue is None else lane_name(max_queue)
    held: list[Document] = []
    while len(held) < count:
        asked = min(MAX_CHECKOUT, count - len(held))
        try:
            more = backend.check_out(asked, max_lane=max_lane, realms=realms)["jobs"]
        except JobqError as error:
            if not held:
                raise
            logger.warning("pulled %d jobs of %d: %s", len(held), count, error)  # the next pull meets it again
            break
        held += more
        if len(more) < asked:
            break
    return held


def _shown(job: Document) -> Document:
    queues = [[_lane(lane), seconds_out(job) or 0] for lane in job["lanes"]]
    return {"tags": job["tags"], "data": data_of(job["command"], job["kwargs"]), "queues": queues}


def _lane(lane: str) -> Lane:
    return int(lane) if lane.isdigit() else lane


def _remaining(tally: Mapping[str, int]) -> int:
    return tally["queued"] + tally["running"]
